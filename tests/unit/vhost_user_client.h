/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM's side of vhost-user, for tests: correct helpers, and the means to break
 * any rule.  Functions return 0 or -errno: -ECONNRESET when the device has closed
 * the connection, -ETIMEDOUT when it does not answer.
 */
#ifndef AEROSTAT_TESTS_VHOST_USER_CLIENT_H
#define AEROSTAT_TESTS_VHOST_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/vhost_user_wire.h"

struct vhost_user_client {
	int fd;
	int backend_fd; /* the channel for the device's own requests, or -1 */
	/* Runs a device in the same process; NULL: it is another process. */
	void (*pump)(void *data);
	void *data;
};

struct vhost_user_answer {
	struct vhost_user_header header;
	union vhost_user_payload payload;
};

/* Sends any bytes, with @count file descriptors at the first of them. */
int vhost_user_client_write(struct vhost_user_client *client, const void *bytes, size_t size,
			    const int *fds, unsigned int count);
int vhost_user_client_send(struct vhost_user_client *client, uint32_t request, uint32_t flags,
			   const void *payload, uint32_t size, const int *fds, unsigned int count);
int vhost_user_client_receive(struct vhost_user_client *client, struct vhost_user_answer *answer);

/* Sends a request with an answer of its own. */
int vhost_user_client_ask(struct vhost_user_client *client, uint32_t request, const void *payload,
			  uint32_t size, struct vhost_user_answer *answer);
int vhost_user_client_get(struct vhost_user_client *client, uint32_t request, uint64_t *value);
/* Sends a request without one; -EREMOTEIO when the device refuses it. */
int vhost_user_client_tell(struct vhost_user_client *client, uint32_t request, const void *payload,
			   uint32_t size, int fd);
int vhost_user_client_set(struct vhost_user_client *client, uint32_t request, uint64_t value);
int vhost_user_client_vring(struct vhost_user_client *client, uint32_t request, uint32_t index,
			    uint32_t num);
/* SET_VRING_KICK, _CALL and _ERR; @fd -1: none. */
int vhost_user_client_eventfd(struct vhost_user_client *client, uint32_t request, uint32_t index,
			      int fd);

/* Begins as QEMU does: protocol features, owner, channel for the device's requests. */
int vhost_user_client_greet(struct vhost_user_client *client);
/* Closes all descriptors. */
void vhost_user_client_close(struct vhost_user_client *client);
/* True when the device has closed the connection. */
bool vhost_user_client_is_over(struct vhost_user_client *client);
/* How many CONFIG_CHANGE have come; -EPROTO after any other request. */
int vhost_user_client_config_changes(struct vhost_user_client *client);

#endif
