// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: the pages that one buffer names to the host.
 *
 * In VIRTIO a request is an array of page numbers, 32 bits each, of 4 KiB pages.
 * The in-tree driver sends 256 of them at a time.  The specification sets no
 * limit, and each request less saves an exit of the guest; but beyond 4096 pages
 * a request only keeps the device busy with one guest for longer.
 *
 * The other kind names the blocks of memory themselves, as free page reporting
 * does: 16 bytes per 2 or 4 MiB.  See reporting.c for when that is appropriate.
 */
#include <linux/slab.h>

#include "balloon.h"

int vb_request_init(struct vb_request *r, struct vb_queue *q, unsigned int pages,
		    unsigned int blocks)
{
	memset(r, 0, sizeof(*r));
	r->queue = q;
	INIT_LIST_HEAD(&r->pages);
	if (pages) {
		r->max_pfns = pages * VB_PFNS_PER_PAGE;
		r->pfns = kmalloc_array(r->max_pfns, sizeof(*r->pfns), GFP_KERNEL);
	} else {
		r->max_blocks = blocks;
		r->blocks = kmalloc_array(blocks, sizeof(*r->blocks), GFP_KERNEL);
	}
	if (!r->pfns && !r->blocks)
		return -ENOMEM;
	vb_request_reset(r);
	return 0;
}

void vb_request_destroy(struct vb_request *r)
{
	WARN_ON_ONCE(r->queue && !list_empty(&r->pages));
	kfree(r->pfns);
	kfree(r->blocks);
	r->pfns = NULL;
	r->blocks = NULL;
}

void vb_request_reset(struct vb_request *r)
{
	r->nr_pages = 0;
	r->nr_pfns = 0;
	r->nr_blocks = 0;
	if (r->blocks)
		sg_init_table(r->blocks, r->max_blocks);
}

void vb_request_abort(struct vb_request *r)
{
	r->in_flight = false;
}

unsigned long vb_request_room(const struct vb_request *r)
{
	if (r->blocks)
		return r->nr_blocks < r->max_blocks ? MAX_ORDER_NR_PAGES : 0;
	return (r->max_pfns - r->nr_pfns) / VB_PFNS_PER_PAGE;
}

static void append_page_number(struct vb_request *r, struct page *page)
{
	struct virtio_device *vdev = r->queue->vq->vdev;
	u32 pfn = page_to_pfn(page) * VB_PFNS_PER_PAGE;

	for (unsigned int i = 0; i < VB_PFNS_PER_PAGE; i++)
		r->pfns[r->nr_pfns++] = cpu_to_virtio32(vdev, pfn + i);
	r->nr_pages++;
}

static void append_block(struct vb_request *r, struct page *page, unsigned int order)
{
	sg_set_page(&r->blocks[r->nr_blocks++], page, PAGE_SIZE << order, 0);
	r->nr_pages += 1U << order;
}

void vb_request_name_page(struct vb_request *r, struct page *page)
{
	if (r->blocks)
		append_block(r, page, 0);
	else
		append_page_number(r, page);
}

void vb_request_add_block(struct vb_request *r, struct page *page, unsigned int order)
{
	split_page(page, order);
	if (r->blocks)
		append_block(r, page, order);
	for (unsigned int i = 0; i < 1U << order; i++) {
		list_add_tail(&page[i].lru, &r->pages);
		if (!r->blocks)
			append_page_number(r, page + i);
	}
}

void vb_request_name_list(struct vb_request *r)
{
	struct page *page;

	list_for_each_entry(page, &r->pages, lru)
		append_page_number(r, page);
}

int vb_request_send(struct vb_request *r)
{
	struct scatterlist sg;

	if (r->blocks) {
		sg_mark_end(&r->blocks[r->nr_blocks - 1]);
		return vb_queue_send(r->queue, r, r->blocks, r->nr_blocks, true);
	}
	sg_init_one(&sg, r->pfns, r->nr_pfns * sizeof(*r->pfns));
	return vb_queue_send(r->queue, r, &sg, 1, false);
}

bool vb_request_wait(struct vb_request *r, unsigned long timeout)
{
	return vb_queue_wait(r->queue, r, timeout);
}
