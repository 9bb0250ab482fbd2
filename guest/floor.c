// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor: what the guest keeps, whatever the host asks for.
 *
 * A guest without free pages swaps, and then kills processes.  So inflation
 * stops when only the larger of 64 MiB and 3 % of the guest's memory is
 * available, and continues when there is more.  Half of the free swap counts as
 * available: swapping is slow but kills nothing, and swap on zram itself needs
 * memory.
 *
 * After relief on OOM (oom.c) the balloon takes nothing for some seconds.
 */
#include <linux/moduleparam.h>
#include <linux/sizes.h>

#include "balloon.h"

static int floor_mib = -1;
module_param(floor_mib, int, 0644);
MODULE_PARM_DESC(floor_mib, "MiB that stay available in the guest (default: 64 or 3 %; 0: none)");

static unsigned long get_floor_pages(struct virtio_balloon *vb)
{
	unsigned long ram = totalram_pages() + (vb->deflate_on_oom ? 0 : vb_pages_count(vb));

	if (floor_mib >= 0)
		return (unsigned long)floor_mib << (20 - PAGE_SHIFT);
	return max_t(unsigned long, SZ_64M >> PAGE_SHIFT, ram * 3 / 100);
}

static void log_stop_at_floor(struct virtio_balloon *vb, unsigned long floor)
{
	unsigned long mib = vb_pages_count(vb) >> (20 - PAGE_SHIFT);

	if (vb->floor.reported)
		return;
	vb->floor.reported = true;
	vb_count(vb, VB_COUNT_floored, 1);
	dev_info(&vb->vdev->dev, "the balloon stops at %lu MiB to leave the guest %lu MiB\n", mib,
		 floor >> (20 - PAGE_SHIFT));
}

unsigned long vb_floor_room(struct virtio_balloon *vb)
{
	unsigned long floor = get_floor_pages(vb);
	long available = si_mem_available() + get_nr_swap_pages() / 2;

	if (vb->floor.paused) {
		if (time_before(jiffies, vb->floor.paused_until))
			return 0;
		vb->floor.paused = false;
	}
	/* What is held does not count as available, and is about to be taken. */
	available += vb_held_count(vb);
	/* What is kept for a migration can be had back at any time. */
	available += vb_hint_count(vb);
	if (!floor)
		return ULONG_MAX;
	if (available > (long)floor)
		return available - floor;
	log_stop_at_floor(vb, floor);
	return 0;
}

void vb_floor_pause(struct virtio_balloon *vb, unsigned long delay)
{
	WRITE_ONCE(vb->floor.paused_until, jiffies + delay);
	WRITE_ONCE(vb->floor.paused, true);
}

void vb_floor_reset(struct virtio_balloon *vb)
{
	vb->floor.reported = false;
}
