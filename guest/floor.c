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
 * Where the guest takes memory back by itself when it is short (relief.c), the floor
 * is not lower than a sixteenth of what the guest has, and swap does not count: the
 * balloon must not take what the guest would take back at once.
 *
 * After any relief (oom.c, relief.c) the balloon takes nothing for some seconds.
 */
#include <linux/moduleparam.h>
#include <linux/sizes.h>

#include "balloon.h"

static int floor_mib = -1;
module_param(floor_mib, int, 0644);
MODULE_PARM_DESC(floor_mib, "MiB that stay available in the guest (default: 64 or 3 %; 0: none)");

static bool relief = true;
module_param(relief, bool, 0644);
MODULE_PARM_DESC(relief, "Take memory back when the guest begins to reclaim (default: Y)");

unsigned long vb_floor_relief(struct virtio_balloon *vb)
{
	/* Without DEFLATE_ON_OOM there is none; with it the balloon is a part of the total. */
	if (!relief || !vb->deflate_on_oom)
		return 0;
	return (totalram_pages() - min(totalram_pages(), (unsigned long)vb_pages_count(vb))) / 16;
}

static unsigned long get_floor_pages(struct virtio_balloon *vb)
{
	unsigned long ram = totalram_pages() + (vb->deflate_on_oom ? 0 : vb_pages_count(vb));

	if (floor_mib >= 0)
		return (unsigned long)floor_mib << (20 - PAGE_SHIFT);
	return max3((unsigned long)SZ_64M >> PAGE_SHIFT, ram * 3 / 100, vb_floor_relief(vb));
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

static bool is_paused(struct vb_floor *floor)
{
	if (!floor->paused)
		return false;
	if (time_before(jiffies, floor->least_until) || time_before(jiffies, floor->most_until))
		return true;
	floor->paused = false;
	return false;
}

unsigned long vb_floor_room(struct virtio_balloon *vb)
{
	unsigned long floor = get_floor_pages(vb);
	long available = si_mem_available();

	if (is_paused(&vb->floor))
		return 0;
	if (!vb_floor_relief(vb))
		available += get_nr_swap_pages() / 2;
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

void vb_floor_pause(struct virtio_balloon *vb, unsigned long least, unsigned long most)
{
	WRITE_ONCE(vb->floor.least_until, jiffies + least);
	WRITE_ONCE(vb->floor.most_until, jiffies + most);
	WRITE_ONCE(vb->floor.paused, true);
}

void vb_floor_end_pause(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->floor.most_until, vb->floor.least_until);
}

void vb_floor_reset(struct virtio_balloon *vb)
{
	vb->floor.reported = false;
}
