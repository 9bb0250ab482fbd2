// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deflation: pages come back.
 *
 * With VIRTIO_BALLOON_F_MUST_TELL_HOST a page may be used only when the host
 * has acknowledged it: it stays with its request till then.  Without, pages are
 * free as soon as their request is sent.  Sent, not read: the request goes into
 * the ring before the pages go to the allocator, so whoever inflates one of
 * them again finds the deflation in flight, and waits (deflate_settle()).
 *
 * The end of a request is stretched to the end of a block, so that blocks that
 * lie in the balloon whole also leave it whole (remerge.c).
 */
#include "balloon.h"

#define DEFLATE_PAGES 4096UL

int deflate_init(struct balloon *b)
{
	int err;

	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		err = request_init(&b->deflating[i], &b->deflate, DEFLATE_PAGES + BLOCK_PAGES, 0);
		if (err)
			return err;
	}
	return 0;
}

void deflate_destroy(struct balloon *b)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++)
		request_destroy(&b->deflating[i]);
}

/* The host has read it. */
static void free_told(struct balloon *b, struct balloon_request *r)
{
	give_back(b, &r->pages);
	request_reset(r);
}

/*
 * Up to @want pages of mm's list, those that came last, in the order in which
 * they came; a block's worth at a time, as interrupts are off meanwhile.
 */
static unsigned long take(struct balloon *b, struct list_head *pages, unsigned long want)
{
	unsigned long taken = 0, got, rest;

	do {
		got = min3(want - taken, DEFLATE_PAGES - taken, BLOCK_PAGES);
		got = balloon_page_list_dequeue(&b->pages, pages, got);
		taken += got;
	} while (got && taken < want && taken < DEFLATE_PAGES);
	if (taken && taken < want) {
		rest = page_to_pfn(list_first_entry(pages, struct page, lru)) % BLOCK_PAGES;
		taken += balloon_page_list_dequeue(&b->pages, pages, min(rest, want - taken));
	}
	atomic_long_sub(taken, &b->size);
	count(b, COUNT_deflated, taken);
	return taken;
}

/**
 * deflate_some() - take pages out of the balloon
 * @b: the balloon
 * @want: how many at most
 * @patience: for the device, in jiffies
 *
 * Under the lock.
 *
 * Return: how many left the balloon (0: compaction has hold of all there are),
 * or -ENODEV when the device does not answer.
 */
long deflate_some(struct balloon *b, unsigned long want, unsigned long patience)
{
	struct balloon_request *r = &b->deflating[b->deflate_turn % IN_FLIGHT];
	unsigned long taken;

	/* A page that compaction moved in is not to be told back before the host has taken it. */
	if (!request_wait(r, patience) || !request_wait(&b->moved_in, patience))
		return -ENODEV;
	free_told(b, r);
	/* There is room for it in a ring of any size. */
	if (virtqueue_get_vring_size(b->deflate.vq) <= IN_FLIGHT && !deflate_settle(b, patience))
		return -ENODEV;
	taken = take(b, &r->pages, want);
	if (!taken)
		return 0;
	if (b->by_reporting) {
		give_back(b, &r->pages);
		return taken;
	}
	request_number_pages(r);
	/* A device that takes no more requests is gone, and the pages are ours. */
	if (request_send(r) || !b->must_tell)
		give_back(b, &r->pages);
	b->deflate_turn++;
	return taken;
}

bool deflate_settle(struct balloon *b, unsigned long patience)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		if (!request_wait(&b->deflating[i], patience))
			return false;
		free_told(b, &b->deflating[i]);
	}
	return request_wait(&b->moved_out, patience);
}

/* After a reset of the device. */
void deflate_reclaim(struct balloon *b)
{
	for (unsigned int i = 0; i < IN_FLIGHT; i++) {
		b->deflating[i].in_flight = false;
		free_told(b, &b->deflating[i]);
	}
}

void deflate_into_held(struct balloon *b)
{
	struct page *page, *next;
	LIST_HEAD(pages);

	while (atomic_long_read(&b->size)) {
		if (!take(b, &pages, DEFLATE_PAGES))
			cond_resched(); /* until compaction puts back what it isolated */
		list_for_each_entry_safe_reverse(page, next, &pages, lru) {
			list_del(&page->lru);
			count_as_taken(b, page, -1);
			held_add(b, page, 0);
		}
	}
}
