// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the driver tries when it is loaded, because no interface of the kernel
 * promises it.
 */
#include "balloon.h"

void vb_selftest_harvest(struct virtio_balloon *vb)
{
	struct page *page = NULL;
	unsigned int order;

	if (vb_harvest_blocks(vb, VB_BLOCK_PAGES))
		page = vb_held_take(vb, VB_BLOCK_PAGES, &order);
	if (page) {
		if (page_count(page) != 1 ||
		    page_zone(page) != page_zone(page + VB_BLOCK_PAGES - 1))
			vb_harvest_disable(vb);
		vb_free_block(page, order);
	}
	vb_harvest_finish(vb); /* also without a block: the harvest has joined for it */
	if (vb_harvest_is_broken(vb))
		dev_info(&vb->vdev->dev,
			 "free blocks cannot be harvested on this kernel: allocating instead\n");
}
