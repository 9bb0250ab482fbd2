/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the kernels that this driver is built for,
 * Linux 6.1 to 7.3, and everything that depends on internals of the kernel.
 */
#ifndef GUEST_COMPAT_H
#define GUEST_COMPAT_H

#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "this driver is for Linux 6.1 and later"
#endif

/*
 * Harvesting depends on what mm/page_reporting.c does between isolating a block
 * and putting it back.  That was verified in these kernels.  In newer ones, where
 * it was not, the driver allocates.
 */
#define VB_HARVEST_VERIFIED (LINUX_VERSION_CODE < KERNEL_VERSION(7, 4, 0))

/* 7.0 renamed balloon_compaction.h to balloon.h, and the option to BALLOON_MIGRATION. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#include <linux/balloon.h>
#define VB_PAGES_MIGRATE IS_ENABLED(CONFIG_BALLOON_MIGRATION)
/* mm puts the new page on the list and drops the old one. */
#define VB_CORE_REPLACES_PAGES 1
#else
#include <linux/balloon_compaction.h>
#define VB_PAGES_MIGRATE IS_ENABLED(CONFIG_BALLOON_COMPACTION)
#define VB_CORE_REPLACES_PAGES 0
#endif

#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER (MAX_ORDER - 1)
#endif
#ifndef NR_PAGE_ORDERS
#define NR_PAGE_ORDERS (MAX_PAGE_ORDER + 1)
#endif
#ifndef PAGE_REPORTING_ORDER_UNSPECIFIED
#define PAGE_REPORTING_ORDER_UNSPECIFIED 0
#endif
#ifndef MIGRATEPAGE_SUCCESS
#define MIGRATEPAGE_SUCCESS 0
#endif

/* Tags of statistics that the headers of older kernels lack. */
#ifndef VIRTIO_BALLOON_S_OOM_KILL
#define VIRTIO_BALLOON_S_OOM_KILL 10
#define VIRTIO_BALLOON_S_ALLOC_STALL 11
#define VIRTIO_BALLOON_S_ASYNC_SCAN 12
#define VIRTIO_BALLOON_S_DIRECT_SCAN 13
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM 14
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM 15
#endif

/* callbacks[] and names[] became an array of struct virtqueue_info in 6.11. */
struct vb_vq_spec {
	vq_callback_t *callback;
	const char *name; /* NULL if the device does not have the queue */
};

#define VB_MAX_VQS 5

/**
 * vb_find_vqs() - virtio_find_vqs()
 * @vdev: the device
 * @vqs: VB_MAX_VQS virtqueues, set here
 * @wanted: VB_MAX_VQS of them
 *
 * May sleep.
 *
 * Return: 0 or a negative errno.
 */
static inline int vb_find_vqs(struct virtio_device *vdev, struct virtqueue *vqs[],
			      const struct vb_vq_spec wanted[])
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info infos[VB_MAX_VQS] = {};

	for (int i = 0; i < VB_MAX_VQS; i++) {
		infos[i].callback = wanted[i].callback;
		infos[i].name = wanted[i].name;
	}
	return virtio_find_vqs(vdev, VB_MAX_VQS, vqs, infos, NULL);
#else
	vq_callback_t *callbacks[VB_MAX_VQS];
	const char *names[VB_MAX_VQS];

	for (int i = 0; i < VB_MAX_VQS; i++) {
		callbacks[i] = wanted[i].callback;
		names[i] = wanted[i].name;
	}
	return virtio_find_vqs(vdev, VB_MAX_VQS, vqs, callbacks, names, NULL);
#endif
}

/**
 * vb_clear_balloon_page() - make a page fit for the tail of a free block
 * @page: the page, which has left the balloon
 *
 * balloon_page_list_dequeue() leaves a mark in it that the allocator does not
 * tolerate there: the flag of a movable page in ->mapping up to 6.x, later its
 * type.
 */
static inline void vb_clear_balloon_page(struct page *page)
{
#if VB_CORE_REPLACES_PAGES
	__ClearPageOffline(page);
#else
	page->mapping = NULL;
#endif
}

/* 6.7 introduced shrinker_alloc(); before, the driver provided the struct. */
typedef unsigned long (*vb_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

struct vb_shrinker {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
	void *owner;
};

/**
 * vb_shrinker_register() - allocate and register a shrinker
 * @s: where it is kept
 * @count: its count_objects
 * @scan: its scan_objects
 * @owner: what vb_shrinker_owner() returns for it
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
static inline int vb_shrinker_register(struct vb_shrinker *s, vb_shrink_fn count, vb_shrink_fn scan,
				       void *owner)
{
	s->owner = owner;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	s->shrinker = shrinker_alloc(0, "virtio-balloon");
	if (!s->shrinker)
		return -ENOMEM;
	s->shrinker->count_objects = count;
	s->shrinker->scan_objects = scan;
	s->shrinker->private_data = s;
	shrinker_register(s->shrinker);
	return 0;
#else
	s->shrinker.count_objects = count;
	s->shrinker.scan_objects = scan;
	s->shrinker.seeks = DEFAULT_SEEKS;
	return register_shrinker(&s->shrinker, "virtio-balloon");
#endif
}

/**
 * vb_shrinker_unregister() - unregister and free a shrinker
 * @s: where it is kept
 *
 * May sleep until its callbacks have returned.
 */
static inline void vb_shrinker_unregister(struct vb_shrinker *s)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(s->shrinker);
#else
	unregister_shrinker(&s->shrinker);
#endif
}

/**
 * vb_shrinker_owner() - whose shrinker it is
 * @shrinker: what a callback was called with
 *
 * Return: what was registered with it.
 */
static inline void *vb_shrinker_owner(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return ((struct vb_shrinker *)shrinker->private_data)->owner;
#else
	return container_of(shrinker, struct vb_shrinker, shrinker)->owner;
#endif
}

/*
 * The user of free page reporting gets up to 32 blocks per call, so the device's
 * ring must have room for as many.  Since 7.0 it may ask for fewer.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VB_REPORTING_RING_MIN 1

/**
 * vb_limit_reporting() - ask for no more blocks per call than a ring has room for
 * @dev: the registration, before page_reporting_register()
 * @vq: the queue, or NULL
 */
static inline void vb_limit_reporting(struct page_reporting_dev_info *dev, struct virtqueue *vq)
{
	dev->capacity = vq ? virtqueue_get_vring_size(vq) : 0;
}
#else
#define VB_REPORTING_RING_MIN PAGE_REPORTING_CAPACITY

static inline void vb_limit_reporting(struct page_reporting_dev_info *dev, struct virtqueue *vq)
{
}
#endif

/**
 * vb_run_page_reporting() - run one pass of free page reporting, here and now
 * @dev: a registration that is in effect and cannot end meanwhile
 *
 * Free page reporting has no call for this: it runs by itself, two seconds after
 * memory was freed.  Its work item, however, is part of the registration, and
 * page_reporting_register() initialises it.  So its function is called directly.
 *
 * mod_delayed_work() and flush_delayed_work() would be the regular way, but can
 * deadlock here.  The work may be running already, to report pages to the host.
 * Its callback then waits for the device, and if the device does not answer, for
 * the device's reset.  The driver resets the device only after its own worker has
 * ended, and that worker would wait for the work.
 *
 * A direct call may run beside the work itself.  That is safe in
 * mm/page_reporting.c of the kernels that VB_HARVEST_VERIFIED covers.  Each pass
 * has a scatterlist of its own.  Blocks are isolated under the lock of their zone,
 * so each block is in one list.  The state that both passes share is an atomic
 * that only decides whether the work is queued again: at worst it runs once more
 * than needed, or starts with the next page that is freed.
 *
 * May sleep, and allocates.
 */
static inline void vb_run_page_reporting(struct page_reporting_dev_info *dev)
{
	dev->work.work.func(&dev->work.work);
}

/* Drivers have ->shutdown since 7.0; 6.12 made the bus reset the device, before nothing did. */
#define VB_DRIVERS_SHUT_DOWN (LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0))

/* Pages scanned and reclaimed were VM events; since 7.0 they are node statistics. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define vb_reclaim_stat(events, item) global_node_page_state(item)
#else
#define vb_reclaim_stat(events, item) ((events)[item])
#endif

#endif
