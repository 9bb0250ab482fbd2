// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system stays awake while the device waits for an answer.
 *
 * Theory of operation
 * -------------------
 * The device's interrupt wakes a system that is asleep, but the work that it
 * asks for is done in a worker, by which time the system might sleep again.  So
 * a question keeps the system awake from the interrupt on (wakeup_begin) until
 * a worker has dealt with it (wakeup_end).  A worker takes the reason away
 * before it looks at the question (wakeup_taken): whatever comes later is a
 * reason of its own, and outlives this wakeup_end.
 */
#include <linux/device.h>

#include "balloon.h"

void wakeup_init(struct balloon *b)
{
	spin_lock_init(&b->wakeup.lock);
	device_set_wakeup_capable(&b->vdev->dev, true);
}

void wakeup_begin(struct balloon *b, unsigned int reason)
{
	struct balloon_wakeup *wakeup = &b->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	wakeup->reasons |= reason;
	if (!wakeup->awake) {
		wakeup->awake = true;
		pm_stay_awake(&b->vdev->dev);
	}
	spin_unlock_irqrestore(&wakeup->lock, flags);
}

void wakeup_taken(struct balloon *b, unsigned int reason)
{
	struct balloon_wakeup *wakeup = &b->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	wakeup->reasons &= ~reason;
	spin_unlock_irqrestore(&wakeup->lock, flags);
}

void wakeup_end(struct balloon *b)
{
	struct balloon_wakeup *wakeup = &b->wakeup;
	unsigned long flags;

	spin_lock_irqsave(&wakeup->lock, flags);
	if (!wakeup->reasons && wakeup->awake) {
		wakeup->awake = false;
		pm_relax(&b->vdev->dev);
	}
	spin_unlock_irqrestore(&wakeup->lock, flags);
}
