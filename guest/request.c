// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: which pages the host is told of in one buffer.
 *
 * The standard says it by page numbers of 4 KiB, 32 bits each, in one buffer
 * that the device reads.  The standard driver sends 256 of them; nothing limits
 * them, and up to 4096 each more saves exits of the guest, while a larger
 * buffer only keeps the device longer at one guest's work.
 *
 * The other kind tells by the blocks themselves, as free page reporting does:
 * 16 bytes for 2 or 4 MiB (reporting.c says when that is right).
 */
#include <linux/slab.h>

#include "balloon.h"

/**
 * request_init() - allocate a request
 * @r: the request
 * @q: the queue it is for
 * @pages: how many pages it may tell of by number
 * @blocks: how many blocks it may tell of by themselves; then @pages is 0
 *
 * Return: 0 or -ENOMEM.
 */
int request_init(struct balloon_request *r, struct balloon_queue *q, unsigned int pages,
		 unsigned int blocks)
{
	memset(r, 0, sizeof(*r));
	r->queue = q;
	INIT_LIST_HEAD(&r->pages);
	if (pages) {
		r->room = pages * PFNS_PER_PAGE;
		r->pfns = kmalloc_array(r->room, sizeof(*r->pfns), GFP_KERNEL);
	} else {
		r->room_blocks = blocks;
		r->blocks = kmalloc_array(blocks, sizeof(*r->blocks), GFP_KERNEL);
	}
	if (!r->pfns && !r->blocks)
		return -ENOMEM;
	request_reset(r);
	return 0;
}

void request_destroy(struct balloon_request *r)
{
	WARN_ON_ONCE(!list_empty(&r->pages));
	kfree(r->pfns);
	kfree(r->blocks);
	r->pfns = NULL;
	r->blocks = NULL;
}

void request_reset(struct balloon_request *r)
{
	r->nr_pages = 0;
	r->nr_pfns = 0;
	r->nr_blocks = 0;
	if (r->blocks)
		sg_init_table(r->blocks, r->room_blocks);
}

unsigned long request_room(const struct balloon_request *r)
{
	if (r->blocks)
		return r->nr_blocks < r->room_blocks ? MAX_ORDER_NR_PAGES : 0;
	return (r->room - r->nr_pfns) / PFNS_PER_PAGE;
}

static void put_number(struct balloon_request *r, struct page *page)
{
	struct virtio_device *vdev = r->queue->vq->vdev;
	u32 pfn = page_to_pfn(page) * PFNS_PER_PAGE;

	for (unsigned int i = 0; i < PFNS_PER_PAGE; i++)
		r->pfns[r->nr_pfns++] = cpu_to_virtio32(vdev, pfn + i);
	r->nr_pages++;
}

static void put_block(struct balloon_request *r, struct page *page, unsigned int order)
{
	sg_set_page(&r->blocks[r->nr_blocks++], page, PAGE_SIZE << order, 0);
	r->nr_pages += 1U << order;
}

void request_put_page(struct balloon_request *r, struct page *page)
{
	if (r->blocks)
		put_block(r, page, 0);
	else
		put_number(r, page);
}

/* All of a block is in one request, in order: so a device can see that it is whole. */
void request_add_block(struct balloon_request *r, struct page *page, unsigned int order)
{
	split_page(page, order);
	if (r->blocks)
		put_block(r, page, order);
	for (unsigned int i = 0; i < 1U << order; i++) {
		list_add_tail(&page[i].lru, &r->pages);
		if (!r->blocks)
			put_number(r, page + i);
	}
}

void request_number_pages(struct balloon_request *r)
{
	struct page *page;

	list_for_each_entry(page, &r->pages, lru)
		put_number(r, page);
}

int request_send(struct balloon_request *r)
{
	struct scatterlist sg;

	if (r->blocks) {
		sg_mark_end(&r->blocks[r->nr_blocks - 1]);
		return queue_send(r->queue, r, r->blocks, r->nr_blocks, true);
	}
	sg_init_one(&sg, r->pfns, r->nr_pfns * sizeof(*r->pfns));
	return queue_send(r->queue, r, &sg, 1, false);
}

bool request_wait(struct balloon_request *r, unsigned long patience)
{
	return queue_wait(r->queue, r, patience);
}
