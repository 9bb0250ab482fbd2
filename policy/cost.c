/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cost.
 *
 * Theory of operation
 * -------------------
 * A balloon may take memory from a guest that the host never gets back: pages that cannot be
 * released (larger than the balloon's, locked, held by another process), or a cause that nobody
 * has thought of.  So the cause is not asked for.  What is watched is how much of the guest's RAM
 * is in the host's memory, which cannot exceed the guest's size once the balloon's pages are
 * released.  What exceeds the size *more* than before the taking was taken in vain:
 *
 *	returned = taken - (excess now - excess before),  excess = RAM in memory - size, at least 0
 *
 * If that is less than a quarter of what was taken, no more is taken for an hour; then it is
 * tried again.
 *
 * The rule needs no patience with guests that use more at the same time, for they stay within
 * their size.  Memory that the guest never touched is below the size, too: taking it returns
 * nothing, and that is nobody's fault.  A balloon's pages that were in memory beforehand, after a
 * migration for example, are in the excess before.
 *
 * RAM is measured every few seconds, and pages are released a moment after the size has changed.
 * So RAM is compared with the largest size of the last one to two slots of COST_SLOT_US, and what
 * was taken counts once it has been gone for that long.
 */
#include "policy/cost.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/policy.h"

/* The largest size of the last one to two slots. */
static uint64_t settled_size(struct cost *cost, uint64_t size, int64_t now_us)
{
	if (!cost->watching || now_us < cost->slot_us) {
		cost->slot_us = now_us;
		cost->highest = size;
		cost->older = size;
	} else if (now_us - cost->slot_us >= COST_SLOT_US) {
		cost->slot_us = now_us;
		cost->older = cost->highest;
		cost->highest = size;
	}
	cost->highest = max_u64(cost->highest, size);
	return max_u64(cost->highest, cost->older);
}

void cost_update(struct cost *cost, uint64_t size, uint64_t ram, int64_t now_us)
{
	uint64_t settled, excess, taken, returned;

	if (ram == POLICY_UNSET || cost_is_vain(cost, now_us)) {
		cost->watching = false;
		return;
	}
	settled = settled_size(cost, size, now_us);
	excess = saturating_sub(ram, settled);
	/* While nothing is being taken, the measured RAM belongs to the size. */
	if (!cost->watching || (settled >= cost->size && size >= settled))
		cost->excess = excess;
	if (!cost->watching || settled >= cost->size)
		cost->size = settled;
	cost->watching = true;
	taken = cost->size - settled;
	if (taken < COST_TAKEN_BYTES)
		return;
	returned = saturating_sub(taken, saturating_sub(excess, cost->excess));
	if (returned < taken / COST_RETURN_PART) {
		cost->taken = taken;
		cost->returned = returned;
		cost->until_us = now_us + COST_BACKOFF_US;
	}
	cost->size = settled;
	cost->excess = max_u64(cost->excess, excess);
}

bool cost_is_vain(const struct cost *cost, int64_t now_us)
{
	return cost->until_us > now_us;
}
