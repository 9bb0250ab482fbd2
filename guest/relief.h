/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_RELIEF_H
#define GUEST_RELIEF_H

#include <linux/types.h>
#include <linux/workqueue.h>

#include "compat.h"

struct virtio_balloon;

/**
 * struct vb_relief - early relief: memory that the guest takes back by itself
 * @wq: for @work only; has a rescuer, as memory is short when it is used
 * @work: deflates
 * @shrinker: called when tasks, or kswapd, reclaim
 * @pulling: a pull is in progress
 * @left: pages that it has still to take out of the balloon
 * @asleep: the system is about to sleep, which reclaims, too
 *
 * Private to relief.c.  @pulling and @left are set by the shrinker while @pulling is
 * false, under the lock of vb_call_if_running(), and belong to @work otherwise.
 */
struct vb_relief {
	struct workqueue_struct *wq;
	struct work_struct work;
	struct vb_shrinker shrinker;
	bool pulling;
	unsigned long left;
	bool asleep;
};

/**
 * vb_relief_register() - let the guest take memory back when it begins to reclaim
 * @vb: the balloon, which does not run yet
 *
 * Does nothing without VIRTIO_BALLOON_F_DEFLATE_ON_OOM; neither do the functions
 * below then.  May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int vb_relief_register(struct virtio_balloon *vb);

/**
 * vb_relief_is_on() - whether the guest takes memory back early
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: true if it does when it is short.
 */
bool vb_relief_is_on(struct virtio_balloon *vb);

/**
 * vb_relief_unregister() - undo vb_relief_register()
 * @vb: the balloon, which does not run any more
 *
 * May sleep.
 */
void vb_relief_unregister(struct virtio_balloon *vb);

/**
 * vb_relief_stop() - end the current pull
 * @vb: the balloon, which does not run any more
 *
 * May sleep, but does not wait for the device.
 */
void vb_relief_stop(struct virtio_balloon *vb);

/**
 * vb_relief_continue() - the device has returned something
 * @vb: the balloon, which runs
 *
 * Any context.
 */
void vb_relief_continue(struct virtio_balloon *vb);

/**
 * vb_relief_set_asleep() - no pull begins while the system goes to sleep
 * @vb: the balloon
 * @asleep: from now on, or not any more
 */
void vb_relief_set_asleep(struct virtio_balloon *vb, bool asleep);

#endif
