/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user backend's state, for its own files alone.
 *
 * vhost_user.c		the connection: framing, file descriptors, replies, and the ops
 * vhost_user_messages.c	what each message means, in one table
 * vhost_user_vrings.c	rings: when they run, kicks and calls, and which driver they belong to
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_H
#define AEROSTAT_TRANSPORT_VHOST_USER_H

#include "transport/transport.h"
#include "transport/vhost_user_wire.h"

struct vhost_user_message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int fds[VHOST_USER_TABLE_MAX]; /* -1 once somebody else owns it */
	unsigned int fd_count;
};

struct vhost_user;

struct vhost_user_vring {
	struct vhost_user *vu;
	struct loop_source kick; /* its fd is -1 when there is none */
	int call_fd, err_fd;	 /* or -1 */

	/* As the VMM set it up; addresses are the VMM's. */
	uint32_t num;
	uint32_t base;
	bool has_base, has_addr;
	uint64_t desc, used, avail;
	bool started; /* SET_VRING_KICK came, and no GET_VRING_BASE since */
	bool enabled;
	bool polled; /* the VMM gives no kicks */

	bool running; /* the device works on it, as described by: */
	struct virtqueue_setup setup;
	bool stopped; /* it ran before, and stopped at base: */
	uint32_t stopped_at;
};

/* Where a region of guest memory is in the VMM. */
struct vhost_user_place {
	uint64_t user;
	uint64_t gpa;
	uint64_t size;
};

struct vhost_user {
	struct transport transport; /* first: see transport.h */
	struct transport_context context;
	struct loop_source socket;
	bool ended;

	struct vhost_user_message in;
	size_t in_bytes; /* how much of it came yet */
	unsigned char out[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	size_t out_size, out_sent; /* a reply that did not fit into the socket, or none */

	uint64_t protocol_features;
	bool features_set, big_endian;
	bool config_changed; /* and the VMM does not know yet */
	int backend_fd;	     /* for our own requests, or -1 */
	uint64_t refused;    /* messages, since nobody could be told by a reply */

	struct vhost_user_place places[MEMORY_REGIONS_MAX];
	unsigned int place_count;

	struct vhost_user_vring vrings[BALLOON_QUEUES_MAX];
	struct loop_timer poll; /* for rings without kicks */
};

static inline struct balloon *vhost_user_balloon(const struct vhost_user *vu)
{
	return vu->context.balloon;
}

/* vhost_user.c */
/* The connection is over; close() comes later, by the receiver of @format's text. */
__attribute__((format(printf, 2, 3))) void vhost_user_end(struct vhost_user *vu, const char *format,
							  ...);
/* Replies to @message with the first header.size bytes of its payload. */
void vhost_user_reply(struct vhost_user *vu, struct vhost_user_message *message);
/* Tells the VMM of a change of the configuration, as soon as it may be told. */
void vhost_user_tell_config(struct vhost_user *vu);

/* Those that nobody took. */
void vhost_user_close_fds(struct vhost_user_message *message);

/* vhost_user_messages.c */
/* Does what @message asks for, and answers it; none of its file descriptors is left open. */
void vhost_user_handle(struct vhost_user *vu, struct vhost_user_message *message);

/* vhost_user_vrings.c */
void vhost_user_vrings_init(struct vhost_user *vu);
/* Stops the rings and closes their file descriptors. */
void vhost_user_vrings_close(struct vhost_user *vu);
/* NULL when there is no such ring. */
struct vhost_user_vring *vhost_user_vring(struct vhost_user *vu, uint64_t index);
/*
 * Runs or stops the ring as its state asks for.  -EFAULT: it waits for memory; -EPERM: for
 * features; or what balloon_queue_start() said.
 */
int vhost_user_vring_update(struct vhost_user_vring *vring);
/* The VMM's addresses of the ring mean other memory now. */
void vhost_user_vrings_relocate(struct vhost_user *vu);
/* The ring in the guest's terms; false when it is not in the guest's memory. */
bool vhost_user_vring_describe(const struct vhost_user_vring *vring, struct virtqueue_setup *setup);
/*
 * These take over @fd, also when they fail: -EBADF when it is no eventfd.  -1: there is none;
 * a ring without a kick is polled, and both start it.
 */
int vhost_user_vring_set_kick(struct vhost_user_vring *vring, int fd);
int vhost_user_vring_set_signal(int *signal_fd, int fd);
void vhost_user_signal(int *signal_fd);
/* GET_VRING_BASE. */
uint32_t vhost_user_vring_halt(struct vhost_user_vring *vring);
void vhost_user_vrings_enable(struct vhost_user *vu, bool enabled);
bool vhost_user_vrings_run(const struct vhost_user *vu);     /* any of them */
bool vhost_user_vrings_settled(const struct vhost_user *vu); /* all that were started */
/* Another driver comes, with these features; false when the device refuses them. */
bool vhost_user_start_afresh(struct vhost_user *vu, uint64_t features);
/* Device reset: as after init, but call and error file descriptors stay. */
void vhost_user_reset(struct vhost_user *vu);

#endif
