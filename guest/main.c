// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon: the guest's memory balloon (VIRTIO 1.3, section 5.5).
 *
 * The life of a device: found, started, stopped, gone.  What a running balloon
 * does is told in balloon.h, and in the file of each part.
 *
 * To stop is the delicate half, because a device may never answer:
 *
 *	1. its events are no longer heeded, waits are given up, work is cancelled;
 *	2. if it is to end empty, pages are told back, for as long as the device
 *	   answers within a second;
 *	3. the device is broken for us (no kick may follow its reset) and reset;
 *	4. whatever it was told is void: what was on its way is ours again.
 *
 * Suspended, the balloon keeps its pages, and tells the device of them again
 * when the guest wakes up (step 2 is left out).  The standard driver gives all
 * of them back before it sleeps, for which the host may not have the memory.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include "balloon.h"

#define GOODBYE_PATIENCE HZ

static const struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static const unsigned int features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_POISON,	 VIRTIO_BALLOON_F_REPORTING,
};

static int balloon_validate(struct virtio_device *vdev)
{
	/*
	 * A guest whose free pages have contents must say so, or else the host
	 * may not discard them behind its back.
	 */
	if (!want_init_on_free() && !page_poisoning_enabled_static())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
	if (!hint_wanted())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	/* A report must not allocate: its parts take a descriptor of the ring each. */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	/* The device is told guest physical addresses, by number, past any IOMMU. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static void config_changed(struct virtio_device *vdev)
{
	struct balloon *b = vdev->priv;
	unsigned long flags;

	spin_lock_irqsave(&b->running_lock, flags);
	if (b->running) {
		resize_soon(b);
		hint_config_changed(b);
	}
	spin_unlock_irqrestore(&b->running_lock, flags);
}

/* What the content of a free page is, which the host may restore on deflation. */
static void write_poison(struct balloon *b)
{
	u32 poison = want_init_on_free() ? 0 : PAGE_POISON * 0x01010101U;

	if (virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		virtio_cwrite_le(b->vdev, struct virtio_balloon_config, poison_val, &poison);
}

static int find_queues(struct balloon *b)
{
	struct virtio_device *vdev = b->vdev;
	struct virtqueue *vqs[BALLOON_VQS_MAX] = {};
	struct balloon_vq wanted[BALLOON_VQS_MAX] = {
		[VQ_INFLATE] = { queue_acked, "inflate" },
		[VQ_DEFLATE] = { queue_acked, "deflate" },
	};
	int err;

	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ))
		wanted[VQ_STATS] = (struct balloon_vq){ stats_asked, "stats" };
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		wanted[VQ_HINT] = (struct balloon_vq){ NULL, "free_page_vq" };
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		wanted[VQ_REPORTING] = (struct balloon_vq){ queue_acked, "reporting_vq" };
	err = balloon_find_vqs(vdev, vqs, wanted);
	if (err)
		return err;
	queue_init(b, &b->inflate, vqs[VQ_INFLATE]);
	queue_init(b, &b->deflate, vqs[VQ_DEFLATE]);
	queue_init(b, &b->reporting, vqs[VQ_REPORTING]);
	b->stats_vq = vqs[VQ_STATS];
	b->hint_vq = vqs[VQ_HINT];
	return 0;
}

/* The queues are there; work may begin. */
static void start(struct balloon *b)
{
	b->hurried = false;
	b->is_reset = false;
	write_poison(b);
	reporting_start(b);
	virtio_device_ready(b->vdev);
	spin_lock_irq(&b->running_lock);
	b->running = true;
	spin_unlock_irq(&b->running_lock);
	stats_start(b); /* what the device asks from now on is heard */
	hint_start(b);
	/* A device may remember the balloon of a kernel before this one. */
	b->actual_written = U32_MAX;
	resize_publish(b, true);
	resize_soon(b);
}

/* Pages go back one request after the other, as long as the device answers. */
static void say_goodbye(struct balloon *b)
{
	WRITE_ONCE(b->hurried, false);
	mutex_lock(&b->lock);
	while (atomic_long_read(&b->size) &&
	       deflate_some(b, atomic_long_read(&b->size), GOODBYE_PATIENCE) >= 0)
		cond_resched();
	deflate_settle(b, GOODBYE_PATIENCE);
	mutex_unlock(&b->lock);
	resize_publish(b, true);
	WRITE_ONCE(b->hurried, true);
}

static void hurry(struct balloon *b)
{
	spin_lock_irq(&b->running_lock);
	b->running = false;
	spin_unlock_irq(&b->running_lock);
	WRITE_ONCE(b->hurried, true);
	wake_up_all(&b->acked);
}

static void stop(struct balloon *b, bool empty)
{
	hurry(b);
	cancel_delayed_work_sync(&b->resize);
	stats_stop(b);
	hint_stop(b);
	if (empty)
		say_goodbye(b);
	virtio_break_device(b->vdev);
	virtio_reset_device(b->vdev);
	WRITE_ONCE(b->is_reset, true);
	wake_up_all(&b->acked);
	reporting_stop(b);
	mutex_lock(&b->lock); /* compaction, which gave up its waits, is done */
	inflate_reclaim(b);
	deflate_reclaim(b);
	mutex_unlock(&b->lock);
	held_give_back(b);
}

static void destroy_requests(struct balloon *b)
{
	inflate_destroy(b);
	deflate_destroy(b);
	migrate_destroy(b);
}

static int init_requests(struct balloon *b)
{
	int err = inflate_init(b) ?: deflate_init(b) ?: migrate_init(b);

	if (err)
		destroy_requests(b);
	return err;
}

static struct balloon *balloon_alloc(struct virtio_device *vdev)
{
	struct balloon *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	b->vdev = vdev;
	b->must_tell = virtio_has_feature(vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST);
	b->counts_as_used = virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	init_waitqueue_head(&b->acked);
	spin_lock_init(&b->running_lock);
	spin_lock_init(&b->held_lock);
	mutex_init(&b->lock);
	INIT_LIST_HEAD(&b->held);
	balloon_devinfo_init(&b->pages);
#if BALLOON_PAGES_MIGRATE
	b->pages.migratepage = migrate_page;
#endif
	resize_init(b);
	return b;
}

static int init_workqueues(struct balloon *b)
{
	b->wq = alloc_workqueue("virtio_balloon", WQ_FREEZABLE | WQ_UNBOUND, 0);
	/* With a rescuer, so that a guest short of memory can still say so. */
	b->stats_wq = alloc_workqueue("virtio_balloon_stats",
				      WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (b->wq && b->stats_wq)
		return 0;
	return -ENOMEM;
}

static void destroy_workqueues(struct balloon *b)
{
	if (b->stats_wq)
		destroy_workqueue(b->stats_wq);
	if (b->wq)
		destroy_workqueue(b->wq);
}

static int balloon_probe(struct virtio_device *vdev)
{
	struct balloon *b;
	int err;

	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the device's configuration cannot be read\n");
		return -EINVAL;
	}
	b = balloon_alloc(vdev);
	if (!b)
		return -ENOMEM;
	vdev->priv = b;
	wakeup_init(b);
	err = init_workqueues(b);
	if (err)
		goto out_workqueues;
	err = stats_init(b);
	if (err)
		goto out_workqueues;
	err = hint_init(b);
	if (err)
		goto out_stats;
	err = find_queues(b);
	if (err)
		goto out_hint;
	err = init_requests(b);
	if (err)
		goto out_queues;
	err = oom_start(b);
	if (err)
		goto out_requests;
	harvest_try_out(b);
	start(b);
	return 0;

out_requests:
	destroy_requests(b);
out_queues:
	vdev->config->del_vqs(vdev);
out_hint:
	hint_destroy(b);
out_stats:
	stats_destroy(b);
out_workqueues:
	destroy_workqueues(b);
	vdev->priv = NULL;
	kfree(b);
	return err;
}

static void balloon_remove(struct virtio_device *vdev)
{
	struct balloon *b = vdev->priv;

	oom_stop(b);
	stop(b, true);
	/* A device that did not answer has left pages behind, which are ours after its reset. */
	deflate_into_held(b);
	held_give_back(b);
	vdev->config->del_vqs(vdev);
	destroy_requests(b);
	hint_destroy(b);
	stats_destroy(b);
	destroy_workqueues(b);
	vdev->priv = NULL;
	kfree(b);
}

#ifdef CONFIG_PM_SLEEP
static int balloon_freeze(struct virtio_device *vdev)
{
	stop(vdev->priv, false);
	vdev->config->del_vqs(vdev);
	return 0;
}

static int balloon_restore(struct virtio_device *vdev)
{
	struct balloon *b = vdev->priv;
	int err;

	err = find_queues(b);
	if (err)
		return err;
	deflate_into_held(b); /* to be told of again */
	start(b);
	return 0;
}
#endif

#if DRIVERS_SHUT_DOWN
static void balloon_shutdown(struct virtio_device *vdev)
{
	stop(vdev->priv, false);
}
#endif

static struct virtio_driver balloon_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.dev_groups = balloon_groups,
	.id_table = id_table,
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.validate = balloon_validate,
	.probe = balloon_probe,
	.remove = balloon_remove,
	.config_changed = config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = balloon_freeze,
	.restore = balloon_restore,
#endif
#if DRIVERS_SHUT_DOWN
	.shutdown = balloon_shutdown,
#endif
};

module_virtio_driver(balloon_driver);
MODULE_DEVICE_TABLE(virtio, id_table);
MODULE_DESCRIPTION("Virtio memory balloon (Aerostat)");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
