// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtqueue that several threads share, with several requests in flight.
 *
 * The worker, compaction and the OOM notifier each send requests of their own,
 * at times to the same queue.  So no thread may assume that the next used buffer
 * is its own.  Whoever looks at the ring, the interrupt or a waiting thread,
 * collects all that the device has returned; each request has a flag that says
 * whether it is in flight.
 *
 * A wait fails when the driver is stopping or the device is broken.  The request
 * then stays in flight, and belongs to its sender again after the device's
 * reset.  Waits are idle, so that a device that never answers is not reported as
 * a hung task.
 */
#include "balloon.h"

/* No interrupt comes from a device that was unplugged by surprise, so look now and then. */
#define POLL_INTERVAL (HZ / 4)

void vb_queue_init(struct virtio_balloon *vb, struct vb_queue *q, struct virtqueue *vq)
{
	q->vb = vb;
	q->vq = vq;
	spin_lock_init(&q->lock);
}

static void collect_returned(struct vb_queue *q)
{
	struct vb_request *r;
	unsigned int length;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	while ((r = virtqueue_get_buf(q->vq, &length)))
		smp_store_release(&r->in_flight, false); /* pairs with is_returned() */
	spin_unlock_irqrestore(&q->lock, flags);
}

void vb_queue_interrupt(struct virtqueue *vq)
{
	struct virtio_balloon *vb = vq->vdev->priv;

	if (vq == vb->inflate_vq.vq)
		collect_returned(&vb->inflate_vq);
	else if (vq == vb->deflate_vq.vq)
		collect_returned(&vb->deflate_vq);
	else
		collect_returned(&vb->reporting_vq);
	wake_up_all(&vb->waits.acked);
}

int vb_queue_send(struct vb_queue *q, struct vb_request *r, struct scatterlist *sg,
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
		vb_count(q->vb, VB_COUNT_requests, 1);
	return err;
}

static bool is_returned(struct vb_request *r)
{
	return !smp_load_acquire(&r->in_flight); /* pairs with collect_returned() */
}

static bool is_wait_futile(struct vb_queue *q)
{
	return READ_ONCE(q->vb->waits.cancelled) || virtqueue_is_broken(q->vq);
}

bool vb_queue_wait(struct vb_queue *q, struct vb_request *r, unsigned long timeout)
{
	struct virtio_balloon *vb = q->vb;
	unsigned long nap;

	if (is_returned(r))
		return true;
	collect_returned(q);
	if (is_returned(r))
		return true;
	vb_count(vb, VB_COUNT_waits, 1);
	while (timeout && !is_wait_futile(q)) {
		nap = min_t(unsigned long, timeout, POLL_INTERVAL);
		if (timeout != MAX_SCHEDULE_TIMEOUT)
			timeout -= nap;
		wait_event_idle_timeout(vb->waits.acked, is_returned(r) || is_wait_futile(q), nap);
		collect_returned(q);
		if (is_returned(r))
			return true;
	}
	return false;
}

void vb_waits_init(struct virtio_balloon *vb)
{
	init_waitqueue_head(&vb->waits.acked);
}

void vb_waits_start(struct virtio_balloon *vb)
{
	vb->waits.cancelled = false;
	vb->waits.is_reset = false;
}

void vb_waits_cancel(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->waits.cancelled, true);
	wake_up_all(&vb->waits.acked);
}

void vb_waits_resume(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->waits.cancelled, false);
}

void vb_waits_device_reset(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->waits.is_reset, true);
	wake_up_all(&vb->waits.acked);
}

void vb_wait_for_reset(struct virtio_balloon *vb)
{
	wait_event_idle(vb->waits.acked, READ_ONCE(vb->waits.is_reset));
}
