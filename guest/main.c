// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon: the guest's memory balloon (VIRTIO 1.3, section 5.5).
 *
 * This file is the life of a device, from probe to remove.  balloon.h, and then
 * the file of each part, describe what a balloon does while it runs.
 *
 * Stopping is the delicate part, because the device may never answer:
 *
 *	1. events are ignored, and work is cancelled, which never waits for the
 *	   device;
 *	2. if the balloon is to end empty, its pages are deflated, for as long as
 *	   the device answers within a second, and not longer than two;
 *	3. the device is marked as broken (nothing may kick it after its reset)
 *	   and reset;
 *	4. whatever the device was sent is void: pages in flight belong to the
 *	   guest again.
 *
 * A driver that does not run, because its device could not be restored or the
 * system is going down, has nothing to stop.  It may have no queues either.
 *
 * A report of free pages ends with the device's reset at the latest, but the kernel
 * freezes the work that reports before it suspends devices.  If the device is
 * silent then, the driver stops before that, and the device is restored as after
 * any suspend, also if the system does not sleep after all.
 *
 * Step 2 is left out for a suspend.  The balloon then keeps its pages, and sends
 * them to the device again on resume.  The in-tree driver deflates completely
 * before a suspend, for which the host may not have the memory.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/virtio_ring.h>

#include "balloon.h"
#include "private_trim.h"

/* How long a driver that is removed deflates before it resets the device. */
#define LEAVE_TIMEOUT (2 * HZ)

static const struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static const unsigned int features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_REPORTING,
	PRIVATE_F_TRIM,
};

static int virtio_balloon_validate(struct virtio_device *vdev)
{
	/*
	 * If free pages have contents, the host has to know them, or else it must
	 * not discard free pages.
	 */
	if (!want_init_on_free() && !page_poisoning_enabled_static())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
	if (!vb_hint_wanted())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	vb_trim_validate(vdev);
	/* A report must not allocate, so each of its blocks takes a descriptor of the ring. */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	/* The device gets guest physical addresses, as page numbers, past any IOMMU. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static void queue_config_work(struct virtio_balloon *vb)
{
	vb_resize_request(vb);
	vb_hint_config_changed(vb);
	vb_trim_config_changed(vb);
}

static void virtio_balloon_config_changed(struct virtio_device *vdev)
{
	vb_call_if_running(vdev->priv, queue_config_work);
}

/* The host may restore the contents of free pages on deflation, so it has to know them. */
static void write_poison_value(struct virtio_balloon *vb)
{
	u32 poison = want_init_on_free() ? 0 : PAGE_POISON * 0x01010101U;

	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, poison_val, &poison);
}

static void continue_work(struct virtio_balloon *vb)
{
	vb_relief_continue(vb);
	vb_resize_continue(vb);
}

static void queue_interrupt(struct virtqueue *vq)
{
	vb_queue_interrupt(vq);
	vb_call_if_running(vq->vdev->priv, continue_work);
}

static void set_vqs(struct virtio_balloon *vb, struct virtqueue *vqs[])
{
	vb_queue_init(vb, &vb->inflate_vq, vqs[VB_VQ_INFLATE]);
	vb_queue_init(vb, &vb->deflate_vq, vqs[VB_VQ_DEFLATE]);
	vb_queue_init(vb, &vb->reporting_vq, vqs[VB_VQ_REPORTING]);
	vb_stats_set_vq(vb, vqs[VB_VQ_STATS]);
	vb_hint_set_vq(vb, vqs[VB_VQ_HINT]);
}

static int init_vqs(struct virtio_balloon *vb)
{
	struct virtio_device *vdev = vb->vdev;
	struct virtqueue *vqs[VB_MAX_VQS] = {};
	struct vb_vq_spec wanted[VB_MAX_VQS] = {
		[VB_VQ_INFLATE] = { queue_interrupt, "inflate" },
		[VB_VQ_DEFLATE] = { queue_interrupt, "deflate" },
	};
	int err;

	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ))
		wanted[VB_VQ_STATS] = (struct vb_vq_spec){ vb_stats_interrupt, "stats" };
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		wanted[VB_VQ_HINT] = (struct vb_vq_spec){ NULL, "free_page_vq" };
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		wanted[VB_VQ_REPORTING] = (struct vb_vq_spec){ queue_interrupt, "reporting_vq" };
	err = vb_find_vqs(vdev, vqs, wanted);
	if (err) {
		/* It may have some of the queues, and would have them still next time. */
		virtio_reset_device(vdev);
		return err;
	}
	set_vqs(vb, vqs);
	vb->has_queues = true;
	return 0;
}

static void delete_vqs(struct virtio_balloon *vb)
{
	struct virtqueue *none[VB_MAX_VQS] = {};

	if (vb->has_queues)
		vb->vdev->config->del_vqs(vb->vdev);
	vb->has_queues = false;
	set_vqs(vb, none);
}

/* The queues exist: the device becomes ready, and work begins. */
static void start_balloon(struct virtio_balloon *vb)
{
	vb_waits_start(vb);
	write_poison_value(vb);
	vb_reporting_start(vb);
	virtio_device_ready(vb->vdev);
	vb_set_running(vb, true);
	vb_stats_start(vb);
	vb_hint_start(vb);
	vb_resize_start(vb);
}

/*
 * Deflates, one request after the other, as long as the device answers, but not for long: a device
 * that makes a guest wait for what it takes back does not know yet that this one leaves.
 */
static void deflate_before_reset(struct virtio_balloon *vb)
{
	unsigned long deadline = jiffies + LEAVE_TIMEOUT;

	mutex_lock(&vb->lock);
	while (vb_pages_count(vb) && time_before(jiffies, deadline) &&
	       vb_deflate_pages(vb, vb_pages_count(vb), VB_DEVICE_TIMEOUT) >= 0)
		cond_resched();
	vb_deflate_wait(vb, VB_DEVICE_TIMEOUT);
	mutex_unlock(&vb->lock);
	vb_resize_publish(vb, true);
}

static void stop_balloon(struct virtio_balloon *vb, bool empty)
{
	vb_set_running(vb, false);
	vb_relief_stop(vb);
	vb_resize_stop(vb);
	vb_stats_stop(vb);
	vb_hint_stop(vb);
	vb_trim_stop(vb);
	if (empty)
		deflate_before_reset(vb);
	virtio_break_device(vb->vdev);
	virtio_reset_device(vb->vdev);
	vb_waits_device_reset(vb);
	vb_reporting_stop(vb);
	mutex_lock(&vb->lock); /* migration and OOM notifier are done with the queues */
	vb_inflate_reclaim(vb);
	vb_deflate_reclaim(vb);
	vb_exchange_reclaim(vb);
	mutex_unlock(&vb->lock);
	vb_held_free(vb);
}

/* The device was reset: pages that it did not give back are the guest's all the same. */
static void free_balloon_pages(struct virtio_balloon *vb)
{
	vb_deflate_to_held(vb);
	vb_held_free(vb);
}

static void destroy_requests(struct virtio_balloon *vb)
{
	vb_inflate_destroy(vb);
	vb_deflate_destroy(vb);
	vb_exchange_destroy(vb);
}

static int init_requests(struct virtio_balloon *vb)
{
	int err;

	vb_reporting_init(vb);
	err = vb_inflate_init(vb) ?: vb_deflate_init(vb) ?: vb_exchange_init(vb);
	if (err)
		destroy_requests(vb);
	return err;
}

static struct virtio_balloon *allocate_balloon(struct virtio_device *vdev)
{
	struct virtio_balloon *vb = kzalloc(sizeof(*vb), GFP_KERNEL);

	if (!vb)
		return NULL;
	vb->vdev = vdev;
	vb->must_tell_host = virtio_has_feature(vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST);
	vb->deflate_on_oom = virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	mutex_init(&vb->lock);
	vb_running_init(vb);
	vb_waits_init(vb);
	vb_wakeup_init(vb);
	vb_pages_init(vb, vb_migrate_page);
	vb_held_init(vb);
	vb_resize_init(vb);
	vb_trim_init(vb);
	return vb;
}

#ifdef CONFIG_PM_SLEEP
static void prepare_for_sleep(struct virtio_balloon *vb)
{
	vb_relief_set_asleep(vb, true);
	vb_hint_pause(vb); /* an image of the system needs the memory */
	if (!vb_is_running(vb) || vb_reporting_pause(vb))
		return;
	stop_balloon(vb, false);
	vb->left_before_sleep = true;
}

/* Restores a device that was left, unless the system has done so after a suspend. */
static void return_to_device(struct virtio_balloon *vb)
{
	vb->left_before_sleep = false;
	if (!vb_is_running(vb) && vb->has_queues &&
	    (virtio_device_freeze(vb->vdev) || virtio_device_restore(vb->vdev)))
		dev_err(&vb->vdev->dev, "the device cannot be restored\n");
}

static void end_sleep(struct virtio_balloon *vb)
{
	vb_reporting_resume(vb);
	if (vb->left_before_sleep)
		return_to_device(vb);
	/* The system does not ask the driver to resume if the device has lost a feature. */
	if (!vb_is_running(vb) && !vb->has_queues)
		free_balloon_pages(vb);
	vb_hint_resume(vb);
	vb_relief_set_asleep(vb, false);
}

static int notify_sleep(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct virtio_balloon *vb = container_of(nb, struct virtio_balloon, sleep_nb);

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		prepare_for_sleep(vb);
		break;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		end_sleep(vb);
		break;
	}
	return NOTIFY_OK;
}

static int watch_sleep(struct virtio_balloon *vb)
{
	vb->sleep_nb.notifier_call = notify_sleep;
	return register_pm_notifier(&vb->sleep_nb);
}

static void unwatch_sleep(struct virtio_balloon *vb)
{
	unregister_pm_notifier(&vb->sleep_nb);
}
#else
static int watch_sleep(struct virtio_balloon *vb)
{
	return 0;
}

static void unwatch_sleep(struct virtio_balloon *vb)
{
}
#endif

static int virtio_balloon_probe(struct virtio_device *vdev)
{
	struct virtio_balloon *vb;
	int err;

	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the device's configuration cannot be read\n");
		return -EINVAL;
	}
	vb = allocate_balloon(vdev);
	if (!vb)
		return -ENOMEM;
	vdev->priv = vb;
	vb->wq = alloc_workqueue("virtio_balloon", WQ_FREEZABLE | WQ_UNBOUND, 0);
	if (!vb->wq) {
		err = -ENOMEM;
		goto out_balloon;
	}
	err = vb_stats_init(vb);
	if (err)
		goto out_workqueue;
	err = vb_hint_init(vb);
	if (err)
		goto out_stats;
	err = init_vqs(vb);
	if (err)
		goto out_hint;
	err = init_requests(vb);
	if (err)
		goto out_vqs;
	err = vb_oom_register(vb);
	if (err)
		goto out_requests;
	err = vb_relief_register(vb);
	if (err)
		goto out_oom;
	err = watch_sleep(vb);
	if (err)
		goto out_relief;
	vb_selftest_harvest(vb);
	start_balloon(vb);
	return 0;

out_relief:
	vb_relief_unregister(vb);
out_oom:
	vb_oom_unregister(vb);
out_requests:
	destroy_requests(vb);
out_vqs:
	virtio_reset_device(vdev); /* or the next probe finds its queues in use */
	delete_vqs(vb);
out_hint:
	vb_hint_destroy(vb);
out_stats:
	vb_stats_destroy(vb);
out_workqueue:
	destroy_workqueue(vb->wq);
out_balloon:
	vdev->priv = NULL;
	kfree(vb);
	return err;
}

static void virtio_balloon_remove(struct virtio_device *vdev)
{
	struct virtio_balloon *vb = vdev->priv;

	unwatch_sleep(vb);
	vb_oom_unregister(vb);
	if (vb_is_running(vb))
		stop_balloon(vb, true);
	else
		virtio_reset_device(vdev); /* the bus has set a status since */
	vb_relief_unregister(vb);
	free_balloon_pages(vb);
	delete_vqs(vb);
	destroy_requests(vb);
	vb_hint_destroy(vb);
	vb_stats_destroy(vb);
	destroy_workqueue(vb->wq);
	vdev->priv = NULL;
	kfree(vb);
}

static void __maybe_unused stop_balloon_if_running(struct virtio_balloon *vb)
{
	if (vb_is_running(vb))
		stop_balloon(vb, false);
}

#ifdef CONFIG_PM_SLEEP
static int virtio_balloon_freeze(struct virtio_device *vdev)
{
	stop_balloon_if_running(vdev->priv);
	delete_vqs(vdev->priv);
	return 0;
}

static int virtio_balloon_restore(struct virtio_device *vdev)
{
	struct virtio_balloon *vb = vdev->priv;
	int err;

	err = init_vqs(vb);
	if (err) {
		/* Until the driver is removed, or the system wakes up once more. */
		free_balloon_pages(vb);
		return err;
	}
	vb_deflate_to_held(vb); /* to be inflated again */
	start_balloon(vb);
	return 0;
}
#endif

#if VB_DRIVERS_SHUT_DOWN
static void virtio_balloon_shutdown(struct virtio_device *vdev)
{
	stop_balloon_if_running(vdev->priv);
}
#endif

static struct virtio_driver virtio_balloon_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.dev_groups = vb_attribute_groups,
	.id_table = id_table,
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.validate = virtio_balloon_validate,
	.probe = virtio_balloon_probe,
	.remove = virtio_balloon_remove,
	.config_changed = virtio_balloon_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = virtio_balloon_freeze,
	.restore = virtio_balloon_restore,
#endif
#if VB_DRIVERS_SHUT_DOWN
	.shutdown = virtio_balloon_shutdown,
#endif
};

module_virtio_driver(virtio_balloon_driver);
MODULE_DEVICE_TABLE(virtio, id_table);
MODULE_DESCRIPTION("Virtio memory balloon (Aerostat)");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
