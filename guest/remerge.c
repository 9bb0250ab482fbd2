// SPDX-License-Identifier: GPL-2.0-only
/*
 * Returns pages to the allocator, in whole blocks where possible.
 *
 * If 512 pages are freed one by one, the allocator searches for a buddy 512
 * times.  Up to a thousand of the pages end in per-CPU lists, where they count as
 * neither free nor available and keep the others from becoming a block again.
 *
 * So an aligned run of 2 MiB is turned into one block first.  Every page is
 * frozen: its count goes from one to zero, and nobody can take a reference to it
 * by its number.  Then the first page is freed for all of them.  A page to which
 * somebody else has a reference cannot be frozen; that run is freed page by
 * page.
 *
 * A block is freed in two halves.  A free block of 2 MiB would go to a per-CPU
 * list, too (pcp_allowed_order() in mm/page_alloc.c); the buddy allocator joins
 * the halves.
 */
#include <linux/moduleparam.h>

#include "balloon.h"

static bool remerge = true;
module_param(remerge, bool, 0644);
MODULE_PARM_DESC(remerge, "Free whole blocks instead of single pages (default: Y)");

/* Moves the pages at the head of @pages to @block if they are a whole block. */
static bool cut_block_at_head(struct list_head *pages, struct list_head *block)
{
	struct page *page = list_first_entry(pages, struct page, lru);
	unsigned long pfn = page_to_pfn(page), found = 0;

	if (!IS_ALIGNED(pfn, VB_BLOCK_PAGES))
		return false;
	list_for_each_entry(page, pages, lru) {
		if (page_to_pfn(page) != pfn + found || PageHWPoison(page))
			return false;
		if (++found == VB_BLOCK_PAGES) {
			list_cut_position(block, pages, &page->lru);
			return true;
		}
	}
	return false;
}

/* Takes the only reference of each page, or of none. */
static bool freeze_block(struct page *page)
{
	unsigned long i;

	for (i = 0; i < VB_BLOCK_PAGES; i++) {
		if (!page_ref_freeze(page + i, 1))
			goto unfreeze;
		vb_clear_balloon_page(page + i);
	}
	return true;

unfreeze:
	while (i--)
		page_ref_unfreeze(page + i, 1);
	return false;
}

void vb_free_block(struct page *page, unsigned int order)
{
	struct page *half;

	if (order == pageblock_order) {
		half = page + (1UL << --order);
		set_page_count(half, 1);
		__free_pages(half, order);
	}
	__free_pages(page, order);
}

static void free_as_block(struct virtio_balloon *vb, struct list_head *block)
{
	struct page *page = list_first_entry(block, struct page, lru);
	struct page *next;

	if (freeze_block(page)) {
		set_page_count(page, 1);
		vb_free_block(page, pageblock_order);
		vb_count(vb, VB_COUNT_merged, 1);
		return;
	}
	list_for_each_entry_safe(page, next, block, lru)
		put_page(page);
}

void vb_free_pages(struct virtio_balloon *vb, struct list_head *pages)
{
	LIST_HEAD(block);
	struct page *page;

	while (!list_empty(pages)) {
		page = list_first_entry(pages, struct page, lru);
		if (remerge && cut_block_at_head(pages, &block)) {
			vb_shrink_memtotal(vb, page, -(long)VB_BLOCK_PAGES);
			free_as_block(vb, &block);
			INIT_LIST_HEAD(&block);
		} else {
			list_del(&page->lru);
			vb_shrink_memtotal(vb, page, -1);
			put_page(page);
		}
	}
}
