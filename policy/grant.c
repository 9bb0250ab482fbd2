/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grants.
 *
 * Theory of operation
 * -------------------
 * The division says what everybody is to have in the end; now there is only what
 * is free now.  A guest that is to give has not given before its size went down,
 * so memory on its way is nobody's yet.  Free memory goes out in turns, each
 * turn to all who ask in it, by weight when it is not enough:
 *
 *   1  guests about to kill, up to their ideal; half of the host's reserve helps
 *   2  guests short, or that gave too much, up to their ideal
 *   3  guests that grew, up to their want
 *   4  guests about to kill, up to their maximum, if all have what they want
 *   5  all, up to their ideal: what nobody wants is given away as cache
 *
 * Below its least, a guest is raised whatever the budget says.  And a target that
 * is below what the guest has may be raised to that for nothing, as a shrink that
 * has not come about has freed nothing.
 */
#include "policy/grant.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/pace.h"

enum turn { TURN_CRITICAL, TURN_PRESSURED, TURN_GREW, TURN_MAXIMUM, TURN_ALL, TURNS };

/* Up to where a guest asks for memory in a turn; 0: not in this. */
static uint64_t wanted_growth(const struct view *view, const struct round *round, enum turn turn)
{
	bool enough = round->situation <= SITUATION_IDLE;
	bool wronged = view->past->pace.alone && view->kept == view->past->pace.alone;
	uint64_t ideal = view->ideal;

	switch (turn) {
	case TURN_CRITICAL:
		return view->distress.critical ? ideal : 0;
	case TURN_PRESSURED:
		return view->distress.pressured || wronged ? ideal : 0;
	case TURN_GREW:
		return least(ideal, view->want);
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
	return view->distress.pressured || view->kept == POLICY_REASON_INACTIVE ||
	       goal > plus(view->target, pace_band(view));
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

		view->ask = 0;
		if (goal <= view->target || !is_worth_granting(view, goal))
			continue;
		/* Free of charge, up to what it has. */
		view->target = most(view->target, least(goal, view->actual));
		view->ask = goal - view->target;
	}
}

/* Gives @room to those who ask. */
static void grant_turn(struct round *round, uint64_t room)
{
	struct part *shares = round->shares;

	for (size_t k = 0; k < round->count; k++)
		shares[k] = (struct part){
			.demand = round->views[k].ask,
			.weight = round->views[k].weight,
		};
	divide_shares(shares, round->count, room);
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t target = view->target + shares[k].ideal;

		if (shares[k].ideal < view->ask)
			target = most(round_down(target, ROUND_BYTES), view->target);
		view->target = target;
	}
}

static uint64_t sum_used_bytes(const struct round *round)
{
	uint64_t use = 0;

	for (size_t k = 0; k < round->count; k++)
		use = plus(use, view_use(&round->views[k], round->views[k].target));
	return use;
}

uint64_t grant_urgent(const struct round *round)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];
		uint64_t goal = may_grow(view) ? wanted_growth(view, round, TURN_PRESSURED) : 0;

		if (!view->distress.critical && goal <= plus(view->present, pace_band(view)))
			continue; /* not worth a hurry */
		sum = plus(sum, less(goal, most(view->present, view->actual)));
	}
	return sum;
}

void grant(struct round *round)
{
	for (enum turn turn = 0; turn < TURNS; turn++) {
		bool spare = turn == TURN_CRITICAL || turn == TURN_MAXIMUM;
		uint64_t total = plus(round->budget.bytes, spare ? round->budget.spare : 0);

		request_growth(round, turn);
		grant_turn(round, less(total, sum_used_bytes(round)));
	}
}
