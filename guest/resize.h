/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_RESIZE_H
#define GUEST_RESIZE_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct virtio_balloon;

/**
 * struct vb_resize - the worker
 * @work: one step
 * @target: pages that the balloon should have; the worker's
 * @target_stale: @target has to be read from the device; set in any context
 * @worker: the thread that takes a step, or NULL
 * @retry_ms: delay of the next retry; the worker's
 * @awaiting: the device has to return something before the next step; written by
 *	the worker, read in any context
 * @actual_lock: protects the rest; may be held while the device is accessed
 * @actual_written: what the device's `actual` is
 * @actual_time: when that was written, in jiffies
 *
 * Private to resize.c.
 */
struct vb_resize {
	struct delayed_work work;
	unsigned long target;
	bool target_stale;
	struct task_struct *worker;
	unsigned int retry_ms;
	bool awaiting;
	struct mutex actual_lock;
	u32 actual_written;
	unsigned long actual_time;
};

/**
 * vb_resize_init() - initialise, once per device
 * @vb: the balloon
 */
void vb_resize_init(struct virtio_balloon *vb);

/**
 * vb_resize_start() - write the balloon's size to the device, and begin
 * @vb: the balloon, which runs
 *
 * May sleep.
 */
void vb_resize_start(struct virtio_balloon *vb);

/**
 * vb_resize_stop() - wait for the current step, and do no more
 * @vb: the balloon, which does not run any more
 *
 * May sleep.
 */
void vb_resize_stop(struct virtio_balloon *vb);

/**
 * vb_resize_request() - the target may have changed
 * @vb: the balloon
 *
 * Any context.
 */
void vb_resize_request(struct virtio_balloon *vb);

/**
 * vb_resize_continue() - the device has returned something
 * @vb: the balloon, which runs
 *
 * Makes the worker take the step for which that was missing.  Any context.
 */
void vb_resize_continue(struct virtio_balloon *vb);

/**
 * vb_resize_later() - make sure that the worker runs
 * @vb: the balloon
 * @delay: in jiffies, unless it is going to run anyway
 *
 * Any context.
 */
void vb_resize_later(struct virtio_balloon *vb, unsigned long delay);

/**
 * vb_resize_is_worker() - whether the caller is a step of the worker
 * @vb: the balloon
 *
 * Also if the worker is in the kernel's allocator.  Any context.
 *
 * Return: true in the worker.
 */
bool vb_resize_is_worker(struct virtio_balloon *vb);

/**
 * vb_resize_publish() - write the balloon's size to the device
 * @vb: the balloon
 * @now: even if the last time was a moment ago
 *
 * May sleep.  An exit of the guest if the size is not what was written last.
 */
void vb_resize_publish(struct virtio_balloon *vb, bool now);

#endif
