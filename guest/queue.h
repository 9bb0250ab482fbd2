/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_QUEUE_H
#define GUEST_QUEUE_H

#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct vb_request;
struct virtio_balloon;
struct virtqueue;

/**
 * struct vb_queue - a virtqueue to which any thread may send requests
 * @vb: the balloon
 * @vq: the virtqueue, or NULL if the device does not have it
 * @lock: protects the ring; taken in hard interrupts
 *
 * Others may read @vq, to see whether it exists and how large its ring is.
 */
struct vb_queue {
	struct virtio_balloon *vb;
	struct virtqueue *vq;
	spinlock_t lock;
};

/**
 * struct vb_waits - waiting for the device
 * @acked: woken when the device has returned something, and when waits end
 * @cancelled: the driver is stopping: waits end without result
 * @is_reset: the device was reset, and uses no buffer any more
 *
 * Private to queue.c.  Written while the driver starts and stops, read without
 * a lock.
 */
struct vb_waits {
	wait_queue_head_t acked;
	bool cancelled;
	bool is_reset;
};

/**
 * vb_queue_init() - set up a queue
 * @vb: the balloon
 * @q: the queue, one of @vb's
 * @vq: its virtqueue, or NULL
 */
void vb_queue_init(struct virtio_balloon *vb, struct vb_queue *q, struct virtqueue *vq);

/**
 * vb_queue_interrupt() - virtqueue callback: the device has returned buffers
 * @vq: the virtqueue of one of the device's &struct vb_queue
 *
 * Hard interrupt context.
 */
void vb_queue_interrupt(struct virtqueue *vq);

/**
 * vb_queue_send() - give the buffer of a request to the device
 * @q: the queue
 * @r: the request, not in flight
 * @sg: the buffer, which must stay in place until the request is back
 * @nr_sg: number of its parts
 * @device_writes: the device may write to it (a rule of the reporting queue)
 *
 * Does not sleep or allocate.
 *
 * Return: 0, -ENOSPC if the ring is full, or -EIO if the device is broken.
 */
int vb_queue_send(struct vb_queue *q, struct vb_request *r, struct scatterlist *sg,
		  unsigned int nr_sg, bool device_writes);

/**
 * vb_queue_wait() - wait until the device has returned a request
 * @q: the queue
 * @r: the request; one that is not in flight counts as returned
 * @timeout: in jiffies, or MAX_SCHEDULE_TIMEOUT
 *
 * May sleep, in an idle state, unless @timeout is 0.
 *
 * Return: true when the request is back; false if it is late, or will not come
 * back because waits are cancelled or the device is broken.
 */
bool vb_queue_wait(struct vb_queue *q, struct vb_request *r, unsigned long timeout);

/**
 * vb_waits_init() - initialise, once per device
 * @vb: the balloon
 */
void vb_waits_init(struct virtio_balloon *vb);

/**
 * vb_waits_start() - the device is about to be used: waiting makes sense
 * @vb: the balloon
 */
void vb_waits_start(struct virtio_balloon *vb);

/**
 * vb_waits_cancel() - end all waits, and all that begin later
 * @vb: the balloon
 *
 * Any context.
 */
void vb_waits_cancel(struct virtio_balloon *vb);

/**
 * vb_waits_resume() - allow waits again, while the driver is stopping
 * @vb: the balloon
 */
void vb_waits_resume(struct virtio_balloon *vb);

/**
 * vb_waits_device_reset() - the device has been reset
 * @vb: the balloon
 *
 * Wakes those in vb_wait_for_reset().
 */
void vb_waits_device_reset(struct virtio_balloon *vb);

/**
 * vb_wait_for_reset() - wait until the device has been reset
 * @vb: the balloon
 *
 * For memory that the device may use until then.  Sleeps, in an idle state.
 */
void vb_wait_for_reset(struct virtio_balloon *vb);

#endif
