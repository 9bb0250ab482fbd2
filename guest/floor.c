// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor: what the guest keeps whatever the host asks for.
 *
 * A guest that gave its last free page swaps, then kills.  The balloon stops
 * where the guest could still get the larger of 64 MiB and 3 % of its memory,
 * and goes on by itself when there is more again.  Swap counts half: to swap is
 * slow but kills nobody, and swap on zram is made of memory itself.
 *
 * After a relief on OOM (oom.c) it takes nothing for some seconds.
 */
#include <linux/moduleparam.h>
#include <linux/sizes.h>

#include "balloon.h"

static int floor_mib = -1;
module_param(floor_mib, int, 0644);
MODULE_PARM_DESC(floor_mib,
		 "What the guest keeps available, in MiB (default: 64 or 3 %; 0: nothing)");

static unsigned long floor_pages(struct balloon *b)
{
	unsigned long ram = totalram_pages() + (b->counts_as_used ? 0 : atomic_long_read(&b->size));

	if (floor_mib >= 0)
		return (unsigned long)floor_mib << (20 - PAGE_SHIFT);
	return max_t(unsigned long, SZ_64M >> PAGE_SHIFT, ram * 3 / 100);
}

/* Once, until the balloon has had a size that it was to have. */
static void tell(struct balloon *b, unsigned long floor)
{
	unsigned long mib = atomic_long_read(&b->size) >> (20 - PAGE_SHIFT);

	if (b->at_floor)
		return;
	b->at_floor = true;
	count(b, COUNT_floored, 1);
	dev_info(&b->vdev->dev, "the balloon stops at %lu MiB, to leave the guest %lu MiB\n", mib,
		 floor >> (20 - PAGE_SHIFT));
}

unsigned long floor_room(struct balloon *b)
{
	unsigned long floor = floor_pages(b);
	long available = si_mem_available() + get_nr_swap_pages() / 2;

	if (b->relieved) {
		if (time_before(jiffies, b->relief_until))
			return 0;
		b->relieved = false;
	}
	/* What is held is not available any more, and about to be taken. */
	available += READ_ONCE(b->nr_held);
	/* What is kept for a migration is free for the asking. */
	available += hint_kept(b);
	if (!floor)
		return ULONG_MAX;
	if (available > (long)floor)
		return available - floor;
	tell(b, floor);
	return 0;
}
