/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that this driver is built for, Linux 6.1 to
 * 7.3, and nowhere else in it.
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
 * Harvesting leans on what mm/page_reporting.c does between isolating a block
 * and putting it back.  That was read, and tried, in these kernels; in a newer
 * one the driver allocates, until somebody has read it there.
 */
#define HARVEST_WAS_READ_HERE (LINUX_VERSION_CODE < KERNEL_VERSION(7, 4, 0))

/* include/linux/balloon_compaction.h became balloon.h in 7.0, the option BALLOON_MIGRATION. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#include <linux/balloon.h>
#define BALLOON_PAGES_MIGRATE IS_ENABLED(CONFIG_BALLOON_MIGRATION)
/* The core puts the new page on the list and lets go of the old one. */
#define CORE_SWAPS_MIGRATED_PAGES 1
#else
#include <linux/balloon_compaction.h>
#define BALLOON_PAGES_MIGRATE IS_ENABLED(CONFIG_BALLOON_COMPACTION)
#define CORE_SWAPS_MIGRATED_PAGES 0
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

/* Statistics that the headers of older kernels do not number yet. */
#ifndef VIRTIO_BALLOON_S_OOM_KILL
#define VIRTIO_BALLOON_S_OOM_KILL 10
#define VIRTIO_BALLOON_S_ALLOC_STALL 11
#define VIRTIO_BALLOON_S_ASYNC_SCAN 12
#define VIRTIO_BALLOON_S_DIRECT_SCAN 13
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM 14
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM 15
#endif

/* callbacks[] and names[] became an array of struct virtqueue_info in 6.11. */
struct balloon_vq {
	vq_callback_t *callback;
	const char *name; /* NULL: the device has no such queue */
};

#define BALLOON_VQS_MAX 5

static inline int balloon_find_vqs(struct virtio_device *vdev, struct virtqueue *vqs[],
				   const struct balloon_vq wanted[])
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info infos[BALLOON_VQS_MAX] = {};

	for (int i = 0; i < BALLOON_VQS_MAX; i++) {
		infos[i].callback = wanted[i].callback;
		infos[i].name = wanted[i].name;
	}
	return virtio_find_vqs(vdev, BALLOON_VQS_MAX, vqs, infos, NULL);
#else
	vq_callback_t *callbacks[BALLOON_VQS_MAX];
	const char *names[BALLOON_VQS_MAX];

	for (int i = 0; i < BALLOON_VQS_MAX; i++) {
		callbacks[i] = wanted[i].callback;
		names[i] = wanted[i].name;
	}
	return virtio_find_vqs(vdev, BALLOON_VQS_MAX, vqs, callbacks, names, NULL);
#endif
}

/*
 * What a page keeps after balloon_page_list_dequeue() that the allocator does
 * not forgive in the tail of a larger block: until 6.x the mark of a movable
 * page in ->mapping, later its type.
 */
static inline void balloon_page_forget(struct page *page)
{
#if CORE_SWAPS_MIGRATED_PAGES
	__ClearPageOffline(page);
#else
	page->mapping = NULL;
#endif
}

/* shrinker_alloc() came with 6.7; before, the shrinker was the driver's. */
typedef unsigned long (*balloon_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

struct balloon_shrinker {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
	void *owner;
};

static inline int balloon_shrinker_start(struct balloon_shrinker *s, balloon_shrink_fn count,
					 balloon_shrink_fn scan, void *owner)
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

static inline void balloon_shrinker_stop(struct balloon_shrinker *s)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(s->shrinker);
#else
	unregister_shrinker(&s->shrinker);
#endif
}

static inline void *balloon_shrinker_owner(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return ((struct balloon_shrinker *)shrinker->private_data)->owner;
#else
	return container_of(shrinker, struct balloon_shrinker, shrinker)->owner;
#endif
}

/* The kernel's client of free page reporting may say how many blocks it can be shown at once. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define REPORTING_NEEDS 1
static inline void reporting_limit(struct page_reporting_dev_info *dev, struct virtqueue *vq)
{
	dev->capacity = vq ? virtqueue_get_vring_size(vq) : 0;
}
#else
#define REPORTING_NEEDS PAGE_REPORTING_CAPACITY
static inline void reporting_limit(struct page_reporting_dev_info *dev, struct virtqueue *vq)
{
}
#endif

/* A driver may shut down by itself; else the bus resets the device (since 6.12), or nobody does. */
#define DRIVERS_SHUT_DOWN (LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0))

/* Pages scanned and reclaimed were VM events, and are node statistics since 7.0. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define reclaim_count(events, item) global_node_page_state(item)
#else
#define reclaim_count(events, item) ((events)[item])
#endif

#endif
