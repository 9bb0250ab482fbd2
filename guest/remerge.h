/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_REMERGE_H
#define GUEST_REMERGE_H

#include <linux/list.h>

struct page;
struct virtio_balloon;

/**
 * vb_free_pages() - return pages to the allocator, and to MemTotal
 * @vb: the balloon
 * @pages: single pages by their lru, off mm's list of the balloon; empty
 *	afterwards
 *
 * Finds a whole block if its pages are next to each other on the list and in
 * ascending order, as vb_pages_take() leaves them.  Does not sleep.
 */
void vb_free_pages(struct virtio_balloon *vb, struct list_head *pages);

/**
 * vb_free_block() - return a block to the allocator
 * @page: its first page, with one reference; the others have none
 * @order: its order
 *
 * Does not sleep.
 */
void vb_free_block(struct page *page, unsigned int order);

#endif
