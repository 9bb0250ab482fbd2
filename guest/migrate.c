// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves pages of the balloon for compaction, and for memory that goes offline.
 *
 * The host takes the new page and gives back the old one.  Both requests are sent
 * together and waited for together.  If the device is late, or breaks, or the
 * driver stops meanwhile, the page has moved all the same: the host may already
 * have taken the new page, so the allocator must not get it.  Until both requests
 * are back no other page moves, and none is deflated or inflated (deflate.c).
 */
#include "balloon.h"

/* An allocation of a large block may be waiting for compaction. */
#define MIGRATION_TIMEOUT (10 * HZ)

static int exchange_with_host(struct virtio_balloon *vb, struct page *newpage, struct page *page)
{
	int err;

	/* The new page may have left the balloon a moment ago. */
	if (!vb_deflate_wait(vb, MIGRATION_TIMEOUT) ||
	    !vb_exchange_wait_inflate(vb, MIGRATION_TIMEOUT))
		return -EAGAIN;
	err = vb_exchange_send(vb, newpage, page);
	if (err)
		return err;
	vb_exchange_wait_inflate(vb, MIGRATION_TIMEOUT);
	/* The old page must not be used before a host that has to know knows. */
	vb_exchange_wait_deflate(vb, vb->must_tell_host ? MAX_SCHEDULE_TIMEOUT : MIGRATION_TIMEOUT);
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
