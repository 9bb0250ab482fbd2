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
 * The device may never answer.  Therefore nobody waits for it longer than a second,
 * and nobody at all once it has let a wait time out, until it returns something
 * again: a silent device costs the guest one second per queue, however many
 * threads need an answer.  Who gives up leaves the request in flight.  It belongs
 * to its sender again after the device's reset, or when the device returns it
 * late.  The worker never waits: the interrupt starts it again (resize.c).
 *
 * The exception is a free page report, whose memory the kernel uses as soon as the
 * report ends.  It ends with the device's reset at the latest, and the driver
 * waits for it only after that.
 *
 * Waits are idle, so that they are not reported as hung tasks.
 */
#include "balloon.h"

void vb_queue_init(struct virtio_balloon *vb, struct vb_queue *q, struct virtqueue *vq)
{
	q->vb = vb;
	q->vq = vq;
	spin_lock_init(&q->lock);
	q->late = false;
}

static void collect_returned(struct vb_queue *q)
{
	struct vb_request *r;
	unsigned int length;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	while ((r = virtqueue_get_buf(q->vq, &length))) {
		WRITE_ONCE(q->late, false);
		smp_store_release(&r->in_flight, false); /* pairs with is_returned() */
	}
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

bool vb_queue_wait(struct vb_queue *q, struct vb_request *r, unsigned long timeout)
{
	struct virtio_balloon *vb = q->vb;

	if (is_returned(r))
		return true;
	collect_returned(q);
	if (is_returned(r))
		return true;
	if (!timeout || READ_ONCE(q->late))
		return false;
	vb_count(vb, VB_COUNT_waits, 1);
	wait_event_idle_timeout(vb->waits.acked, is_returned(r) || virtqueue_is_broken(q->vq),
				timeout);
	collect_returned(q);
	if (is_returned(r))
		return true;
	WRITE_ONCE(q->late, true);
	return false;
}

bool vb_queue_wait_until_reset(struct vb_queue *q, struct vb_request *r)
{
	struct vb_waits *waits = &q->vb->waits;

	wait_event_idle(waits->acked, is_returned(r) || READ_ONCE(waits->is_reset));
	return is_returned(r);
}

void vb_waits_init(struct virtio_balloon *vb)
{
	init_waitqueue_head(&vb->waits.acked);
}

void vb_waits_start(struct virtio_balloon *vb)
{
	vb->waits.is_reset = false;
}

void vb_waits_device_reset(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->waits.is_reset, true);
	wake_up_all(&vb->waits.acked);
}
