// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inflation: the guest gives pages to the host.
 *
 * Two requests are used in turn.  A step begins when the request whose turn it is
 * has come back: it moves its pages into the balloon, fills the request again and
 * sends it.  So the driver gathers memory while the host works on the other
 * request.
 *
 * Memory comes, in this order, from what is held (held.c), from another harvest
 * (harvest.c), and from the allocator.  That is asked for whole blocks first, for
 * which it may reclaim and compact: where page cache fills the guest, that brings
 * whole blocks.  Then it is asked for single pages.  They come from the smallest
 * free blocks, so that larger ones are left for what the kernel cannot build
 * from single pages, such as page tables, stacks and slabs: without them it kills
 * processes, however much memory is free.  The driver itself never invokes the
 * OOM killer and never uses reserves.  When no memory comes, the worker tries
 * again later.
 */
#include <linux/moduleparam.h>

#include "balloon.h"

static unsigned int batch = 4096;
module_param(batch, uint, 0444);
MODULE_PARM_DESC(batch, "Pages per request to the host, 1 to 4096 (default: 4096)");

static unsigned int in_flight = VB_MAX_IN_FLIGHT;
module_param(in_flight, uint, 0444);
MODULE_PARM_DESC(in_flight, "Inflate requests in flight at the same time, 1 or 2 (default: 2)");

static int order = -1;
module_param(order, int, 0444);
MODULE_PARM_DESC(order, "Order of the largest blocks to allocate, 0 to 9 (default: 2 MiB)");

int vb_inflate_init(struct virtio_balloon *vb)
{
	unsigned int pages = clamp(batch, 1U, 4096U), blocks = 0;
	struct vb_queue *q = &vb->inflate_vq;
	int err;

	if (vb_reporting_releases(vb)) {
		q = &vb->reporting_vq;
		pages = 0;
		blocks = min(virtqueue_get_vring_size(q->vq) / (2 * VB_MAX_IN_FLIGHT), 64U);
	}
	in_flight = clamp_t(unsigned int, in_flight, 1, VB_MAX_IN_FLIGHT);
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		err = vb_request_init(&vb->inflate.requests[i], q, pages, blocks);
		if (err)
			return err;
	}
	return 0;
}

void vb_inflate_destroy(struct virtio_balloon *vb)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++)
		vb_request_destroy(&vb->inflate.requests[i]);
}

/*
 * The request whose turn it is, when it can be filled: its pages have entered
 * the balloon.  NULL if the device still has it.
 */
static struct vb_request *get_next_request(struct virtio_balloon *vb)
{
	struct vb_request *r = &vb->inflate.requests[vb->inflate.turn % in_flight];
	unsigned long pages;

	if (!vb_request_wait(r, 0))
		return NULL;
	pages = r->nr_pages;
	if (pages) {
		vb_pages_add(vb, &r->pages, pages);
		vb->inflate.nr_in_flight -= pages;
		vb_count(vb, VB_COUNT_inflated, pages);
		vb_request_reset(r);
	}
	return r;
}

static gfp_t get_alloc_flags(unsigned int order, unsigned int top)
{
	gfp_t flags = VB_PAGES_MIGRATE ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER;

	flags |= __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN;
	/* Reclaim is worth it for whole blocks, and for the last resort. */
	return order == top || !order ? flags : flags & ~__GFP_RECLAIM;
}

static unsigned int get_top_order(void)
{
	return order < 0 ? pageblock_order : min_t(unsigned int, order, pageblock_order);
}

static struct page *allocate_block(struct virtio_balloon *vb, unsigned long max, unsigned int *got)
{
	unsigned int *next = &vb->inflate.alloc_order;
	unsigned int top = get_top_order();
	struct page *page;

	for (;;) {
		while (*next && 1UL << *next > max)
			--*next;
		page = alloc_pages(get_alloc_flags(*next, top), *next);
		if (page) {
			*got = *next;
			vb_count_allocated(vb, *got);
			return page;
		}
		if (!*next)
			return NULL;
		*next = 0;
	}
}

/* A block of at most @max pages; @want is how many the request still needs. */
static struct page *get_block(struct virtio_balloon *vb, unsigned long max, unsigned long want,
			      unsigned int *got)
{
	struct page *page = vb_held_take(vb, max, got);

	if (!page && vb_harvest_blocks(vb, want))
		page = vb_held_take(vb, max, got);
	return page ?: allocate_block(vb, max, got);
}

static unsigned long fill_request(struct virtio_balloon *vb, struct vb_request *r,
				  unsigned long want)
{
	/* A block that does not fit waits for the next request, if it fits into an empty one. */
	unsigned long filled = 0, most, all = vb_request_room(r);
	unsigned int got;
	struct page *page;

	vb->inflate.alloc_order = get_top_order();
	while (filled < want && vb_request_room(r)) {
		most = min(want - filled, max(vb_request_room(r), min(VB_BLOCK_PAGES, all)));
		page = get_block(vb, most, want - filled, &got);
		if (!page)
			break;
		if (1UL << got > vb_request_room(r)) {
			vb_held_add(vb, page, got);
			break;
		}
		vb_shrink_memtotal(vb, page, 1L << got);
		vb_request_add_block(r, page, got);
		filled += 1UL << got;
		cond_resched();
	}
	return filled;
}

static void empty_request(struct virtio_balloon *vb, struct vb_request *r)
{
	vb_free_pages(vb, &r->pages);
	vb_request_reset(r);
}

/* Under vb->lock.  The reporting queue may be full of free pages that are being reported. */
static int send_inflation(struct virtio_balloon *vb, struct vb_request *r)
{
	int err = vb_request_send(r);

	if (err == -ENOSPC && vb_reporting_releases(vb) && vb_reporting_wait(vb, VB_DEVICE_TIMEOUT))
		err = vb_request_send(r);
	return err;
}

static bool are_deflations_read(struct virtio_balloon *vb)
{
	bool settled;

	mutex_lock(&vb->lock);
	settled = vb_deflate_wait(vb, 0);
	mutex_unlock(&vb->lock);
	return settled;
}

long vb_inflate_pages(struct virtio_balloon *vb, unsigned long want)
{
	struct vb_request *r = get_next_request(vb);
	unsigned long filled;
	int err;

	if (!r || !are_deflations_read(vb))
		return -EAGAIN;
	want = min(want, vb_floor_room(vb));
	filled = want ? fill_request(vb, r, want) : 0;
	if (!filled)
		return 0;
	/* Allocating may have moved pages of the balloon, or deflated it. */
	mutex_lock(&vb->lock);
	err = vb_deflate_wait(vb, VB_DEVICE_TIMEOUT) ? send_inflation(vb, r) : -EAGAIN;
	mutex_unlock(&vb->lock);
	if (err) {
		empty_request(vb, r);
		return err == -ENOSPC ? 0 : err;
	}
	vb->inflate.nr_in_flight += filled;
	vb->inflate.turn++;
	return filled;
}

bool vb_inflate_settle(struct virtio_balloon *vb)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		if (!get_next_request(vb))
			return false;
		vb->inflate.turn++;
	}
	return true;
}

unsigned long vb_inflate_in_flight(struct virtio_balloon *vb)
{
	return vb->inflate.nr_in_flight;
}

void vb_inflate_reclaim(struct virtio_balloon *vb)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		vb_request_abort(&vb->inflate.requests[i]);
		empty_request(vb, &vb->inflate.requests[i]);
	}
	vb->inflate.nr_in_flight = 0;
}
