// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks that are set aside for the balloon, and that the host does not know of
 * yet: harvested ones, one that did not fit into a request, and the pages of a
 * balloon that is inflated again after a suspend.
 *
 * They still count in MemTotal, but not as free.
 */
#include "balloon.h"

void vb_held_init(struct virtio_balloon *vb)
{
	spin_lock_init(&vb->held.lock);
	INIT_LIST_HEAD(&vb->held.blocks);
}

void vb_held_add(struct virtio_balloon *vb, struct page *page, unsigned int order)
{
	set_page_private(page, order);
	spin_lock(&vb->held.lock);
	list_add(&page->lru, &vb->held.blocks);
	vb->held.count += 1UL << order;
	spin_unlock(&vb->held.lock);
}

struct page *vb_held_take(struct virtio_balloon *vb, unsigned long max, unsigned int *order)
{
	struct page *page, *upper;

	spin_lock(&vb->held.lock);
	page = list_first_entry_or_null(&vb->held.blocks, struct page, lru);
	if (page) {
		list_del(&page->lru);
		vb->held.count -= 1UL << page_private(page);
	}
	spin_unlock(&vb->held.lock);
	if (!page)
		return NULL;
	*order = page_private(page);
	while (1UL << *order > max) {
		--*order;
		upper = page + (1UL << *order);
		set_page_count(upper, 1);
		vb_held_add(vb, upper, *order);
	}
	set_page_private(page, 0);
	return page;
}

unsigned long vb_held_free(struct virtio_balloon *vb)
{
	unsigned long pages = 0;
	unsigned int order;
	struct page *page;

	while ((page = vb_held_take(vb, ULONG_MAX, &order))) {
		vb_free_block(page, order);
		pages += 1UL << order;
	}
	return pages;
}

unsigned long vb_held_count(struct virtio_balloon *vb)
{
	return READ_ONCE(vb->held.count);
}
