/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM's side of vfio-user, for tests, benchmarks and drivers that misbehave.
 *
 * Calls return what they are asked for or a -errno: the one in an error reply,
 * or -ECONNRESET when the server hung up, -ETIMEDOUT when it did not answer, or
 * -EPROTO when what it sent is no reply to what was asked.
 *
 * A server in the same thread gets its turns through pump(), which is called
 * while a reply is waited for; without pump() the socket is waited for.
 */
#ifndef AEROSTAT_TESTS_VFIO_USER_CLIENT_H
#define AEROSTAT_TESTS_VFIO_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/vfio_user_wire.h"

#define VFIO_USER_CLIENT_TIMEOUT_MS 20000
#define VFIO_USER_CLIENT_TURNS 1000 /* of pump(), until there has to be a reply */

struct vfio_user_client {
	int fd;
	uint16_t next_id;
	void (*pump)(void *data);
	void *data;
};

/* Over a socket that is connected already, which the client owns from now on. */
void vfio_user_client_init(struct vfio_user_client *client, int fd);
int vfio_user_client_connect(struct vfio_user_client *client, const char *path);
void vfio_user_client_close(struct vfio_user_client *client);

/* Any bytes, with any file descriptors (which stay the caller's). */
int vfio_user_client_send_raw(struct vfio_user_client *client, const void *bytes, size_t size,
			      const int *fds, unsigned int fd_count);
/* A command, whole; its id. */
int vfio_user_client_send(struct vfio_user_client *client, uint16_t command, uint32_t flags,
			  const void *payload, size_t size, const int *fds, unsigned int fd_count);
/* The next message: how large its payload is, of which at most @most bytes are kept. */
int vfio_user_client_receive(struct vfio_user_client *client, struct vfio_user_header *header,
			     void *payload, size_t most);
/* A command and its reply. */
int vfio_user_client_call(struct vfio_user_client *client, uint16_t command, const void *payload,
			  size_t size, const int *fds, unsigned int fd_count, void *reply,
			  size_t most);

/* As QEMU says hello. */
int vfio_user_client_version(struct vfio_user_client *client);
/* @fd -1: none. */
int vfio_user_client_dma_map(struct vfio_user_client *client, uint64_t address, uint64_t size,
			     int fd, uint64_t offset, bool writable);
int vfio_user_client_dma_unmap(struct vfio_user_client *client, uint64_t address, uint64_t size);
int vfio_user_client_read(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  void *to, uint32_t count);
int vfio_user_client_write(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			   const void *from, uint32_t count);
/* A write without a reply. */
int vfio_user_client_post(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  const void *from, uint32_t count);
/* @bools: as many as @count, or NULL. */
int vfio_user_client_set_irqs(struct vfio_user_client *client, uint32_t flags, uint32_t index,
			      uint32_t start, uint32_t count, const uint8_t *bools, const int *fds,
			      unsigned int fd_count);
int vfio_user_client_reset(struct vfio_user_client *client);

/* Little-endian registers of up to 4 bytes; a register that cannot be read is all ones. */
uint32_t vfio_user_client_get(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			      unsigned int bytes);
int vfio_user_client_put(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			 uint32_t value, unsigned int bytes);

#endif
