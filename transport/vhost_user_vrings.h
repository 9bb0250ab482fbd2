/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rings of the vhost-user backend.
 *
 * Theory of operation
 * -------------------
 * Messages change how the VMM wants a ring to be (started, enabled, its size and
 * addresses), and vhost_user_vring_update() makes the device follow.  A ring runs
 * exactly while it is started, enabled and fully described, and its addresses are
 * in the guest's memory.  A ring whose memory is missing waits for it, since the
 * VMM may remap memory in several steps.  If it was running, it keeps its guest
 * addresses meanwhile and rests in the device.
 *
 * When rings start after all rings had stopped, they belong either to the same
 * driver or to a new one.  After a pause, they continue at the index where they
 * stopped, and the content of the balloon is still valid.  A ring that starts at
 * any other index belongs to a new driver: the guest was reset, so the device has
 * to be reset, too.  The same holds if the device was waiting for a reset.
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_VRINGS_H
#define AEROSTAT_TRANSPORT_VHOST_USER_VRINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "device/balloon.h"
#include "io/loop.h"
#include "transport/signal_fd.h"

struct vhost_user;

/* Where the VMM wants to be signalled. */
struct vhost_user_signal {
	int fd; /* -1: nowhere */
	enum signal_fd_kind kind;
};

struct vhost_user_vring {
	struct vhost_user *vu;
	struct loop_source kick; /* its fd is -1 when there is none */
	enum signal_fd_kind kick_kind;
	struct vhost_user_signal call, err;

	/* As the VMM has set it up; addresses are the VMM's. */
	uint32_t num;
	uint32_t base;
	bool has_base, has_addr;
	uint64_t desc, used, avail;
	bool started; /* SET_VRING_KICK came, and no GET_VRING_BASE since */
	bool enabled;
	bool polled; /* the VMM sends no kicks */

	bool running;		      /* the device works on it, */
	struct virtqueue_setup setup; /* as described here */
	bool stopped;		      /* it ran before, and stopped */
	uint32_t stopped_at;	      /* at this base */
};

struct vhost_user_vrings {
	struct vhost_user_vring vring[BALLOON_QUEUES_MAX];
	struct loop_timer poll; /* for rings without kicks */
	bool features_set;	/* the driver's, in the balloon */
	bool big_endian;	/* the driver's rings, set before its features */
};

/* Prepares the rings; none is started. */
void vhost_user_vrings_init(struct vhost_user *vu);
/* Stops the rings and closes their file descriptors. */
void vhost_user_vrings_close(struct vhost_user *vu);
/* The ring with number @index; NULL when there is none. */
struct vhost_user_vring *vhost_user_find_vring(struct vhost_user *vu, uint64_t index);

/*
 * vhost_user_vring_update - run or stop the ring as its state asks for
 *
 * Returns 0; or why a ring that should run does not: -EFAULT when its memory is
 * missing, -EPERM when features are, or an error of balloon_queue_start().
 */
int vhost_user_vring_update(struct vhost_user_vring *vring);
/* Updates all rings after the VMM has changed the memory. */
void vhost_user_vrings_relocate(struct vhost_user *vu);
/* Translates the ring's addresses into the guest's; false when they are not in its memory. */
bool vhost_user_vring_describe(const struct vhost_user_vring *vring, struct virtqueue_setup *setup);

/*
 * vhost_user_vring_set_kick - set the descriptor for kicks, and start the ring
 * @fd: owned by the ring, closed on failure; -1 to poll the ring instead
 *
 * Returns -EBADF when @fd cannot carry signals (signal_fd.h), or as vhost_user_vring_update().
 */
int vhost_user_vring_set_kick(struct vhost_user_vring *vring, int fd);
/*
 * vhost_user_vring_set_signal - set the descriptor for calls or errors
 * @signal: the ring's call or err
 * @fd: owned by the ring, closed on failure; -1 for none
 *
 * Returns 0, or -EBADF when @fd cannot carry signals.
 */
int vhost_user_vring_set_signal(struct vhost_user_signal *signal, int fd);
/* Signals call or err; one that cannot be written to is closed. */
void vhost_user_vring_signal(struct vhost_user_signal *signal);
/* Stops the ring, for GET_VRING_BASE; returns the base where another backend would continue. */
uint32_t vhost_user_vring_stop(struct vhost_user_vring *vring);
/* Enables or disables all rings. */
void vhost_user_vrings_enable(struct vhost_user *vu, bool enabled);
/* True when any ring is running. */
bool vhost_user_any_vring_runs(const struct vhost_user *vu);
/* True when all rings that were started are running, and there is at least one. */
bool vhost_user_all_vrings_run(const struct vhost_user *vu);

/* Resets the device for a new driver with these features; false when they are refused. */
bool vhost_user_begin_driver(struct vhost_user *vu, uint64_t features);
/* Resets the device and the rings; only call and error file descriptors stay. */
void vhost_user_reset(struct vhost_user *vu);

#endif
