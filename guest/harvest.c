// SPDX-License-Identifier: GPL-2.0-only
/*
 * Harvest: take blocks that are free, without the allocator.
 *
 * Kernels with init_on_alloc=1, which are most, zero all that they allocate.
 * For a balloon that is memory written only to be thrown away, and on a fresh
 * guest the host has to populate it first: four fifths of an inflation's time.
 *
 * Free page reporting offers a way around.  It isolates free blocks from the
 * allocator, shows up to 32 of them to a callback, and puts them back.  We
 * register while the balloon grows, and keep what we are shown:
 *
 *	shown	 [ 0 | 1 | 2 | … | n-1 ]
 *	left	 [ 0 … k ]		  we shorten the list before we return it
 *	kept		  [ k+1 … n-1 ]
 *
 * One entry has to stay, as whoever walks the list looks at its first entry
 * before he looks for an end.  The callback returns an error, so nothing that
 * was put back is marked as reported, and the pass ends; the next follows at
 * once while it brings anything.  Passes stop by themselves where a zone comes
 * near its low watermark.
 *
 * That leans on mm/page_reporting.c, the same in Linux 6.1 to 7.3: entries are
 * neither compound nor referenced, and are not looked at after the end mark.
 * compat.h says up to which kernel that was read; each block is looked at
 * before it is kept; and loading the module tries it out with one.  Should one
 * of it fail, all memory comes from the allocator.
 *
 * What was reported to the host already is not shown again, and has to be
 * allocated.
 */
#include <linux/mm.h>
#include <linux/moduleparam.h>

#include "balloon.h"

static bool harvest_enabled = HARVEST_WAS_READ_HERE;
module_param_named(harvest, harvest_enabled, bool, 0644);
MODULE_PARM_DESC(harvest, "Take free blocks without allocating and zeroing them (default: Y)");

/* In zones below the highest an eighth is left: some devices reach no other memory. */
static bool is_zone_spent(struct page *page)
{
	struct zone *zone = page_zone(page);
	struct zone *above = zone + 1;
	bool highest = true;

	for (; above < zone->zone_pgdat->node_zones + ZONE_MOVABLE; above++)
		highest = highest && !managed_zone(above);
	return !highest && zone_page_state(zone, NR_FREE_PAGES) < zone->present_pages / 8;
}

static bool is_as_expected(struct page *page, unsigned int order)
{
	return order <= MAX_PAGE_ORDER && IS_ALIGNED(page_to_pfn(page), 1UL << order) &&
	       !page_count(page) && !PageBuddy(page) && !PageCompound(page);
}

/* The page is isolated and unreferenced; from here on it is like one from the allocator. */
static bool keep(struct balloon *b, struct scatterlist *sg)
{
	unsigned int order = get_order(sg->length);
	struct page *page = sg_page(sg);

	if (!is_as_expected(page, order)) {
		b->harvest_broken = true;
		dev_warn(&b->vdev->dev,
			 "free page reporting is not what it was: no more harvesting\n");
		return false;
	}
	set_page_count(page, 1);
	held_add(b, page, order);
	return true;
}

/**
 * harvest_from() - keep blocks that free page reporting shows
 * @b: the balloon
 * @sg: the blocks
 * @nents: how many
 *
 * Return: -EAGAIN: nothing was reported, and the pass is over.  0: they are to
 * be marked as reported, that is, passed over from now on, so that the pass
 * comes to the next zone: a lone block, which cannot be kept, or such as are
 * better left where they are.
 */
int harvest_from(struct balloon *b, struct scatterlist *sg, unsigned int nents)
{
	unsigned long want = READ_ONCE(b->harvest_want);
	unsigned int left = nents;

	if (nents == 1 || is_zone_spent(sg_page(sg)))
		return 0;
	while (left > 1 && b->nr_held < want && keep(b, &sg[left - 1]))
		left--;
	sg_mark_end(&sg[left - 1]);
	return -EAGAIN;
}

/**
 * harvest() - isolate free blocks, which are held then
 * @b: the balloon
 * @want: pages
 *
 * For the worker.  At most one list of blocks comes at a time.
 *
 * Return: how many pages are held; 0 when there is nothing to harvest.
 */
unsigned long harvest(struct balloon *b, unsigned long want)
{
	unsigned long before = READ_ONCE(b->nr_held);

	if (!harvest_enabled || b->harvest_broken || b->harvest_dry || want < BLOCK_PAGES)
		return 0;
	if (reporting_join(b)) {
		b->harvest_dry = true;
		return 0;
	}
	WRITE_ONCE(b->harvest_want, want);
	reporting_run(b);
	WRITE_ONCE(b->harvest_want, 0);
	if (b->nr_held <= before)
		b->harvest_dry = true;
	else
		count(b, COUNT_harvested, b->nr_held - before);
	return b->nr_held;
}

/* Isolates one block, if there is one, and frees it again. */
void harvest_try_out(struct balloon *b)
{
	struct page *page;
	unsigned int order;

	/* Whether or not there is a block, what was joined for it is left again. */
	page = harvest(b, BLOCK_PAGES) ? held_take(b, BLOCK_PAGES, &order) : NULL;
	if (page && (page_count(page) != 1 || page_zone(page) != page_zone(page + BLOCK_PAGES - 1)))
		b->harvest_broken = true;
	if (page)
		free_block(page, order);
	inflate_end(b);
	if (b->harvest_broken)
		dev_info(&b->vdev->dev, "free blocks cannot be harvested here: allocating\n");
}

/* What is held */

void held_add(struct balloon *b, struct page *page, unsigned int order)
{
	set_page_private(page, order);
	spin_lock(&b->held_lock);
	list_add(&page->lru, &b->held);
	b->nr_held += 1UL << order;
	spin_unlock(&b->held_lock);
}

static struct page *held_pop(struct balloon *b)
{
	struct page *page;

	spin_lock(&b->held_lock);
	page = list_first_entry_or_null(&b->held, struct page, lru);
	if (page) {
		list_del(&page->lru);
		b->nr_held -= 1UL << page_private(page);
	}
	spin_unlock(&b->held_lock);
	return page;
}

struct page *held_take(struct balloon *b, unsigned long most, unsigned int *order)
{
	struct page *page = held_pop(b);
	struct page *upper;

	if (!page)
		return NULL;
	*order = page_private(page);
	while (1UL << *order > most) {
		--*order;
		upper = page + (1UL << *order);
		set_page_count(upper, 1);
		held_add(b, upper, *order);
	}
	set_page_private(page, 0);
	return page;
}

/* All of it, to the allocator; returns how many pages that were. */
unsigned long held_give_back(struct balloon *b)
{
	unsigned long pages = 0;
	unsigned int order;
	struct page *page;

	while ((page = held_take(b, ULONG_MAX, &order))) {
		free_block(page, order);
		pages += 1UL << order;
	}
	return pages;
}
