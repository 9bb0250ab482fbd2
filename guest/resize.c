// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker: brings the balloon to the size that the host wants, step by step.
 *
 * A step is one request.  Each step is queued as new work, so that the freezing
 * of workqueues and a new target take effect between any two.  If the worker gets
 * no memory, or is at the floor, it tries again after 100 ms, then at intervals
 * that grow to one second.
 *
 * The worker does not wait for the device, which may never answer: suspend and
 * unload wait for the worker.  A step that needs an answer ends, and the device's
 * interrupt queues the work again (@awaiting).  If that takes longer than a second
 * the balloon no longer keeps the system awake, but the worker still looks once a
 * second: a thread that collects what the device returned, at that very moment, can
 * keep the device from sending an interrupt.
 *
 * The host reads the balloon's size in `actual`.  Writing that costs an exit of
 * the guest, so it is written every 50 ms at most, and at the end.
 */
#include "balloon.h"

#define PUBLISH_INTERVAL msecs_to_jiffies(50)
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 1000

enum step_result {
	STEP_DONE,   /* until the target changes, or a retry is due */
	STEP_MORE,   /* there is more to do at once */
	STEP_AWAITS, /* the device has to return something first */
};

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
	unsigned long before = resize->target;
	u32 num_pages;

	if (READ_ONCE(resize->target_stale)) {
		WRITE_ONCE(resize->target_stale, false);
		virtio_cread_le(vb->vdev, struct virtio_balloon_config, num_pages, &num_pages);
		/* Part of a page cannot be given. */
		resize->target = DIV_ROUND_UP(num_pages, VB_PFNS_PER_PAGE);
		if (resize->target != before)
			vb_floor_end_pause(vb);
	}
	return (long)resize->target - vb_pages_count(vb) - (long)vb_inflate_in_flight(vb);
}

static long deflate_step(struct virtio_balloon *vb, unsigned long want)
{
	long done;

	if (!vb_inflate_settle(vb))
		return -EAGAIN;
	mutex_lock(&vb->lock);
	done = vb_deflate_pages(vb, want, 0);
	mutex_unlock(&vb->lock);
	return done;
}

static void retry_later(struct virtio_balloon *vb)
{
	vb_count(vb, VB_COUNT_retries, 1);
	vb_resize_later(vb, msecs_to_jiffies(vb->resize.retry_ms));
	vb->resize.retry_ms = min(2 * vb->resize.retry_ms, RETRY_LAST_MS);
}

/* The balloon has its size, and is done when the device has read every deflation, too. */
static enum step_result finish_resize(struct virtio_balloon *vb)
{
	bool settled;

	mutex_lock(&vb->lock);
	settled = vb_deflate_wait(vb, 0);
	mutex_unlock(&vb->lock);
	if (!settled)
		return STEP_AWAITS;
	vb_harvest_finish(vb);
	vb_resize_publish(vb, true);
	vb->resize.retry_ms = RETRY_FIRST_MS;
	vb_floor_reset(vb);
	return STEP_DONE;
}

static enum step_result take_resize_step(struct virtio_balloon *vb)
{
	long missing = get_missing_pages(vb), done;

	if (!missing && !vb_inflate_in_flight(vb))
		return finish_resize(vb);
	if (missing > 0)
		done = vb_inflate_pages(vb, missing);
	else if (missing < 0)
		done = deflate_step(vb, -missing);
	else
		done = vb_inflate_settle(vb) ? 1 : -EAGAIN;
	if (done > 0) {
		vb->resize.retry_ms = RETRY_FIRST_MS;
		vb_resize_publish(vb, false);
		return STEP_MORE;
	}
	if (done < 0 && done != -EAGAIN)
		return STEP_DONE; /* the device is broken */
	if (done == -EAGAIN || !vb_inflate_settle(vb))
		return STEP_AWAITS;
	vb_harvest_finish(vb);
	vb_resize_publish(vb, true);
	retry_later(vb);
	return STEP_DONE;
}

static void resize_balloon_work(struct work_struct *work)
{
	struct virtio_balloon *vb =
		container_of(to_delayed_work(work), struct virtio_balloon, resize.work);
	bool awaited = vb->resize.awaiting;
	enum step_result result;

	vb_wakeup_claim(vb, VB_WAKEUP_RESIZE);
	/* Before the step looks at the rings: what is returned after that queues the work. */
	WRITE_ONCE(vb->resize.awaiting, true);
	WRITE_ONCE(vb->resize.worker, current);
	result = take_resize_step(vb);
	WRITE_ONCE(vb->resize.worker, NULL);
	WRITE_ONCE(vb->resize.awaiting, result == STEP_AWAITS);
	if (result == STEP_AWAITS)
		vb_count(vb, VB_COUNT_waits, 1);
	if (result == STEP_MORE)
		vb_resize_later(vb, 0);
	else if (result == STEP_AWAITS)
		vb_resize_later(vb, VB_DEVICE_TIMEOUT);
	if (result == STEP_DONE || (result == STEP_AWAITS && awaited))
		vb_wakeup_end(vb);
}

bool vb_resize_is_worker(struct virtio_balloon *vb)
{
	return READ_ONCE(vb->resize.worker) == current;
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
	vb->resize.awaiting = false;
	vb_wakeup_claim(vb, VB_WAKEUP_RESIZE);
	vb_wakeup_end(vb);
}

void vb_resize_request(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->resize.target_stale, true);
	vb_wakeup_begin(vb, VB_WAKEUP_RESIZE);
	mod_delayed_work(vb->wq, &vb->resize.work, 0);
}

void vb_resize_continue(struct virtio_balloon *vb)
{
	if (READ_ONCE(vb->resize.awaiting))
		mod_delayed_work(vb->wq, &vb->resize.work, 0);
}

void vb_resize_later(struct virtio_balloon *vb, unsigned long delay)
{
	queue_delayed_work(vb->wq, &vb->resize.work, delay);
}
