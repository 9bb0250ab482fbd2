// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether events (the device's interrupts, running out of memory) may start
 * work.
 *
 * The driver stops by switching this off and then cancelling its work.  An event
 * therefore checks and queues its work under one lock, or else it could queue
 * work that has just been cancelled.
 */
#include "balloon.h"

void vb_running_init(struct virtio_balloon *vb)
{
	spin_lock_init(&vb->running.lock);
}

void vb_set_running(struct virtio_balloon *vb, bool on)
{
	spin_lock_irq(&vb->running.lock);
	vb->running.on = on;
	spin_unlock_irq(&vb->running.lock);
}

bool vb_is_running(struct virtio_balloon *vb)
{
	return READ_ONCE(vb->running.on);
}

void vb_call_if_running(struct virtio_balloon *vb, void (*start_work)(struct virtio_balloon *vb))
{
	unsigned long flags;

	spin_lock_irqsave(&vb->running.lock, flags);
	if (vb->running.on)
		start_work(vb);
	spin_unlock_irqrestore(&vb->running.lock, flags);
}
