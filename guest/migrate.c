// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves pages of the balloon for compaction, and for memory that goes offline.
 *
 * The host takes the new page and gives back the old one.  Both requests are sent
 * together.  The page has moved then, whatever the device does: the host may
 * already have taken the new page, so the allocator must not get it.  Until both
 * requests are back no other page moves, and none is deflated or inflated
 * (deflate.c).
 *
 * If the host has to know of the old page before it is used, a reference keeps it
 * until then (exchange.c).  Normally that is a moment.  If the device is late, the
 * worker drops the reference when it answers.
 */
#include "balloon.h"

static int exchange_with_host(struct virtio_balloon *vb, struct page *newpage, struct page *page)
{
	int err;

	/* The new page may have left the balloon a moment ago. */
	if (!vb_deflate_wait(vb, VB_DEVICE_TIMEOUT) ||
	    !vb_exchange_wait_inflate(vb, VB_DEVICE_TIMEOUT))
		return -EAGAIN;
	err = vb_exchange_send(vb, newpage, page);
	if (err)
		return err;
	vb_exchange_wait_inflate(vb, VB_DEVICE_TIMEOUT);
	if (!vb_exchange_wait_deflate(vb, VB_DEVICE_TIMEOUT))
		vb_call_if_running(vb, vb_resize_request);
	return 0;
}

int vb_migrate_page(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		    enum migrate_mode mode)
{
	struct virtio_balloon *vb = container_of(info, struct virtio_balloon, pages.info);
	int err = -EAGAIN;

	if (!mutex_trylock(&vb->lock))
		return -EAGAIN;
	if (vb_is_running(vb))
		err = exchange_with_host(vb, newpage, page);
	if (!err) {
		if (page_zone(page) != page_zone(newpage)) {
			vb_shrink_memtotal(vb, page, -1);
			vb_shrink_memtotal(vb, newpage, 1);
		}
		vb_count(vb, VB_COUNT_migrated, 1);
		vb_pages_replace(vb, newpage, page);
	}
	mutex_unlock(&vb->lock);
	return err ?: MIGRATEPAGE_SUCCESS;
}
