// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deflation: the guest takes pages back.
 *
 * With VIRTIO_BALLOON_F_MUST_TELL_HOST a page may be used only after the host
 * has acknowledged it, and stays with its request until then.  Without that
 * feature pages are free as soon as their request has been sent; the host need
 * not have read it.  The request enters the ring before its pages go to the
 * allocator.  So whoever inflates one of them again finds the deflation in
 * flight, and waits for it (vb_deflate_wait()).
 *
 * A request is extended to the boundary of a block, so that a block that entered
 * the balloon whole also leaves it whole (vb_pages_take(), remerge.c).
 */
#include "balloon.h"

int vb_deflate_init(struct virtio_balloon *vb)
{
	unsigned int pages = VB_PAGES_TAKE_MAX + VB_BLOCK_PAGES;
	int err;

	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		err = vb_request_init(&vb->deflate.requests[i], &vb->deflate_vq, pages, 0);
		if (err)
			return err;
	}
	return 0;
}

void vb_deflate_destroy(struct virtio_balloon *vb)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++)
		vb_request_destroy(&vb->deflate.requests[i]);
}

/* The request is back: the pages that waited for that are free. */
static void free_request_pages(struct virtio_balloon *vb, struct vb_request *r)
{
	vb_free_pages(vb, &r->pages);
	vb_request_reset(r);
}

long vb_deflate_pages(struct virtio_balloon *vb, unsigned long want, unsigned long timeout)
{
	struct vb_request *r = &vb->deflate.requests[vb->deflate.turn % VB_MAX_IN_FLIGHT];
	unsigned long taken;

	/* No deflation may name a page that migration moved in and the host has not taken yet. */
	if (!vb_request_wait(r, timeout) || !vb_exchange_wait_inflate(vb, timeout))
		return -EAGAIN;
	free_request_pages(vb, r);
	/* The ring may be too short for both requests and that of a migration. */
	if (virtqueue_get_vring_size(vb->deflate_vq.vq) <= VB_MAX_IN_FLIGHT &&
	    !vb_deflate_wait(vb, timeout))
		return -EAGAIN;
	taken = vb_pages_take(vb, &r->pages, want);
	if (!taken)
		return 0;
	if (vb_reporting_releases(vb)) {
		vb_free_pages(vb, &r->pages);
		return taken;
	}
	vb_request_name_list(r);
	/* A device that takes no more requests is gone, and the pages are ours. */
	if (vb_request_send(r) || !vb->must_tell_host)
		vb_free_pages(vb, &r->pages);
	vb->deflate.turn++;
	return taken;
}

bool vb_deflate_wait(struct virtio_balloon *vb, unsigned long timeout)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		if (!vb_request_wait(&vb->deflate.requests[i], timeout))
			return false;
		free_request_pages(vb, &vb->deflate.requests[i]);
	}
	return vb_exchange_wait_deflate(vb, timeout);
}

void vb_deflate_reclaim(struct virtio_balloon *vb)
{
	for (unsigned int i = 0; i < VB_MAX_IN_FLIGHT; i++) {
		vb_request_abort(&vb->deflate.requests[i]);
		free_request_pages(vb, &vb->deflate.requests[i]);
	}
}

void vb_deflate_to_held(struct virtio_balloon *vb)
{
	struct page *page, *next;
	LIST_HEAD(pages);

	while (vb_pages_count(vb)) {
		if (!vb_pages_take(vb, &pages, VB_PAGES_TAKE_MAX))
			cond_resched(); /* until compaction puts back what it isolated */
		list_for_each_entry_safe_reverse(page, next, &pages, lru) {
			list_del(&page->lru);
			vb_shrink_memtotal(vb, page, -1);
			vb_held_add(vb, page, 0);
		}
	}
}
