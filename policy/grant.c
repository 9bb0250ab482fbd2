/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grants.
 *
 * Theory of operation
 * -------------------
 * The division says how much each guest should have in the end.  This file hands out only
 * the memory that is free now: memory that another guest is still giving does not count
 * until that guest's size has gone down.  Free memory is granted in turns.  In each turn it
 * goes to all guests that ask for it, by weight if it is not enough:
 *
 *   1  guests in critical distress, up to their ideal; half of the host's reserve helps
 *   2  guests that are short of memory or have given too much, up to their ideal
 *   3  guests whose demand grew, up to their want
 *   4  guests in critical distress, up to their maximum, if all wants are met
 *   5  all guests, up to their ideal: what no guest wants serves as page cache
 *
 * A guest below its lower bound is raised to it whatever the budget is.  A target below the
 * guest's size can be raised to that size without cost, because a shrink that has not
 * happened has freed nothing.
 */
#include "policy/grant.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/pace.h"

enum turn { TURN_CRITICAL, TURN_PRESSURED, TURN_GREW, TURN_MAXIMUM, TURN_ALL, TURNS };

/* The size that a guest asks for in this turn; 0: it does not ask. */
static uint64_t wanted_growth(const struct view *view, const struct round *round, enum turn turn)
{
	bool enough = round->situation <= SITUATION_IDLE;
	bool regretted = view->history->pace.backoff_reason &&
			 view->protection == view->history->pace.backoff_reason;
	uint64_t ideal = view->ideal;

	switch (turn) {
	case TURN_CRITICAL:
		return view->distress.critical ? ideal : 0;
	case TURN_PRESSURED:
		return view->distress.pressured || regretted ? ideal : 0;
	case TURN_GREW:
		return min_u64(ideal, view->want);
	case TURN_MAXIMUM:
		return view->distress.critical && enough ? view->high : 0;
	case TURN_ALL:
		return ideal;
	case TURNS:
		break;
	}
	return 0;
}

static bool is_worth_granting(const struct view *view, uint64_t goal)
{
	return view->distress.pressured || view->protection == POLICY_REASON_INACTIVE ||
	       goal > saturating_add(view->target, pace_dead_band(view));
}

static bool may_grow(const struct view *view)
{
	return view->movable && !(view->guest->stall > HOST_STALL_SHARE);
}

static void request_growth(struct round *round, enum turn turn)
{
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t goal = may_grow(view) ? wanted_growth(view, round, turn) : 0;

		view->request = 0;
		if (goal <= view->target || !is_worth_granting(view, goal))
			continue;
		/* Without cost up to its size. */
		view->target = max_u64(view->target, min_u64(goal, view->actual));
		view->request = goal - view->target;
	}
}

/* Divides @room among the guests that ask for memory. */
static void grant_turn(struct round *round, uint64_t room)
{
	struct share *grants = round->grants;

	for (size_t k = 0; k < round->count; k++)
		grants[k] = (struct share){
			.demand = round->views[k].request,
			.weight = round->views[k].weight,
		};
	divide_by_weight(grants, round->count, room);
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t target = view->target + grants[k].ideal;

		if (grants[k].ideal < view->request)
			target = max_u64(round_down(target, ROUND_BYTES), view->target);
		view->target = target;
	}
}

static uint64_t sum_used_bytes(const struct round *round)
{
	uint64_t use = 0;

	for (size_t k = 0; k < round->count; k++)
		use = saturating_add(use,
				     view_used_bytes(&round->views[k], round->views[k].target));
	return use;
}

uint64_t grant_urgent_bytes(const struct round *round)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];
		uint64_t goal = may_grow(view) ? wanted_growth(view, round, TURN_PRESSURED) : 0;

		if (!view->distress.critical &&
		    goal <= saturating_add(view->current, pace_dead_band(view)))
			continue; /* not worth a hurry */
		sum = saturating_add(sum,
				     saturating_sub(goal, max_u64(view->current, view->actual)));
	}
	return sum;
}

void grant_free_memory(struct round *round)
{
	for (enum turn turn = 0; turn < TURNS; turn++) {
		bool spare = turn == TURN_CRITICAL || turn == TURN_MAXIMUM;
		uint64_t total =
			saturating_add(round->budget.bytes, spare ? round->budget.spare : 0);

		request_growth(round, turn);
		grant_turn(round, saturating_sub(total, sum_used_bytes(round)));
	}
}
