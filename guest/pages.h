/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_PAGES_H
#define GUEST_PAGES_H

#include <linux/atomic.h>
#include <linux/list.h>

#include "compat.h"

struct virtio_balloon;

/* How mm asks for a page of the balloon to be moved. */
typedef int (*vb_migrate_fn)(struct balloon_dev_info *info, struct page *newpage, struct page *page,
			     enum migrate_mode mode);

/* vb_pages_take() takes this many pages, and then at most one block more. */
#define VB_PAGES_TAKE_MAX 4096UL

/**
 * struct vb_pages - the pages in the balloon
 * @info: mm's list of them; migrate.c finds the balloon by it
 * @count: how many there are.  The list may lack those that compaction has
 *	isolated.
 *
 * Private to pages.c, @info to migrate.c, too.  mm locks the list.
 */
struct vb_pages {
	struct balloon_dev_info info;
	atomic_long_t count;
};

/**
 * vb_pages_init() - initialise; the balloon is empty
 * @vb: the balloon
 * @migrate: moves a page, if this kernel migrates pages of a balloon
 */
void vb_pages_init(struct virtio_balloon *vb, vb_migrate_fn migrate);

/**
 * vb_pages_count() - the size of the balloon
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: pages that the host has acknowledged.
 */
long vb_pages_count(struct virtio_balloon *vb);

/**
 * vb_pages_add() - move pages into the balloon
 * @vb: the balloon
 * @pages: single pages by their lru, each with one reference; empty afterwards
 * @nr: how many there are
 *
 * The host has acknowledged them.  From here on compaction may move them.
 * Process context; does not sleep.
 */
void vb_pages_add(struct virtio_balloon *vb, struct list_head *pages, unsigned long nr);

/**
 * vb_pages_take() - take pages out of the balloon
 * @vb: the balloon
 * @pages: an empty list, which gets them in the order in which they came
 * @want: how many at most
 *
 * Takes those that came last.  Where %VB_PAGES_TAKE_MAX would cut through a block,
 * the rest of the block is taken, too, so that remerge.c can free it whole.
 * Process context; does not sleep.
 *
 * Return: how many were taken; 0 also if compaction has isolated all there are.
 */
unsigned long vb_pages_take(struct virtio_balloon *vb, struct list_head *pages, unsigned long want);

/**
 * vb_pages_replace() - compaction has moved a page of the balloon
 * @vb: the balloon
 * @newpage: the page that is in the balloon now
 * @page: the page that is not any more; the allocator gets it
 *
 * Where mm does this itself it does nothing (compat.h).  Does not sleep.
 */
void vb_pages_replace(struct virtio_balloon *vb, struct page *newpage, struct page *page);

/**
 * vb_shrink_memtotal() - adjust MemTotal to pages that leave or join the guest
 * @vb: the balloon
 * @page: a page of the zone
 * @pages: how many leave; negative if they come back
 *
 * With VIRTIO_BALLOON_F_DEFLATE_ON_OOM MemTotal stays as it is, as the guest can
 * take the pages back.  Any context.
 */
void vb_shrink_memtotal(struct virtio_balloon *vb, struct page *page, long pages);

#endif
