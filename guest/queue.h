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
 * @late: the device let a wait time out, and has returned nothing since
 *
 * Others may read @vq, to see whether it exists and how large its ring is.
 */
struct vb_queue {
	struct virtio_balloon *vb;
	struct virtqueue *vq;
	spinlock_t lock;
	bool late;
};

/* The longest that anybody waits for the device to return a request, in jiffies. */
#define VB_DEVICE_TIMEOUT HZ

/**
 * struct vb_waits - waiting for the device
 * @acked: woken when the device has returned something, and when it was reset
 * @is_reset: the device was reset, and uses no buffer any more
 *
 * Private to queue.c.  @is_reset is set once in the life of a set of queues.
 */
struct vb_waits {
	wait_queue_head_t acked;
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
 * vb_queue_interrupt() - the device has returned buffers
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
 * @timeout: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * May sleep, in an idle state, unless @timeout is 0.  If the device has let a
 * wait on this queue time out and has returned nothing since, this does not wait
 * either.
 *
 * Return: true when the request is back; false if the device has it still.
 */
bool vb_queue_wait(struct vb_queue *q, struct vb_request *r, unsigned long timeout);

/**
 * vb_queue_wait_until_reset() - wait until the device cannot use a request any more
 * @q: the queue
 * @r: the request
 *
 * For memory that must not be used before.  Sleeps, in an idle state, possibly
 * until the driver stops: nothing that stopping waits for may call it, except
 * what stopping waits for after the device's reset.
 *
 * Return: true when the request is back, false when the device was reset.
 */
bool vb_queue_wait_until_reset(struct vb_queue *q, struct vb_request *r);

/**
 * vb_waits_init() - initialise, once per device
 * @vb: the balloon
 */
void vb_waits_init(struct virtio_balloon *vb);

/**
 * vb_waits_start() - new queues are about to be used
 * @vb: the balloon; nobody waits
 */
void vb_waits_start(struct virtio_balloon *vb);

/**
 * vb_waits_device_reset() - the device has been reset
 * @vb: the balloon
 *
 * Ends all calls of vb_queue_wait_until_reset().
 */
void vb_waits_device_reset(struct virtio_balloon *vb);

#endif
