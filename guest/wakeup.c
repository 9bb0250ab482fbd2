// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the system awake while the device waits for an answer.
 *
 * Theory of operation
 * -------------------
 * The device's interrupt wakes a system that is asleep, but a worker does what
 * it asks for, and before that worker runs the system might go to sleep again.
 * So the interrupt keeps the system awake (vb_wakeup_begin) until a worker has
 * dealt with the request (vb_wakeup_end).  The worker claims the reason before
 * it looks at the request (vb_wakeup_claim).  A request that comes later is a
 * new reason, which this vb_wakeup_end leaves in place.
 */
#include <linux/device.h>

#include "balloon.h"

void vb_wakeup_init(struct virtio_balloon *vb)
{
	spin_lock_init(&vb->wakeup.lock);
	device_set_wakeup_capable(&vb->vdev->dev, true);
}

void vb_wakeup_begin(struct virtio_balloon *vb, unsigned int reason)
{
	struct vb_wakeup *wakeup = &vb->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	wakeup->reasons |= reason;
	if (!wakeup->awake) {
		wakeup->awake = true;
		pm_stay_awake(&vb->vdev->dev);
	}
	spin_unlock_irqrestore(&wakeup->lock, flags);
}

void vb_wakeup_claim(struct virtio_balloon *vb, unsigned int reason)
{
	struct vb_wakeup *wakeup = &vb->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	wakeup->reasons &= ~reason;
	spin_unlock_irqrestore(&wakeup->lock, flags);
}

void vb_wakeup_end(struct virtio_balloon *vb)
{
	struct vb_wakeup *wakeup = &vb->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	if (!wakeup->reasons && wakeup->awake) {
		wakeup->awake = false;
		pm_relax(&vb->vdev->dev);
	}
	spin_unlock_irqrestore(&wakeup->lock, flags);
}
