// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages in the balloon: mm's list of them, and their number.
 *
 * mm takes the list's lock with interrupts off, so pages are added and taken a
 * block at a time.
 */
#include "balloon.h"

void vb_pages_init(struct virtio_balloon *vb, vb_migrate_fn migrate)
{
	balloon_devinfo_init(&vb->pages.info);
#if VB_PAGES_MIGRATE
	vb->pages.info.migratepage = migrate;
#endif
}

long vb_pages_count(struct virtio_balloon *vb)
{
	return atomic_long_read(&vb->pages.count);
}

void vb_pages_add(struct virtio_balloon *vb, struct list_head *pages, unsigned long nr)
{
	LIST_HEAD(block);

	while (!list_empty(pages)) {
		for (unsigned long i = 0; i < VB_BLOCK_PAGES && !list_empty(pages); i++)
			list_move_tail(pages->next, &block);
		balloon_page_list_enqueue(&vb->pages.info, &block);
	}
	atomic_long_add(nr, &vb->pages.count);
}

unsigned long vb_pages_take(struct virtio_balloon *vb, struct list_head *pages, unsigned long want)
{
	struct balloon_dev_info *info = &vb->pages.info;
	unsigned long taken = 0, got, rest;

	do {
		got = min3(want - taken, VB_PAGES_TAKE_MAX - taken, VB_BLOCK_PAGES);
		got = balloon_page_list_dequeue(info, pages, got);
		taken += got;
	} while (got && taken < want && taken < VB_PAGES_TAKE_MAX);
	if (taken && taken < want) {
		rest = page_to_pfn(list_first_entry(pages, struct page, lru)) % VB_BLOCK_PAGES;
		taken += balloon_page_list_dequeue(info, pages, min(rest, want - taken));
	}
	atomic_long_sub(taken, &vb->pages.count);
	vb_count(vb, VB_COUNT_deflated, taken);
	return taken;
}

#if !VB_CORE_REPLACES_PAGES
void vb_pages_replace(struct virtio_balloon *vb, struct page *newpage, struct page *page)
{
	struct balloon_dev_info *info = &vb->pages.info;
	unsigned long flags;

	get_page(newpage);
	spin_lock_irqsave(&info->pages_lock, flags);
	balloon_page_insert(info, newpage);
	info->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&info->pages_lock, flags);
	balloon_page_finalize(page);
	put_page(page);
}
#else
void vb_pages_replace(struct virtio_balloon *vb, struct page *newpage, struct page *page)
{
}
#endif

void vb_shrink_memtotal(struct virtio_balloon *vb, struct page *page, long pages)
{
	if (!vb->deflate_on_oom)
		adjust_managed_page_count(page, -pages);
}
