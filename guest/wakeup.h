/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_WAKEUP_H
#define GUEST_WAKEUP_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct virtio_balloon;

/* Why the system must stay awake: the device waits for the balloon, or for statistics. */
enum { VB_WAKEUP_RESIZE = 1, VB_WAKEUP_STATS = 2 };

/**
 * struct vb_wakeup - what keeps the system awake
 * @lock: protects the rest; taken in hard interrupts
 * @reasons: VB_WAKEUP_… bits that no worker has claimed yet
 * @awake: pm_stay_awake() is in effect
 *
 * Private to wakeup.c.
 */
struct vb_wakeup {
	spinlock_t lock;
	unsigned int reasons;
	bool awake;
};

/**
 * vb_wakeup_init() - initialise, and let the device wake the system
 * @vb: the balloon
 */
void vb_wakeup_init(struct virtio_balloon *vb);

/**
 * vb_wakeup_begin() - keep the system awake from now on
 * @vb: the balloon
 * @reason: a VB_WAKEUP_… bit
 *
 * Any context, hard interrupts included.
 */
void vb_wakeup_begin(struct virtio_balloon *vb, unsigned int reason);

/**
 * vb_wakeup_claim() - a worker is about to deal with a reason
 * @vb: the balloon
 * @reason: a VB_WAKEUP_… bit
 *
 * Called before the worker looks at what the device wants.  The system stays
 * awake until vb_wakeup_end().  Any context.
 */
void vb_wakeup_claim(struct virtio_balloon *vb, unsigned int reason);

/**
 * vb_wakeup_end() - a worker is done
 * @vb: the balloon
 *
 * The system may sleep, unless there is a reason that was not claimed.
 * Any context.
 */
void vb_wakeup_end(struct virtio_balloon *vb);

#endif
