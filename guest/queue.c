// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtqueue that several threads share, with several requests in flight.
 *
 * The worker, compaction and the OOM notifier each send requests of their own,
 * at times to the same queue.  So nobody takes "the next used buffer" for his:
 * whoever looks (the interrupt, or a thread that waits) collects all that the
 * device has returned, and each request tells for itself whether it is out.
 *
 * A wait ends in vain when the driver is stopping or the device is gone; then
 * the request stays in flight, and is the caller's again after the device's
 * reset.  Waits are idle: a device that never answers is no hung task.
 */
#include "balloon.h"

/* A device that was torn out wakes nobody. */
#define LOOK_AGAIN (HZ / 4)

void queue_init(struct balloon *b, struct balloon_queue *q, struct virtqueue *vq)
{
	q->balloon = b;
	q->vq = vq;
	spin_lock_init(&q->lock);
}

static void collect(struct balloon_queue *q)
{
	struct balloon_request *r;
	unsigned int length;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	while ((r = virtqueue_get_buf(q->vq, &length)))
		smp_store_release(&r->in_flight, false); /* for is_back() */
	spin_unlock_irqrestore(&q->lock, flags);
}

static struct balloon_queue *queue_of(struct balloon *b, struct virtqueue *vq)
{
	if (vq == b->inflate.vq)
		return &b->inflate;
	return vq == b->deflate.vq ? &b->deflate : &b->reporting;
}

void queue_acked(struct virtqueue *vq)
{
	struct balloon *b = vq->vdev->priv;

	collect(queue_of(b, vq));
	wake_up_all(&b->acked);
}

/**
 * queue_send() - give a buffer to the device
 * @q: the queue
 * @r: the request that it belongs to, not in flight
 * @sg: the buffer, which stays there until the request is back
 * @nr_sg: its parts
 * @device_writes: the device may write to it (a rule of the reporting queue)
 *
 * Return: 0, -ENOSPC when the ring is full, -EIO when the device is broken.
 */
int queue_send(struct balloon_queue *q, struct balloon_request *r, struct scatterlist *sg,
	       unsigned int nr_sg, bool device_writes)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&q->lock, flags);
	if (device_writes)
		err = virtqueue_add_inbuf(q->vq, sg, nr_sg, r, GFP_ATOMIC);
	else
		err = virtqueue_add_outbuf(q->vq, sg, nr_sg, r, GFP_ATOMIC);
	if (!err) {
		r->in_flight = true;
		virtqueue_kick(q->vq);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (!err)
		count(q->balloon, COUNT_requests, 1);
	return err;
}

static bool is_back(struct balloon_request *r)
{
	return !smp_load_acquire(&r->in_flight); /* from collect() */
}

static bool in_vain(struct balloon_queue *q)
{
	return READ_ONCE(q->balloon->hurried) || virtqueue_is_broken(q->vq);
}

/**
 * queue_wait() - wait until the device has returned a request
 * @q: the queue
 * @r: the request; one that is not in flight is back
 * @patience: in jiffies, or MAX_SCHEDULE_TIMEOUT
 *
 * Return: true when it is back; false when it is late, or will never come
 * while the driver is stopping or the device is broken.
 */
bool queue_wait(struct balloon_queue *q, struct balloon_request *r, unsigned long patience)
{
	struct balloon *b = q->balloon;
	unsigned long nap;

	if (is_back(r))
		return true;
	collect(q);
	if (is_back(r))
		return true;
	count(b, COUNT_waits, 1);
	while (patience && !in_vain(q)) {
		nap = min_t(unsigned long, patience, LOOK_AGAIN);
		if (patience != MAX_SCHEDULE_TIMEOUT)
			patience -= nap;
		wait_event_idle_timeout(b->acked, is_back(r) || in_vain(q), nap);
		collect(q);
		if (is_back(r))
			return true;
	}
	return false;
}
