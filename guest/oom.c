// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relief when the guest is out of memory, if the host allows it
 * (VIRTIO_BALLOON_F_DEFLATE_ON_OOM).
 *
 * The kernel asks its notifiers before it kills.  64 MiB a call is enough that
 * a process that grows asks seldom, and little enough that the host keeps what
 * it can.  The balloon stays away from what it gave for a while: without that
 * pause it takes back at once what the next allocation needs.
 *
 * Whoever is out of memory waits here, with the whole system behind him.  So
 * the device is waited for at most a second, and the worker for a tenth of it.
 */
#include <linux/moduleparam.h>
#include <linux/oom.h>
#include <linux/sched.h>

#include "balloon.h"

#define NOTIFY_PRIORITY 80
#define DEVICE_PATIENCE HZ
#define WORKER_PATIENCE (HZ / 10)
#define RELIEF (5 * HZ)

static unsigned int oom_mib = 64;
module_param(oom_mib, uint, 0644);
MODULE_PARM_DESC(oom_mib, "What a guest out of memory is given at a time, in MiB (default: 64)");

/* False: the worker has it, and does not let go; what it deflated meanwhile is put in @freed. */
static bool lock_soon(struct balloon *b, unsigned long *freed)
{
	unsigned long deadline = jiffies + WORKER_PATIENCE;
	long before = atomic_long_read(&b->counters[COUNT_deflated]);

	while (!mutex_trylock(&b->lock)) {
		if (time_after(jiffies, deadline)) {
			*freed += atomic_long_read(&b->counters[COUNT_deflated]) - before;
			return false;
		}
		schedule_timeout_uninterruptible(1);
	}
	return true;
}

static unsigned long relieve(struct balloon *b, unsigned long want)
{
	unsigned long given = held_give_back(b);
	long done = 0;

	while (given < want && atomic_long_read(&b->size)) {
		done = deflate_some(b, want - given, DEVICE_PATIENCE);
		if (done <= 0)
			break;
		given += done;
	}
	/* Not free before the host knows. */
	if (b->must_tell && !deflate_settle(b, DEVICE_PATIENCE))
		return 0;
	return given;
}

/* It still has to go where the host wants it. */
static void come_back_later(struct balloon *b)
{
	unsigned long flags;

	spin_lock_irqsave(&b->running_lock, flags);
	if (b->running)
		queue_delayed_work(b->wq, &b->resize, RELIEF + 1);
	spin_unlock_irqrestore(&b->running_lock, flags);
}

static int out_of_memory_notify(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct balloon *b = container_of(nb, struct balloon, oom_nb);
	unsigned long given;

	WRITE_ONCE(b->relief_until, jiffies + RELIEF);
	WRITE_ONCE(b->relieved, true);
	if (!balloon_running(b) || !lock_soon(b, freed))
		return NOTIFY_OK;
	given = relieve(b, (unsigned long)oom_mib << (20 - PAGE_SHIFT));
	mutex_unlock(&b->lock);
	*(unsigned long *)freed += given;
	count(b, COUNT_oom_relief, given);
	resize_publish(b, true);
	if (given)
		come_back_later(b);
	return NOTIFY_OK;
}

int oom_start(struct balloon *b)
{
	if (!virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		return 0;
	b->oom_nb.notifier_call = out_of_memory_notify;
	b->oom_nb.priority = NOTIFY_PRIORITY;
	return register_oom_notifier(&b->oom_nb);
}

void oom_stop(struct balloon *b)
{
	if (virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		unregister_oom_notifier(&b->oom_nb);
}
