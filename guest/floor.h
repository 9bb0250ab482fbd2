/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_FLOOR_H
#define GUEST_FLOOR_H

#include <linux/types.h>

struct virtio_balloon;

/**
 * struct vb_floor - when inflation stops to leave the guest enough
 * @paused: nothing is taken for a while
 * @least_until: in jiffies: until then in any case
 * @most_until: until then, unless the host sets another target
 * @reported: that the balloon is at the floor is in the log
 *
 * Private to floor.c.  The first three are written by vb_floor_pause() without a
 * lock; the rest belongs to the worker.
 */
struct vb_floor {
	bool paused;
	unsigned long least_until;
	unsigned long most_until;
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
 * @least: in jiffies: for this long in any case
 * @most: for this long, unless vb_floor_end_pause() is called
 *
 * Any context.
 */
void vb_floor_pause(struct virtio_balloon *vb, unsigned long least, unsigned long most);

/**
 * vb_floor_end_pause() - the host has set another target
 * @vb: the balloon
 *
 * Ends a pause when it has lasted for as long as it must.  For the worker.
 */
void vb_floor_end_pause(struct virtio_balloon *vb);

/**
 * vb_floor_relief() - below how much available memory the guest is relieved early
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: the number of pages; 0 if there is no early relief.
 */
unsigned long vb_floor_relief(struct virtio_balloon *vb);

/**
 * vb_floor_reset() - the balloon has the size that it should have
 * @vb: the balloon
 *
 * The next stop at the floor is logged again.  For the worker.
 */
void vb_floor_reset(struct virtio_balloon *vb);

#endif
