// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inflation: pages leave the guest.
 *
 * One step fills one request and sends it; the step after next waits for it,
 * and only then its pages enter the balloon.  So the driver gathers memory
 * while the host works on what it has.
 *
 * Memory comes, in this order, from what is held (harvest.c), from another
 * harvest, and from the allocator: whole blocks first, for which it may reclaim
 * and compact (where page cache fills the guest that brings whole blocks), then
 * single pages.  Those come from the smallest pieces, so that larger ones stay
 * for what the kernel cannot have in single pages: page tables, stacks, slabs.
 * Without them it kills, however much is free.  The driver never wakes the OOM
 * killer itself and never touches reserves; when nothing comes, the caller tries
 * again later.
 */
#include <linux/moduleparam.h>

#include "balloon.h"

static unsigned int batch = 4096;
module_param(batch, uint, 0444);
MODULE_PARM_DESC(batch, "Pages the host is told of at a time, 1 to 4096 (default: 4096)");

static unsigned int in_flight = IN_FLIGHT;
module_param(in_flight, uint, 0444);
MODULE_PARM_DESC(in_flight, "Requests on their way at a time, 1 or 2 (default: 2)");

static int order = -1;
module_param(order, int, 0444);
MODULE_PARM_DESC(order, "Largest blocks to allocate, as their order, 0 to 9 (default: 2 MiB)");

int inflate_init(struct balloon *b)
{
	unsigned int pages = clamp(batch, 1U, 4096U), blocks = 0;
	struct balloon_queue *q = &b->inflate;
	int err;

	b->by_reporting = reporting_only(b);
	if (b->by_reporting) {
		q = &b->reporting;
		pages = 0;
		blocks = min(virtqueue_get_vring_size(q->vq) / (2 * IN_FLIGHT), 64U);
	}
	in_flight = clamp_t(unsigned int, in_flight, 1, IN_FLIGHT);
	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		err = request_init(&b->inflating[i], q, pages, blocks);
		if (err)
			return err;
	}
	return 0;
}

void inflate_destroy(struct balloon *b)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++)
		request_destroy(&b->inflating[i]);
}

/* The host has them: into the balloon, a block at a time, as interrupts are off meanwhile. */
static void enter_balloon(struct balloon *b, struct balloon_request *r)
{
	unsigned long pages, all = r->nr_pages;
	LIST_HEAD(some);

	while (!list_empty(&r->pages)) {
		for (pages = 0; pages < BLOCK_PAGES && !list_empty(&r->pages); pages++)
			list_move_tail(r->pages.next, &some);
		balloon_page_list_enqueue(&b->pages, &some);
	}
	b->nr_in_flight -= all;
	atomic_long_add(all, &b->size);
	count(b, COUNT_inflated, all);
	request_reset(r);
}

/* A request that may be filled; NULL: the device does not give one back. */
static struct balloon_request *next_request(struct balloon *b)
{
	struct balloon_request *r = &b->inflating[b->inflate_turn % in_flight];

	if (!request_wait(r, MAX_SCHEDULE_TIMEOUT))
		return NULL;
	if (r->nr_pages)
		enter_balloon(b, r);
	return r;
}

/* The allocator's share */

static gfp_t flags_for(unsigned int order, unsigned int top)
{
	gfp_t flags = BALLOON_PAGES_MIGRATE ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER;

	flags |= __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN;
	/* Worth an effort: whole blocks, and the last resort. */
	return order == top || !order ? flags : flags & ~__GFP_RECLAIM;
}

static unsigned int top_order(void)
{
	return order < 0 ? pageblock_order : min_t(unsigned int, order, pageblock_order);
}

static struct page *allocate(struct balloon *b, unsigned long most, unsigned int *got)
{
	unsigned int top = top_order();
	struct page *page;

	for (;;) {
		while (b->alloc_order && 1UL << b->alloc_order > most)
			b->alloc_order--;
		page = alloc_pages(flags_for(b->alloc_order, top), b->alloc_order);
		if (page) {
			*got = b->alloc_order;
			atomic_long_inc(&b->allocated[*got]);
			return page;
		}
		if (!b->alloc_order)
			return NULL;
		b->alloc_order = 0;
	}
}

/* A step */

static struct page *next_block(struct balloon *b, unsigned long most, unsigned long want,
			       unsigned int *got)
{
	struct page *page = held_take(b, most, got);

	if (!page && harvest(b, want))
		page = held_take(b, most, got);
	return page ?: allocate(b, most, got);
}

static unsigned long fill(struct balloon *b, struct balloon_request *r, unsigned long want)
{
	/* A block that does not fit waits for the next request, if it fits into an empty one. */
	unsigned long filled = 0, most, all = request_room(r);
	unsigned int got;
	struct page *page;

	b->alloc_order = top_order();
	while (filled < want && request_room(r)) {
		most = min(want - filled, max(request_room(r), min(BLOCK_PAGES, all)));
		page = next_block(b, most, want - filled, &got);
		if (!page)
			break;
		if (1UL << got > request_room(r)) {
			held_add(b, page, got);
			break;
		}
		count_as_taken(b, page, 1L << got);
		request_add_block(r, page, got);
		filled += 1UL << got;
		cond_resched();
	}
	return filled;
}

static void empty(struct balloon *b, struct balloon_request *r)
{
	give_back(b, &r->pages);
	request_reset(r);
}

/* Under the lock.  The reporting queue may be full of free pages that are being reported. */
static int send(struct balloon *b, struct balloon_request *r)
{
	int err = request_send(r);

	if (err == -ENOSPC && b->by_reporting && request_wait(&b->report, HZ))
		err = request_send(r);
	return err;
}

long inflate_some(struct balloon *b, unsigned long want)
{
	struct balloon_request *r = next_request(b);
	unsigned long filled;
	int err;

	if (!r)
		return -ENODEV;
	want = min(want, floor_room(b));
	filled = want ? fill(b, r, want) : 0;
	if (!filled)
		return 0;
	mutex_lock(&b->lock);
	err = deflate_settle(b, MAX_SCHEDULE_TIMEOUT) ? send(b, r) : -ENODEV;
	mutex_unlock(&b->lock);
	if (err) {
		empty(b, r);
		return err == -ENOSPC ? 0 : err;
	}
	b->nr_in_flight += filled;
	b->inflate_turn++;
	return filled;
}

bool inflate_settle(struct balloon *b)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		if (!next_request(b))
			return false;
		b->inflate_turn++;
	}
	return true;
}

void inflate_end(struct balloon *b)
{
	held_give_back(b);
	reporting_leave(b);
	b->harvest_dry = false;
}

void inflate_reclaim(struct balloon *b)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		b->inflating[i].in_flight = false;
		empty(b, &b->inflating[i]);
	}
	b->nr_in_flight = 0;
}
