/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_RUNNING_H
#define GUEST_RUNNING_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct virtio_balloon;

/**
 * struct vb_running - whether events may start work
 * @lock: protects @on, and is held while an event starts work; taken in hard
 *	interrupts
 * @on: from the device being ready until the driver begins to stop
 *
 * Private to running.c.
 */
struct vb_running {
	spinlock_t lock;
	bool on;
};

/**
 * vb_running_init() - initialise; the balloon is not running
 * @vb: the balloon
 */
void vb_running_init(struct virtio_balloon *vb);

/**
 * vb_set_running() - let events start work, or stop them
 * @vb: the balloon
 * @on: whether they may
 *
 * When this returns for a false @on, no vb_call_if_running() is in progress and
 * none will call anything.  Process context; does not sleep.
 */
void vb_set_running(struct virtio_balloon *vb, bool on);

/**
 * vb_is_running() - whether the balloon runs
 * @vb: the balloon
 *
 * The answer may be stale at once; to start work use vb_call_if_running().
 * Any context.
 *
 * Return: false before the device is ready, and once the driver is stopping.
 */
bool vb_is_running(struct virtio_balloon *vb);

/**
 * vb_call_if_running() - start work, unless the driver is stopping
 * @vb: the balloon
 * @start_work: called with interrupts off; may queue work, must not sleep
 *
 * Work that is queued here is cancelled by the driver when it stops: none is
 * queued after that.  Any context, hard interrupts included.
 */
void vb_call_if_running(struct virtio_balloon *vb, void (*start_work)(struct virtio_balloon *vb));

#endif
