/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_FLOOR_H
#define GUEST_FLOOR_H

#include <linux/types.h>

struct virtio_balloon;

/**
 * struct vb_floor - when inflation stops to leave the guest enough
 * @paused: nothing is taken before @paused_until
 * @paused_until: in jiffies
 * @reported: that the balloon is at the floor is in the log
 *
 * Private to floor.c.  @paused and @paused_until are written by vb_floor_pause()
 * without a lock; the rest belongs to the worker.
 */
struct vb_floor {
	bool paused;
	unsigned long paused_until;
	bool reported;
};

/**
 * vb_floor_room() - how much more the balloon may take
 * @vb: the balloon
 *
 * For the worker.  Does not sleep.
 *
 * Return: the number of pages; ULONG_MAX if there is no floor.
 */
unsigned long vb_floor_room(struct virtio_balloon *vb);

/**
 * vb_floor_pause() - let the balloon take nothing for a while
 * @vb: the balloon
 * @delay: in jiffies
 *
 * Any context.
 */
void vb_floor_pause(struct virtio_balloon *vb, unsigned long delay);

/**
 * vb_floor_reset() - the balloon has the size that it should have
 * @vb: the balloon
 *
 * The next stop at the floor is logged again.  For the worker.
 */
void vb_floor_reset(struct virtio_balloon *vb);

#endif
