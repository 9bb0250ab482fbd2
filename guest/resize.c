// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker: goes where the host wants the balloon, a step at a time.
 *
 * A step is one request.  The work is queued anew for each, so that the freezer
 * of workqueues and a new target are heeded between any two.  A worker that can
 * get no memory, or stands at the floor, looks again later, at first after 100
 * ms and at last every second.
 *
 * The host reads the balloon's size in `actual`.  Writing it costs an exit of
 * the guest, so it is written at most every 50 ms, and at the end.
 */
#include "balloon.h"

#define PUBLISH_EVERY msecs_to_jiffies(50)
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 1000

void resize_init(struct balloon *b)
{
	INIT_DELAYED_WORK(&b->resize, resize_work);
	mutex_init(&b->actual_lock);
	b->target_stale = true;
	b->retry_ms = RETRY_FIRST_MS;
}

/* Any context.  The target may be new. */
void resize_soon(struct balloon *b)
{
	WRITE_ONCE(b->target_stale, true);
	wakeup_begin(b, WAKEUP_RESIZE);
	mod_delayed_work(b->wq, &b->resize, 0);
}

void resize_publish(struct balloon *b, bool now)
{
	u32 actual;

	mutex_lock(&b->actual_lock);
	actual = atomic_long_read(&b->size) * PFNS_PER_PAGE;
	if (actual != b->actual_written &&
	    (now || time_after(jiffies, b->actual_time + PUBLISH_EVERY))) {
		virtio_cwrite_le(b->vdev, struct virtio_balloon_config, actual, &actual);
		b->actual_written = actual;
		b->actual_time = jiffies;
	}
	mutex_unlock(&b->actual_lock);
}

/* How many pages are missing in the balloon, or too many (negative). */
static long distance(struct balloon *b)
{
	u32 num_pages;

	if (READ_ONCE(b->target_stale)) {
		WRITE_ONCE(b->target_stale, false);
		virtio_cread_le(b->vdev, struct virtio_balloon_config, num_pages, &num_pages);
		/* Part of a page cannot be given. */
		b->target = DIV_ROUND_UP(num_pages, PFNS_PER_PAGE);
	}
	return (long)b->target - atomic_long_read(&b->size) - (long)b->nr_in_flight;
}

static long shrink(struct balloon *b, unsigned long want)
{
	long done;

	if (!inflate_settle(b))
		return -ENODEV;
	mutex_lock(&b->lock);
	done = deflate_some(b, want, MAX_SCHEDULE_TIMEOUT);
	mutex_unlock(&b->lock);
	return done;
}

static void look_again_later(struct balloon *b)
{
	count(b, COUNT_retries, 1);
	queue_delayed_work(b->wq, &b->resize, msecs_to_jiffies(b->retry_ms));
	b->retry_ms = min(2 * b->retry_ms, RETRY_LAST_MS);
}

/* The device has taken all; has it the size that it wants, too? */
static void arrive(struct balloon *b)
{
	bool settled;

	mutex_lock(&b->lock);
	settled = deflate_settle(b, MAX_SCHEDULE_TIMEOUT);
	mutex_unlock(&b->lock);
	if (!settled)
		return;
	inflate_end(b);
	resize_publish(b, true);
	b->retry_ms = RETRY_FIRST_MS;
	b->at_floor = false;
}

/* True: there is more to do at once. */
static bool step(struct balloon *b)
{
	long missing = distance(b), done;

	if (!missing && !b->nr_in_flight) {
		arrive(b);
		return false;
	}
	if (missing > 0)
		done = inflate_some(b, missing);
	else if (missing < 0)
		done = shrink(b, -missing);
	else
		done = inflate_settle(b) ? 1 : -ENODEV;
	if (done > 0) {
		b->retry_ms = RETRY_FIRST_MS;
		resize_publish(b, false);
		return true;
	}
	if (done < 0 || !inflate_settle(b))
		return false; /* the device is gone, or the driver is going */
	inflate_end(b);
	resize_publish(b, true);
	look_again_later(b);
	return false;
}

void resize_work(struct work_struct *work)
{
	struct balloon *b = container_of(to_delayed_work(work), struct balloon, resize);

	wakeup_taken(b, WAKEUP_RESIZE);
	if (step(b))
		queue_delayed_work(b->wq, &b->resize, 0);
	else
		wakeup_end(b);
}
