// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early relief: the guest takes memory back from the balloon by itself, as soon as
 * it is short, if the host allows it (VIRTIO_BALLOON_F_DEFLATE_ON_OOM).
 *
 * Theory of operation
 * -------------------
 * The host notices a guest in need after a second or more.  In a second a process
 * can touch all the memory that is left.  Then the guest swaps, or kills.  The OOM
 * notifier (oom.c) is called only when nothing can be reclaimed any more, and not at
 * all while there is swap.  So a pull begins earlier:
 *
 *	reclaim -> shrinker -> work: deflate 64 MiB -> `actual` -> the host
 *
 * The kernel calls shrinkers when it reclaims.  Ours only queues work, because the
 * task that reclaims may hold any lock.  It begins a pull when little is left to
 * reclaim but the memory of processes: what is available, mostly page cache, is less
 * than a sixteenth of what the guest has.  A guest that streams files through its
 * cache reclaims all the time, but most of its memory is available.  The same
 * condition excludes reclaim for the sake of large blocks, while there is enough
 * memory in pieces.  The balloon's own worker reclaims, too, when it inflates; that
 * begins no pull.  Reclaim because of a limit within the guest does not call it.
 *
 * A pull ends when its pages are free, and the next one begins with the next call.
 * The work does not wait for the device: it sends what the ring takes, and the
 * device's interrupt queues it again.  So a device that holds acknowledgements back,
 * or never answers, keeps nobody from stopping, nor from OOM relief.
 *
 * After a pull the balloon does not grow: for five seconds in any case, and then until
 * the host sets another target, or until thirty seconds have passed.  The host learns
 * of the pull from `actual`.  While early relief is in effect, the balloon leaves at
 * least a sixteenth of the guest's memory available (floor.c), or else an inflation
 * would begin pulls.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "balloon.h"

#define PAUSE_LEAST (5 * HZ)
#define PAUSE_MOST (30 * HZ)

static unsigned int relief_mib = 64;
module_param(relief_mib, uint, 0644);
MODULE_PARM_DESC(relief_mib, "MiB to take back each time the guest is short (default: 64)");

static unsigned long get_pull_pages(struct virtio_balloon *vb)
{
	return min((unsigned long)relief_mib << (20 - PAGE_SHIFT),
		   (unsigned long)vb_pages_count(vb));
}

bool vb_relief_is_on(struct virtio_balloon *vb)
{
	return READ_ONCE(relief_mib) && vb_floor_relief(vb);
}

static void resize_after_pull(struct virtio_balloon *vb)
{
	vb_resize_later(vb, PAUSE_LEAST + 1);
}

/* Deflates what the ring takes.  Under vb->lock.  Returns whether all of the pull is free. */
static bool deflate_pull(struct virtio_balloon *vb)
{
	struct vb_relief *r = &vb->relief;
	long done;

	while (r->left && vb_is_running(vb)) {
		done = vb_deflate_pages(vb, r->left, 0);
		if (done < 0)
			return false;
		if (!done)
			break; /* the balloon is empty, or compaction has its pages */
		vb_count(vb, VB_COUNT_early_relief, done);
		r->left -= min_t(unsigned long, r->left, done);
	}
	return !vb->must_tell_host || vb_deflate_wait(vb, 0);
}

static void relieve_early_work(struct work_struct *work)
{
	struct virtio_balloon *vb = container_of(work, struct virtio_balloon, relief.work);
	bool ended;

	vb_floor_pause(vb, PAUSE_LEAST, PAUSE_MOST);
	mutex_lock(&vb->lock);
	ended = deflate_pull(vb);
	mutex_unlock(&vb->lock);
	vb_resize_publish(vb, true);
	if (!ended)
		return; /* until the device has returned a request */
	WRITE_ONCE(vb->relief.pulling, false);
	vb_call_if_running(vb, resize_after_pull);
}

/* Called by vb_call_if_running(), hence by one thread at a time. */
static void begin_pull(struct virtio_balloon *vb)
{
	unsigned long pages = get_pull_pages(vb);

	if (!pages || READ_ONCE(vb->relief.pulling))
		return;
	vb->relief.left = pages;
	WRITE_ONCE(vb->relief.pulling, true);
	vb_count(vb, VB_COUNT_pulls, 1);
	queue_work(vb->relief.wq, &vb->relief.work);
}

static unsigned long notice_reclaim(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct virtio_balloon *vb = vb_shrinker_owner(shrinker);

	/* The flag is that of kswapd and of direct reclaim, not of drop_caches. */
	if (current->flags & PF_MEMALLOC && !READ_ONCE(vb->relief.asleep) &&
	    !READ_ONCE(vb->relief.pulling) && !vb_resize_is_worker(vb) &&
	    si_mem_available() < (long)vb_floor_relief(vb))
		vb_call_if_running(vb, begin_pull);
	return 0;
}

static unsigned long scan_nothing(struct shrinker *shrinker, struct shrink_control *sc)
{
	return SHRINK_STOP;
}

int vb_relief_register(struct virtio_balloon *vb)
{
	struct vb_relief *r = &vb->relief;
	int err;

	if (!vb->deflate_on_oom)
		return 0;
	r->wq = alloc_workqueue("virtio_balloon_relief",
				WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (!r->wq)
		return -ENOMEM;
	INIT_WORK(&r->work, relieve_early_work);
	err = vb_shrinker_register(&r->shrinker, notice_reclaim, scan_nothing, vb);
	if (err)
		destroy_workqueue(r->wq);
	return err;
}

void vb_relief_unregister(struct virtio_balloon *vb)
{
	if (!vb->deflate_on_oom)
		return;
	vb_shrinker_unregister(&vb->relief.shrinker);
	destroy_workqueue(vb->relief.wq);
}

void vb_relief_stop(struct virtio_balloon *vb)
{
	if (!vb->deflate_on_oom)
		return;
	cancel_work_sync(&vb->relief.work);
	WRITE_ONCE(vb->relief.pulling, false);
}

void vb_relief_continue(struct virtio_balloon *vb)
{
	if (READ_ONCE(vb->relief.pulling))
		queue_work(vb->relief.wq, &vb->relief.work);
}

void vb_relief_set_asleep(struct virtio_balloon *vb, bool asleep)
{
	WRITE_ONCE(vb->relief.asleep, asleep);
}
