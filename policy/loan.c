/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loans.
 *
 * Theory of operation
 * -------------------
 * A guest's size is what it may use; the host pays for what is resident.  What a guest that reports
 * free pages does not use, the host has, and can promise to others.  Only the pool (pool.c) must be
 * left for what all of them begin to use at once:
 *
 *	sum of resident memory + pool <= what there is
 *
 * or, as the budget is for the sum of all sizes, and all that is not resident is lent:
 *
 *	sum of sizes <= what there is + lent,	lent = sum of (size - resident) - pool
 *
 * A guest that does not report counts with its size, and what the host has swapped out of the
 * guests counts as resident, because they will read it back.  If less than the pool is not
 * resident, nothing is lent, and the budget is the one that needs no trust in anybody.
 *
 * Credits
 * -------
 * What is left of the budget when all targets are chosen is divided among the guests whose devices
 * have a gate, as what they may take back by themselves until the next step.  So a credit is memory
 * that nobody else was promised.
 *
 * A ceiling is where taking back ends however much is left: what the guest would have if all others
 * had only their demand, and at least its share by weight.  So a guest that takes memory back
 * without end does not get what others use.
 */
#include "policy/loan.h"

#include "policy/constants.h"
#include "policy/grant.h"
#include "policy/numbers.h"

void loan_follow_growth(struct pool *pool, struct round *round)
{
	double change = 0;

	for (size_t k = 0; k < round->count; k++) {
		struct history *history = round->views[k].history;
		uint64_t now = budget_resident_bytes(round->views[k].guest);

		if (now != POLICY_UNSET && history->resident != POLICY_UNSET)
			change += (double)now - (double)history->resident;
		history->resident = now;
	}
	pool_update(pool, change, round->seconds, round->host->now_us);
}

/* How much of what the guest may use can be promised to others. */
static uint64_t unused_bytes(const struct view *view)
{
	uint64_t resident = budget_resident_bytes(view->guest), unused;

	if (resident == POLICY_UNSET)
		return 0;
	unused = saturating_sub(view->actual, resident);
	if (view->guest->abilities & POLICY_CAN_GATE)
		return unused;
	return (uint64_t)(LOAN_UNGATED_PART * (double)unused);
}

void loan_widen_budget(struct budget *budget, const struct pool *pool, struct round *round)
{
	uint64_t swapped = round->host->swap_used_bytes, unused = 0, largest = 0, keep;

	for (size_t k = 0; k < round->count; k++) {
		unused = saturating_add(unused, unused_bytes(&round->views[k]));
		largest = max_u64(largest, min_u64(round->views[k].guest->boot_bytes, BYTES_MAX));
	}
	keep = pool_bytes(pool, largest, round->host->now_us);
	unused = saturating_sub(unused, swapped == POLICY_UNSET ? 0 : swapped);
	round->pool = min_u64(keep, unused);
	round->lent = unused - round->pool;
	budget->bytes = saturating_add(budget->bytes, round->lent);
	budget->spare = saturating_add(budget->spare, round->pool);
}

/* What all guests but this one can do without least is left to them. */
static uint64_t ceiling_bytes(const struct view *view, uint64_t budget, uint64_t demand,
			      double weights)
{
	uint64_t others = saturating_sub(demand, view->demand);
	uint64_t share = (uint64_t)((double)min_u64(budget, BYTES_MAX) * view->weight / weights);
	uint64_t most = max_u64(saturating_sub(budget, others), share);

	return clamp_u64(min_u64(most, view->cap), view->low, view->high);
}

static void set_ceilings(struct round *round)
{
	uint64_t demand = 0;
	double weights = 0;

	for (size_t k = 0; k < round->count; k++) {
		demand = saturating_add(demand, round->views[k].share->demand);
		weights += round->views[k].weight;
	}
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		view->credit = view->ceiling = POLICY_UNSET;
		view->history->ceiling = 0;
		if (!view->movable || !(view->guest->abilities & POLICY_CAN_GATE))
			continue;
		view->ceiling = ceiling_bytes(view, round->limits[0].budget.bytes, demand, weights);
		view->history->ceiling = view->ceiling;
	}
}

void loan_set_credits(struct round *round)
{
	set_ceilings(round);
	grant_credits(round);
}
