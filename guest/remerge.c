// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages go back to the allocator, whole blocks at a time where they can.
 *
 * Freed one by one, 512 pages cost the allocator as many searches for a buddy,
 * and a thousand pages end in per-CPU lists, where they count as neither free
 * nor available and keep the rest from becoming a block again.
 *
 * So an aligned run of 2 MiB is made one block first: every page is frozen (its
 * count goes from one to zero, which nobody who takes references by number can
 * get past), and the first of them is freed for all.  A page that somebody
 * looks at right now cannot be frozen; then that run goes page by page.
 *
 * A block goes in two halves, because blocks of 2 MiB would go to per-CPU
 * lists, too (pcp_allowed_order() in mm/page_alloc.c); the buddy allocator
 * joins the halves.
 */
#include <linux/moduleparam.h>

#include "balloon.h"

static bool remerge = true;
module_param(remerge, bool, 0644);
MODULE_PARM_DESC(remerge, "Free whole blocks, not single pages (default: Y)");

/* MemTotal: what is in the balloon is not the guest's, unless it gets it back when short. */
void count_as_taken(struct balloon *b, struct page *page, long pages)
{
	if (!b->counts_as_used)
		adjust_managed_page_count(page, -pages);
}

/* The pages of the list, beginning with its first, that make up a block; false: they do not. */
static bool block_at_head(struct list_head *pages, struct list_head *block)
{
	struct page *page = list_first_entry(pages, struct page, lru);
	unsigned long pfn = page_to_pfn(page), found = 0;

	if (!IS_ALIGNED(pfn, BLOCK_PAGES))
		return false;
	list_for_each_entry(page, pages, lru) {
		if (page_to_pfn(page) != pfn + found || PageHWPoison(page))
			return false;
		if (++found == BLOCK_PAGES) {
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

	for (i = 0; i < BLOCK_PAGES; i++) {
		if (!page_ref_freeze(page + i, 1))
			goto thaw;
		balloon_page_forget(page + i);
	}
	return true;

thaw:
	while (i--)
		page_ref_unfreeze(page + i, 1);
	return false;
}

/* Frees a block of this order that has one reference, and its other pages none. */
void free_block(struct page *page, unsigned int order)
{
	struct page *half;

	if (order == pageblock_order) {
		half = page + (1UL << --order);
		set_page_count(half, 1);
		__free_pages(half, order);
	}
	__free_pages(page, order);
}

static void give_back_block(struct balloon *b, struct list_head *block)
{
	struct page *page = list_first_entry(block, struct page, lru);
	struct page *next;

	if (freeze_block(page)) {
		set_page_count(page, 1);
		free_block(page, pageblock_order);
		count(b, COUNT_merged, 1);
		return;
	}
	list_for_each_entry_safe(page, next, block, lru)
		put_page(page);
}

/**
 * give_back() - free pages
 * @b: the balloon
 * @pages: single pages by their lru, off mm's list; empty afterwards
 *
 * They count as the guest's again.  The pages of a block are expected to be
 * next to each other and ascending, as balloon_page_list_dequeue() leaves them.
 */
void give_back(struct balloon *b, struct list_head *pages)
{
	LIST_HEAD(block);
	struct page *page;

	while (!list_empty(pages)) {
		page = list_first_entry(pages, struct page, lru);
		if (remerge && block_at_head(pages, &block)) {
			count_as_taken(b, page, -(long)BLOCK_PAGES);
			give_back_block(b, &block);
			INIT_LIST_HEAD(&block);
		} else {
			list_del(&page->lru);
			count_as_taken(b, page, -1);
			put_page(page);
		}
	}
}
