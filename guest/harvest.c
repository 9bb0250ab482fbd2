// SPDX-License-Identifier: GPL-2.0-only
/*
 * Harvest: takes free blocks without the allocator.
 *
 * Most kernels zero everything that they allocate (init_on_alloc=1).  A balloon
 * discards that memory at once, and on a new guest the host has to populate it
 * first: that is four fifths of the time of an inflation.
 *
 * Free page reporting offers a way around.  It isolates free blocks from the
 * allocator, shows up to 32 of them to a callback, and puts them back.  We
 * register while the balloon inflates, and keep what the callback is shown:
 *
 *	shown	 [ 0 | 1 | 2 | … | n-1 ]
 *	left	 [ 0 … k ]		  we shorten the list before we return it
 *	kept		  [ k+1 … n-1 ]
 *
 * One entry has to stay, because the caller puts the first entry back before it
 * looks for the end of the list.  The callback returns an error, so that no
 * block that is put back is marked as reported, and the pass ends; the worker
 * runs another one as long as passes bring something.  A pass skips a zone that
 * is near its low watermark.
 *
 * This depends on internals of mm/page_reporting.c, which are the same in Linux
 * 6.1 to 7.3: entries are neither compound nor referenced, and nothing looks at
 * entries beyond the end mark.  compat.h says up to which kernel that was
 * verified; each block is checked before it is kept; and selftest.c tries it with
 * one block when the module is loaded.  If any of this fails, all memory comes
 * from the allocator.
 *
 * Blocks that were reported to the host are not shown again, and have to be
 * allocated.
 */
#include <linux/mm.h>
#include <linux/moduleparam.h>

#include "balloon.h"

static bool harvest_enabled = VB_HARVEST_VERIFIED;
module_param_named(harvest, harvest_enabled, bool, 0644);
MODULE_PARM_DESC(harvest, "Take free blocks without allocating and zeroing them (default: Y)");

/* In zones below the highest an eighth stays free: some devices can use no other memory. */
static bool is_low_zone_spent(struct page *page)
{
	struct zone *zone = page_zone(page);
	struct zone *above = zone + 1;
	bool highest = true;

	for (; above < zone->zone_pgdat->node_zones + ZONE_MOVABLE; above++)
		highest = highest && !managed_zone(above);
	return !highest && zone_page_state(zone, NR_FREE_PAGES) < zone->present_pages / 8;
}

static bool is_isolated_block(struct page *page, unsigned int order)
{
	return order <= MAX_PAGE_ORDER && IS_ALIGNED(page_to_pfn(page), 1UL << order) &&
	       !page_count(page) && !PageBuddy(page) && !PageCompound(page);
}

/* With a reference the block is as if it came from the allocator. */
static bool keep_isolated_block(struct virtio_balloon *vb, struct scatterlist *sg)
{
	unsigned int order = get_order(sg->length);
	struct page *page = sg_page(sg);

	if (!is_isolated_block(page, order)) {
		vb_harvest_disable(vb);
		dev_warn(&vb->vdev->dev,
			 "free page reporting does not work as expected: no more harvesting\n");
		return false;
	}
	set_page_count(page, 1);
	vb_held_add(vb, page, order);
	return true;
}

/*
 * Keeps blocks that free page reporting shows.  An error means that nothing was
 * reported, and ends the pass.  0 means that the blocks were reported: they are
 * skipped from now on, and the pass goes on to the next zone.  That serves for a
 * single block, which cannot be kept, and in a zone that has to keep its rest; but
 * not if the host is to have reports, or it would never hear of these blocks.
 */
static int keep_shown_blocks(struct virtio_balloon *vb, struct scatterlist *sg, unsigned int nents)
{
	unsigned long want = READ_ONCE(vb->harvest.want);
	unsigned int left = nents;

	if (nents == 1 || is_low_zone_spent(sg_page(sg)))
		return vb_reporting_is_on(vb) ? -EAGAIN : 0;
	while (left > 1 && vb_held_count(vb) < want && keep_isolated_block(vb, &sg[left - 1]))
		left--;
	sg_mark_end(&sg[left - 1]);
	return -EAGAIN;
}

unsigned long vb_harvest_blocks(struct virtio_balloon *vb, unsigned long want)
{
	struct vb_harvest *harvest = &vb->harvest;
	unsigned long before = vb_held_count(vb), after;

	if (!harvest_enabled || harvest->broken || harvest->dry || want < VB_BLOCK_PAGES)
		return 0;
	if (vb_reporting_join(vb)) {
		harvest->dry = true;
		return 0;
	}
	WRITE_ONCE(harvest->want, want);
	vb_reporting_run_pass(vb, keep_shown_blocks);
	WRITE_ONCE(harvest->want, 0);
	after = vb_held_count(vb);
	if (after <= before)
		harvest->dry = true;
	else
		vb_count(vb, VB_COUNT_harvested, after - before);
	return after;
}

void vb_harvest_finish(struct virtio_balloon *vb)
{
	vb_held_free(vb);
	vb_reporting_leave(vb);
	vb->harvest.dry = false;
}

void vb_harvest_disable(struct virtio_balloon *vb)
{
	vb->harvest.broken = true;
}

bool vb_harvest_is_broken(struct virtio_balloon *vb)
{
	return vb->harvest.broken;
}
