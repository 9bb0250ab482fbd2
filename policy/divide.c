/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The division of a budget.
 *
 * Theory of operation
 * -------------------
 * Each situation is one function from a level, the same for all, to a guest's
 * size: nowhere falling, from the least that the situation allows to the most.
 * The answer is the highest level whose sizes fit into the budget, found by
 * bisection; sizes are whole bytes when they are summed, so that the sum is exact
 * and does not depend on the order of the guests.
 *
 *  plenty    size = want + level * weight, and nobody loses what he has; so who
 *            has most beyond his want gets more last.
 *  idle      the idle tax, of which the usual statement is: take from him whose
 *            ρ = w / (t * (f + 4 (1 - f))), f = min(1, D / t), is the smallest,
 *            again and again.  t * (f + 4 (1 - f)) is t for t <= D and 4 t - 3 D
 *            above: what the guest costs.  Taking from the smallest ρ until the
 *            budget is met leaves all who gave with the same cost per weight,
 *            which is the level; test_policy_divide.c does it the slow way.
 *  short     size = demand + level * weight * reserve, up to want.
 *  too much  size = level * weight, up to demand.
 *
 * One situation meets the next without a jump: at the border both give everybody
 * his want, his demand, or his low.
 */
#include "policy/divide.h"

#include "policy/constants.h"
#include "policy/numbers.h"

typedef double (*size_fn)(const struct part *part, double level);

static double clamp_part(double value, uint64_t low, uint64_t high)
{
	if (!(value > (double)low))
		return (double)low;
	return value < (double)high ? value : (double)high;
}

static double size_with_plenty(const struct part *part, double level)
{
	return clamp_part((double)part->want + level * part->weight, most(part->have, part->want),
			  part->high);
}

static double size_by_idleness(const struct part *part, double level)
{
	double cost = level * part->weight, demand = (double)part->demand;
	double size = cost > demand ? demand + (cost - demand) / IDLE_COST : cost;

	return clamp_part(size, part->want, most(part->have, part->want));
}

static double size_when_short(const struct part *part, double level)
{
	double reserve = (double)(part->want - part->demand);

	return clamp_part((double)part->demand + level * part->weight * reserve, part->demand,
			  part->want);
}

static double size_by_share(const struct part *part, double level)
{
	return clamp_part(level * part->weight, part->low, part->demand);
}

static uint64_t set_level(struct part *parts, size_t count, size_fn size, double level)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		parts[i].ideal = (uint64_t)size(&parts[i], level);
		sum = plus(sum, parts[i].ideal);
	}
	return sum;
}

#define LEVEL_HIGHEST 1e30 /* everybody has his most: bytes are below 2^48, weights above 2^-10 */
#define LEVEL_EXACT 4e-16  /* nearer, a double cannot tell two levels apart */

/* The highest level at which the sizes sum up to at most @budget. */
static void level_out(struct part *parts, size_t count, size_fn size, uint64_t budget)
{
	double low = 0, high = 1;

	if (set_level(parts, count, size, 0) >= budget)
		return; /* the least that the situation allows is all that there is, or more */
	while (high < LEVEL_HIGHEST && set_level(parts, count, size, high) < budget)
		high *= 32;
	if (set_level(parts, count, size, high) <= budget)
		return;
	while (high - low > high * LEVEL_EXACT) {
		double middle = low + (high - low) / 2;
		uint64_t sum = set_level(parts, count, size, middle);

		if (sum > budget)
			high = middle;
		else
			low = middle;
		if (sum <= budget && budget - sum < count)
			return; /* less than a byte each is left */
	}
	set_level(parts, count, size, low);
}

static enum situation judge_situation(const struct part *parts, size_t count, uint64_t budget,
				      uint64_t *want)
{
	uint64_t low = 0, demand = 0, kept = 0;

	*want = 0;
	for (size_t i = 0; i < count; i++) {
		low = plus(low, parts[i].low);
		demand = plus(demand, parts[i].demand);
		*want = plus(*want, parts[i].want);
		kept = plus(kept, most(parts[i].have, parts[i].want));
	}
	if (kept <= budget)
		return SITUATION_PLENTY;
	if (*want <= budget)
		return SITUATION_IDLE;
	if (demand <= budget)
		return SITUATION_SHORT;
	return low <= budget ? SITUATION_TOO_MUCH : SITUATION_NOTHING;
}

enum situation divide(struct part *parts, size_t count, uint64_t budget, uint64_t pool)
{
	static const size_fn sizes[] = {
		[SITUATION_PLENTY] = size_with_plenty, [SITUATION_IDLE] = size_by_idleness,
		[SITUATION_SHORT] = size_when_short,   [SITUATION_TOO_MUCH] = size_by_share,
		[SITUATION_NOTHING] = size_by_share,
	};
	enum situation situation;
	uint64_t want;

	for (size_t i = 0; i < count; i++)
		parts[i].have = within(parts[i].have, parts[i].low, parts[i].high);
	situation = judge_situation(parts, count, budget, &want);
	if (situation <= SITUATION_IDLE) {
		budget = most(want, less(budget, pool));
		situation = judge_situation(parts, count, budget, &want);
	}
	level_out(parts, count, sizes[situation], budget);
	return situation;
}

void divide_shares(struct part *parts, size_t count, uint64_t budget)
{
	level_out(parts, count, size_by_share, budget);
}
