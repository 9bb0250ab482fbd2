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
 * A ceiling is where taking back ends: what the guest would have if all others had only what they
 * demand now, and at least its share by weight.  Half of what is left may be taken in any case: the
 * guest that waits may be about to kill, and others have not begun to use it.  What a guest that
 * takes memory back without end got in this way, the division takes from it again.
 */
#include "policy/loan.h"

#include "policy/constants.h"
#include "policy/grant.h"
#include "policy/numbers.h"

/* Follows a growth of the guest's resident memory. */
static void follow_climb(struct history *history, double change, double seconds)
{
	history->climb *= decay_factor(seconds, CLIMB_FORGET_S);
	if (seconds > 0 && change / seconds > history->climb)
		history->climb = change / seconds;
}

void loan_follow_growth(struct pool *pool, struct round *round)
{
	double sum = 0;

	for (size_t k = 0; k < round->count; k++) {
		struct history *history = round->views[k].history;
		uint64_t now = budget_resident_bytes(round->views[k].guest);
		double change = 0;

		if (now != POLICY_UNSET && history->resident != POLICY_UNSET)
			change = (double)now - (double)history->resident;
		history->resident = now;
		follow_climb(history, change, round->seconds);
		sum += change;
	}
	pool_update(pool, sum, round->seconds, round->host->now_us);
}

/* How much of what the guest may use can be promised to others. */
static uint64_t unused_bytes(const struct view *view)
{
	uint64_t resident = budget_resident_bytes(view->guest), unused;

	if (resident == POLICY_UNSET)
		return 0;
	unused = saturating_sub(view_used_bytes(view, view->current), resident);
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
	round->owned = saturating_add(budget->bytes, budget->spare);
	keep = pool_bytes(pool, largest, round->host->now_us);
	unused = saturating_sub(unused, swapped == POLICY_UNSET ? 0 : swapped);
	round->pool = min_u64(keep, unused);
	round->lent = unused - round->pool;
	budget->bytes = saturating_add(budget->bytes, round->lent);
	budget->spare = saturating_add(budget->spare, round->pool);
}

/* What a ceiling depends on besides the guest itself. */
struct others {
	uint64_t demand; /* the sum, with the guest's own */
	double weights;	 /* likewise */
	uint64_t left;	 /* of the budget and the pool */
};

static struct others sum_others(const struct round *round)
{
	const struct budget *budget = &round->limits[0].budget;
	struct others sum = { .left = saturating_add(budget->bytes, budget->spare) };

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];

		sum.demand = saturating_add(sum.demand, view_present_demand(view));
		sum.weights += view->weight;
		sum.left = saturating_sub(sum.left, view_used_bytes(view, view->target));
	}
	return sum;
}

static uint64_t ceiling_bytes(const struct view *view, uint64_t budget, const struct others *sum)
{
	uint64_t others = saturating_sub(sum->demand, view_present_demand(view));
	uint64_t share =
		(uint64_t)((double)min_u64(budget, BYTES_MAX) * view->weight / sum->weights);
	uint64_t most = max_u64(saturating_sub(budget, others), share);
	uint64_t has = view_used_bytes(view, view->target);

	most = max_u64(most, saturating_add(has, sum->left / CEILING_LEFT_PART));
	return clamp_u64(min_u64(most, view->cap), view->low, view->high);
}

static void set_ceilings(struct round *round)
{
	struct others sum = sum_others(round);

	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		view->credit = view->ceiling = POLICY_UNSET;
		view->history->ceiling = 0;
		if (!view->movable || !(view->guest->abilities & POLICY_CAN_GATE))
			continue;
		view->ceiling = ceiling_bytes(view, round->limits[0].budget.bytes, &sum);
		view->history->ceiling = view->ceiling;
	}
}

void loan_set_credits(struct round *round)
{
	set_ceilings(round);
	grant_credits(round);
}
