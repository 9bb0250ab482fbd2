/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_HARVEST_H
#define GUEST_HARVEST_H

#include <linux/types.h>

struct virtio_balloon;

/**
 * struct vb_harvest - taking free blocks without the allocator
 * @want: pages that are to be held in the end; 0 while nothing is harvested
 * @dry: the last pass brought nothing; until vb_harvest_finish()
 * @broken: free page reporting does not work as expected; for good
 *
 * Private to harvest.c.  All of it belongs to the worker.
 */
struct vb_harvest {
	unsigned long want;
	bool dry;
	bool broken;
};

/**
 * vb_harvest_blocks() - isolate free blocks and hold them
 * @vb: the balloon
 * @want: how many pages are to be held
 *
 * One call brings at most one list of blocks.  For the worker.  May sleep.
 *
 * Return: how many pages are held; 0 if nothing can be harvested.
 */
unsigned long vb_harvest_blocks(struct virtio_balloon *vb, unsigned long want);

/**
 * vb_harvest_finish() - the worker has what it wants, or takes a break
 * @vb: the balloon
 *
 * Frees what is held, and lets other modules use free page reporting.  The next
 * harvest tries again.  For the worker.  May sleep.
 */
void vb_harvest_finish(struct virtio_balloon *vb);

/**
 * vb_harvest_disable() - never harvest again
 * @vb: the balloon
 */
void vb_harvest_disable(struct virtio_balloon *vb);

/**
 * vb_harvest_is_broken() - whether harvesting has been disabled
 * @vb: the balloon
 *
 * Return: true after vb_harvest_disable(), or after a pass has shown a block
 * that is not as expected.
 */
bool vb_harvest_is_broken(struct virtio_balloon *vb);

#endif
