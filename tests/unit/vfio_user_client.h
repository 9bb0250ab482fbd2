/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM's side of vfio-user, for tests, benchmarks and drivers that misbehave.
 *
 * Functions return the result or a -errno: that of an error reply; -ECONNRESET
 * when the server closed the connection; -ETIMEDOUT when it did not answer; or
 * -EPROTO when what it sent is not a reply to the command.
 *
 * A server in the same thread is run by pump(), which is called while waiting for
 * a reply; without pump(), the client waits for the socket.
 */
#ifndef AEROSTAT_TESTS_VFIO_USER_CLIENT_H
#define AEROSTAT_TESTS_VFIO_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/vfio_user_wire.h"

#define VFIO_USER_CLIENT_TURNS                                                                     \
	1000 /* how often pump() is called before a reply counts as missing */

struct vfio_user_client {
	int fd;
	uint16_t next_id;
	void (*pump)(void *data);
	void *data;
};

/* Uses a connected socket, which the client owns from now on. */
void vfio_user_client_init(struct vfio_user_client *client, int fd);
int vfio_user_client_connect(struct vfio_user_client *client, const char *path);
void vfio_user_client_close(struct vfio_user_client *client);

/* Sends any bytes with any file descriptors, which stay the caller's. */
int vfio_user_client_send_raw(struct vfio_user_client *client, const void *bytes, size_t size,
			      const int *fds, unsigned int fd_count);
/* Sends a complete command; returns its id. */
int vfio_user_client_send(struct vfio_user_client *client, uint16_t command, uint32_t flags,
			  const void *payload, size_t size, const int *fds, unsigned int fd_count);
/* Receives a message; returns the size of its payload, of which it keeps at most @most bytes. */
int vfio_user_client_receive(struct vfio_user_client *client, struct vfio_user_header *header,
			     void *payload, size_t most);
/* Sends a command and waits for its reply. */
int vfio_user_client_call(struct vfio_user_client *client, uint16_t command, const void *payload,
			  size_t size, const int *fds, unsigned int fd_count, void *reply,
			  size_t most);

/* Negotiates the version as QEMU does. */
int vfio_user_client_version(struct vfio_user_client *client);
/* @fd -1: none. */
int vfio_user_client_dma_map(struct vfio_user_client *client, uint64_t address, uint64_t size,
			     int fd, uint64_t offset, bool writable);
int vfio_user_client_dma_unmap(struct vfio_user_client *client, uint64_t address, uint64_t size);
int vfio_user_client_read(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  void *to, uint32_t count);
int vfio_user_client_write(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			   const void *from, uint32_t count);
/* A posted write, which has no reply. */
int vfio_user_client_post(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  const void *from, uint32_t count);
/* @bools: as many as @count, or NULL. */
int vfio_user_client_set_irqs(struct vfio_user_client *client, uint32_t flags, uint32_t index,
			      uint32_t start, uint32_t count, const uint8_t *bools, const int *fds,
			      unsigned int fd_count);
int vfio_user_client_reset(struct vfio_user_client *client);

/* Little-endian registers of up to 4 bytes; one that cannot be read is all ones. */
uint32_t vfio_user_client_get(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			      unsigned int bytes);
int vfio_user_client_put(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			 uint32_t value, unsigned int bytes);

#endif
