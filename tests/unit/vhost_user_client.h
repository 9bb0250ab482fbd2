/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VMM's side of vhost-user, for tests: honest helpers, and the means to be
 * anything but.  Results are 0 or -errno: -ECONNRESET when the device has hung
 * up, -ETIMEDOUT when it does not answer.
 */
#ifndef AEROSTAT_TESTS_VHOST_USER_CLIENT_H
#define AEROSTAT_TESTS_VHOST_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/vhost_user_wire.h"

struct vhost_user_client {
	int fd;
	int backend_fd; /* where the device's own requests arrive, or -1 */
	/* Runs a device of the same process a little; NULL: it is another process. */
	void (*pump)(void *data);
	void *data;
};

struct vhost_user_answer {
	struct vhost_user_header header;
	union vhost_user_payload payload;
};

/* Bytes as they are, with @count file descriptors at the first of them. */
int vhost_user_client_write(struct vhost_user_client *client, const void *bytes, size_t size,
			    const int *fds, unsigned int count);
int vhost_user_client_send(struct vhost_user_client *client, uint32_t request, uint32_t flags,
			   const void *payload, uint32_t size, const int *fds, unsigned int count);
int vhost_user_client_receive(struct vhost_user_client *client, struct vhost_user_answer *answer);

/* A request with an answer of its own. */
int vhost_user_client_ask(struct vhost_user_client *client, uint32_t request, const void *payload,
			  uint32_t size, struct vhost_user_answer *answer);
int vhost_user_client_get(struct vhost_user_client *client, uint32_t request, uint64_t *value);
/* A request without one: -EREMOTEIO when the device refuses it. */
int vhost_user_client_tell(struct vhost_user_client *client, uint32_t request, const void *payload,
			   uint32_t size, int fd);
int vhost_user_client_set(struct vhost_user_client *client, uint32_t request, uint64_t value);
int vhost_user_client_vring(struct vhost_user_client *client, uint32_t request, uint32_t index,
			    uint32_t num);
/* SET_VRING_KICK and its like; @fd -1 says that there is none. */
int vhost_user_client_eventfd(struct vhost_user_client *client, uint32_t request, uint32_t index,
			      int fd);

/* As QEMU begins: protocol features, the owner, and a channel for the device's requests. */
int vhost_user_client_greet(struct vhost_user_client *client);
/* Closes what is open. */
void vhost_user_client_close(struct vhost_user_client *client);
/* Has the device hung up? */
bool vhost_user_client_is_over(struct vhost_user_client *client);
/* How many CONFIG_CHANGE came; other requests make it -EPROTO. */
int vhost_user_client_config_changes(struct vhost_user_client *client);

#endif
