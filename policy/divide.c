/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The division of a budget.
 *
 * Theory of operation
 * -------------------
 * Each situation has one function from a level, which is the same for all guests, to a
 * guest's size.  It never falls as the level rises, and goes from the least to the most that
 * the situation allows.  The result is the highest level whose sizes fit into the budget,
 * found by bisection.  Sizes are cut to whole bytes before they are summed, so the sum is
 * exact and does not depend on the order of the guests.
 *
 *  plenty    size = want + level * weight, but at least what the guest has.  So the guest
 *            that has most above its want is the last to get more.
 *  idle      the idle tax, usually stated as: take memory from the guest with the smallest
 *            ρ = w / (t * (f + 4 (1 - f))), f = min(1, D / t), again and again.
 *            t * (f + 4 (1 - f)) is t for t <= D and 4 t - 3 D above: the cost of the guest.
 *            Taking from the smallest ρ until the budget is met leaves all guests that gave
 *            with the same cost per weight, and that is the level.
 *            test_policy_divide.c does it the slow way.
 *  short     size = demand + level * weight * reserve, up to want.
 *  too much  size = level * weight, up to demand.
 *
 * There is no jump from one situation to the next: at the border, both give each guest its
 * want, its demand, or its lower bound.
 */
#include "policy/divide.h"

#include "policy/constants.h"
#include "policy/numbers.h"

typedef double (*size_fn)(const struct share *share, double level);

static double clamp_size(double value, uint64_t low, uint64_t high)
{
	if (!(value > (double)low))
		return (double)low;
	return value < (double)high ? value : (double)high;
}

static double size_with_plenty(const struct share *share, double level)
{
	return clamp_size((double)share->want + level * share->weight,
			  max_u64(share->have, share->want), share->high);
}

static double size_by_idleness(const struct share *share, double level)
{
	double cost = level * share->weight, demand = (double)share->demand;
	double size = cost > demand ? demand + (cost - demand) / IDLE_COST : cost;

	return clamp_size(size, share->want, max_u64(share->have, share->want));
}

static double size_when_short(const struct share *share, double level)
{
	double reserve = (double)(share->want - share->demand);

	return clamp_size((double)share->demand + level * share->weight * reserve, share->demand,
			  share->want);
}

static double size_by_share(const struct share *share, double level)
{
	return clamp_size(level * share->weight, share->low, share->demand);
}

static uint64_t set_level(struct share *shares, size_t count, size_fn size, double level)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		shares[i].ideal = (uint64_t)size(&shares[i], level);
		sum = saturating_add(sum, shares[i].ideal);
	}
	return sum;
}

#define LEVEL_MAX 1e30	      /* all have their most: sizes are below 2^48, weights above 2^-10 */
#define LEVEL_PRECISION 4e-16 /* closer levels are the same double */

/* The highest level at which the sizes sum up to at most @budget. */
static void level_out(struct share *shares, size_t count, size_fn size, uint64_t budget)
{
	double low = 0, high = 1;

	if (set_level(shares, count, size, 0) >= budget)
		return; /* the budget is used up at the lowest level */
	while (high < LEVEL_MAX && set_level(shares, count, size, high) < budget)
		high *= 32;
	if (set_level(shares, count, size, high) <= budget)
		return;
	while (high - low > high * LEVEL_PRECISION) {
		double middle = low + (high - low) / 2;
		uint64_t sum = set_level(shares, count, size, middle);

		if (sum > budget)
			high = middle;
		else
			low = middle;
		if (sum <= budget && budget - sum < count)
			return; /* less than one byte per guest is left */
	}
	set_level(shares, count, size, low);
}

static enum situation judge_situation(const struct share *shares, size_t count, uint64_t budget,
				      uint64_t *want)
{
	uint64_t low = 0, demand = 0, kept = 0;

	*want = 0;
	for (size_t i = 0; i < count; i++) {
		low = saturating_add(low, shares[i].low);
		demand = saturating_add(demand, shares[i].demand);
		*want = saturating_add(*want, shares[i].want);
		kept = saturating_add(kept, max_u64(shares[i].have, shares[i].want));
	}
	if (kept <= budget)
		return SITUATION_PLENTY;
	if (*want <= budget)
		return SITUATION_IDLE;
	if (demand <= budget)
		return SITUATION_SHORT;
	return low <= budget ? SITUATION_TOO_MUCH : SITUATION_NOTHING;
}

enum situation divide_budget(struct share *shares, size_t count, uint64_t budget, uint64_t pool)
{
	static const size_fn sizes[] = {
		[SITUATION_PLENTY] = size_with_plenty, [SITUATION_IDLE] = size_by_idleness,
		[SITUATION_SHORT] = size_when_short,   [SITUATION_TOO_MUCH] = size_by_share,
		[SITUATION_NOTHING] = size_by_share,
	};
	enum situation situation;
	uint64_t want;

	for (size_t i = 0; i < count; i++)
		shares[i].have = clamp_u64(shares[i].have, shares[i].low, shares[i].high);
	situation = judge_situation(shares, count, budget, &want);
	if (situation <= SITUATION_IDLE) {
		budget = max_u64(want, saturating_sub(budget, pool));
		situation = judge_situation(shares, count, budget, &want);
	}
	level_out(shares, count, sizes[situation], budget);
	return situation;
}

void divide_by_weight(struct share *shares, size_t count, uint64_t budget)
{
	level_out(shares, count, size_by_share, budget);
}
