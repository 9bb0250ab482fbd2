/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_HELD_H
#define GUEST_HELD_H

#include <linux/list.h>
#include <linux/spinlock.h>

struct page;
struct virtio_balloon;

/**
 * struct vb_held - blocks that are set aside for the balloon
 * @lock: protects the rest; process context only
 * @blocks: by the lru of their first page, whose count is 1 and whose private
 *	is the block's order; the counts of the other pages are 0
 * @count: pages in them
 *
 * Private to held.c.
 */
struct vb_held {
	spinlock_t lock;
	struct list_head blocks;
	unsigned long count;
};

/**
 * vb_held_init() - initialise; nothing is held
 * @vb: the balloon
 */
void vb_held_init(struct virtio_balloon *vb);

/**
 * vb_held_add() - hold a block
 * @vb: the balloon
 * @page: its first page, with one reference; the others have none
 * @order: its order
 *
 * Process context; does not sleep.
 */
void vb_held_add(struct virtio_balloon *vb, struct page *page, unsigned int order);

/**
 * vb_held_take() - take a block off what is held, or part of one
 * @vb: the balloon
 * @max: pages that the block may have, at least 1
 * @order: set to the order of the block
 *
 * A block that is larger than @max is split, and the rest is held.  Process
 * context; does not sleep.
 *
 * Return: the first page of the block, or NULL if nothing is held.
 */
struct page *vb_held_take(struct virtio_balloon *vb, unsigned long max, unsigned int *order);

/**
 * vb_held_free() - return everything that is held to the allocator
 * @vb: the balloon
 *
 * Process context; does not sleep.
 *
 * Return: the number of pages.
 */
unsigned long vb_held_free(struct virtio_balloon *vb);

/**
 * vb_held_count() - how much is held
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: the number of pages.
 */
unsigned long vb_held_count(struct virtio_balloon *vb);

#endif
