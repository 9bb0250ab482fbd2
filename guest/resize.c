// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker: brings the balloon to the size that the host wants, step by step.
 *
 * A step is one request.  Each step is queued as new work, so that the freezing
 * of workqueues and a new target take effect between any two.  If the worker gets
 * no memory, or is at the floor, it tries again after 100 ms, then at intervals
 * that grow to one second.
 *
 * The host reads the balloon's size in `actual`.  Writing that costs an exit of
 * the guest, so it is written every 50 ms at most, and at the end.
 */
#include "balloon.h"

#define PUBLISH_INTERVAL msecs_to_jiffies(50)
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 1000

void vb_resize_publish(struct virtio_balloon *vb, bool now)
{
	struct vb_resize *resize = &vb->resize;
	u32 actual;

	mutex_lock(&resize->actual_lock);
	actual = vb_pages_count(vb) * VB_PFNS_PER_PAGE;
	if (actual != resize->actual_written &&
	    (now || time_after(jiffies, resize->actual_time + PUBLISH_INTERVAL))) {
		virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, actual, &actual);
		resize->actual_written = actual;
		resize->actual_time = jiffies;
	}
	mutex_unlock(&resize->actual_lock);
}

/* Pages that the balloon lacks, or has too many of (negative). */
static long get_missing_pages(struct virtio_balloon *vb)
{
	struct vb_resize *resize = &vb->resize;
	u32 num_pages;

	if (READ_ONCE(resize->target_stale)) {
		WRITE_ONCE(resize->target_stale, false);
		virtio_cread_le(vb->vdev, struct virtio_balloon_config, num_pages, &num_pages);
		/* Part of a page cannot be given. */
		resize->target = DIV_ROUND_UP(num_pages, VB_PFNS_PER_PAGE);
	}
	return (long)resize->target - vb_pages_count(vb) - (long)vb_inflate_in_flight(vb);
}

static long deflate_step(struct virtio_balloon *vb, unsigned long want)
{
	long done;

	if (!vb_inflate_wait(vb))
		return -ENODEV;
	mutex_lock(&vb->lock);
	done = vb_deflate_pages(vb, want, MAX_SCHEDULE_TIMEOUT);
	mutex_unlock(&vb->lock);
	return done;
}

static void retry_later(struct virtio_balloon *vb)
{
	vb_count(vb, VB_COUNT_retries, 1);
	vb_resize_later(vb, msecs_to_jiffies(vb->resize.retry_ms));
	vb->resize.retry_ms = min(2 * vb->resize.retry_ms, RETRY_LAST_MS);
}

/* The balloon has its size; wait until the device has read every deflation, too. */
static void finish_resize(struct virtio_balloon *vb)
{
	bool settled;

	mutex_lock(&vb->lock);
	settled = vb_deflate_wait(vb, MAX_SCHEDULE_TIMEOUT);
	mutex_unlock(&vb->lock);
	if (!settled)
		return;
	vb_harvest_finish(vb);
	vb_resize_publish(vb, true);
	vb->resize.retry_ms = RETRY_FIRST_MS;
	vb_floor_reset(vb);
}

/* Returns true if there is more to do at once. */
static bool take_resize_step(struct virtio_balloon *vb)
{
	long missing = get_missing_pages(vb), done;

	if (!missing && !vb_inflate_in_flight(vb)) {
		finish_resize(vb);
		return false;
	}
	if (missing > 0)
		done = vb_inflate_pages(vb, missing);
	else if (missing < 0)
		done = deflate_step(vb, -missing);
	else
		done = vb_inflate_wait(vb) ? 1 : -ENODEV;
	if (done > 0) {
		vb->resize.retry_ms = RETRY_FIRST_MS;
		vb_resize_publish(vb, false);
		return true;
	}
	if (done < 0 || !vb_inflate_wait(vb))
		return false; /* the device is gone, or the driver is stopping */
	vb_harvest_finish(vb);
	vb_resize_publish(vb, true);
	retry_later(vb);
	return false;
}

static void resize_balloon_work(struct work_struct *work)
{
	struct virtio_balloon *vb =
		container_of(to_delayed_work(work), struct virtio_balloon, resize.work);

	vb_wakeup_claim(vb, VB_WAKEUP_RESIZE);
	if (take_resize_step(vb))
		vb_resize_later(vb, 0);
	else
		vb_wakeup_end(vb);
}

void vb_resize_init(struct virtio_balloon *vb)
{
	INIT_DELAYED_WORK(&vb->resize.work, resize_balloon_work);
	mutex_init(&vb->resize.actual_lock);
	vb->resize.target_stale = true;
	vb->resize.retry_ms = RETRY_FIRST_MS;
}

void vb_resize_start(struct virtio_balloon *vb)
{
	/* The device may still have the size of a balloon before this one: write ours in any case.
	 */
	vb->resize.actual_written = U32_MAX;
	vb_resize_publish(vb, true);
	vb_resize_request(vb);
}

void vb_resize_stop(struct virtio_balloon *vb)
{
	cancel_delayed_work_sync(&vb->resize.work);
}

void vb_resize_request(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->resize.target_stale, true);
	vb_wakeup_begin(vb, VB_WAKEUP_RESIZE);
	mod_delayed_work(vb->wq, &vb->resize.work, 0);
}

void vb_resize_later(struct virtio_balloon *vb, unsigned long delay)
{
	queue_delayed_work(vb->wq, &vb->resize.work, delay);
}
