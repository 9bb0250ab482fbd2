// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relief when the guest is out of memory, if the host allows it
 * (VIRTIO_BALLOON_F_DEFLATE_ON_OOM).
 *
 * The kernel calls its OOM notifiers before it kills.  64 MiB per call is enough
 * that a growing process needs few calls, and little enough that the host keeps
 * what it can.  After that the balloon takes nothing for a while: otherwise it
 * would at once take back what the next allocation needs.
 *
 * The thread that is out of memory waits here, and the whole system behind it.
 * So the device gets a second to answer, and the worker a tenth of a second to
 * release the lock.  The latter is counted in sleeps: a virtual CPU that the host
 * did not run has given the worker no time, though the clock went on.
 */
#include <linux/moduleparam.h>
#include <linux/oom.h>
#include <linux/sched.h>

#include "balloon.h"

#define NOTIFIER_PRIORITY 80
#define LOCK_SLEEPS (HZ / 10) /* of a jiffy each */
#define RELIEF_PAUSE (5 * HZ)

static unsigned int oom_mib = 64;
module_param(oom_mib, uint, 0644);
MODULE_PARM_DESC(oom_mib, "MiB to return each time the guest is out of memory (default: 64)");

/*
 * Returns false if the worker keeps the lock; what it has deflated meanwhile is
 * added to @freed.
 */
static bool lock_for_relief(struct virtio_balloon *vb, unsigned long *freed)
{
	long before = vb_read_counter(vb, VB_COUNT_deflated);

	for (int left = LOCK_SLEEPS; !mutex_trylock(&vb->lock); left--) {
		if (!left) {
			*freed += vb_read_counter(vb, VB_COUNT_deflated) - before;
			return false;
		}
		schedule_timeout_uninterruptible(1);
	}
	return true;
}

static unsigned long relieve_guest(struct virtio_balloon *vb, unsigned long want)
{
	unsigned long given = vb_held_free(vb);
	long done = 0;

	while (given < want && vb_pages_count(vb)) {
		done = vb_deflate_pages(vb, want - given, VB_DEVICE_TIMEOUT);
		if (done <= 0)
			break;
		given += done;
	}
	/* The pages are not free before the host knows. */
	if (vb->must_tell_host && !vb_deflate_wait(vb, VB_DEVICE_TIMEOUT))
		return 0;
	return given;
}

static void resize_after_pause(struct virtio_balloon *vb)
{
	vb_resize_later(vb, RELIEF_PAUSE + 1);
}

static int notify_out_of_memory(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct virtio_balloon *vb = container_of(nb, struct virtio_balloon, oom.nb);
	unsigned long given = 0;

	vb_floor_pause(vb, RELIEF_PAUSE, RELIEF_PAUSE);
	if (!lock_for_relief(vb, freed))
		return NOTIFY_OK;
	/* Under the lock, because the driver takes it before it deletes the queues. */
	if (vb_is_running(vb)) {
		given = relieve_guest(vb, (unsigned long)oom_mib << (20 - PAGE_SHIFT));
		vb_resize_publish(vb, true);
	}
	mutex_unlock(&vb->lock);
	*(unsigned long *)freed += given;
	vb_count(vb, VB_COUNT_oom_relief, given);
	/* The balloon still has to get to its target. */
	if (given)
		vb_call_if_running(vb, resize_after_pause);
	return NOTIFY_OK;
}

int vb_oom_register(struct virtio_balloon *vb)
{
	if (!vb->deflate_on_oom)
		return 0;
	vb->oom.nb.notifier_call = notify_out_of_memory;
	vb->oom.nb.priority = NOTIFIER_PRIORITY;
	return register_oom_notifier(&vb->oom.nb);
}

void vb_oom_unregister(struct virtio_balloon *vb)
{
	if (vb->deflate_on_oom)
		unregister_oom_notifier(&vb->oom.nb);
}
