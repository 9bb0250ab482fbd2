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
 *      (in both turns up to their want if there is a pool (loan.c), which is for that, unless
 *      they take it by themselves)
 *   3  guests whose demand grew, up to their want
 *   4  guests in critical distress, up to their maximum, if all wants are met
 *   5  all guests, up to their ideal: what no guest wants serves as page cache
 *
 * What is then left, and the pool, is divided as credits among guests that take memory back by
 * themselves: what one of them takes is granted in the next step, as its new size.  Most of it goes
 * to those that took memory back a moment ago: a burst is rarely over so soon.
 *
 * Where memory is lent (loan.c), what guests hold, all growth that is still to come, and all
 * credits are also within what there is without the loan.
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
	bool enough = view->binding->situation <= SITUATION_IDLE;
	bool regretted = view->history->pace.backoff_reason &&
			 view->protection == view->history->pace.backoff_reason;
	uint64_t ideal = view->ideal;
	/*
	 * The pool is for guests that begin to use more, whatever the division leaves them.  Those
	 * that ask for it take no more of it than they use.
	 */
	bool lent = round->pool && view->distress.hurting && view->current <= ideal && !view->asks;
	uint64_t most = lent ? max_u64(ideal, min_u64(view->want, view->cap)) : ideal;

	switch (turn) {
	case TURN_CRITICAL:
		return view->distress.critical ? most : 0;
	case TURN_PRESSURED:
		return view->distress.pressured || regretted ? most : 0;
	case TURN_GREW:
		return min_u64(ideal, view->want);
	case TURN_MAXIMUM:
		return view->distress.critical && enough ? min_u64(view->high, view->cap) : 0;
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

		view->request = view->asked = 0;
		view->urgency = 1;
		if (goal <= view->target || !is_worth_granting(view, goal))
			continue;
		/* Without cost up to its size. */
		view->target = max_u64(view->target, min_u64(goal, view->actual));
		view->request = view->asked = goal - view->target;
	}
}

/* Divides @room among the guests of a limit that ask for memory: lowers their requests. */
static void share_room(struct round *round, uint64_t limit, uint64_t room)
{
	struct share *grants = round->grants;

	for (size_t k = 0; k < round->count; k++)
		grants[k] = (struct share){
			.demand = view_is_inside(&round->views[k], round, limit)
					  ? round->views[k].request
					  : 0,
			.weight = round->views[k].weight * round->views[k].urgency,
		};
	divide_by_weight(grants, round->count, room);
	for (size_t k = 0; k < round->count; k++)
		if (view_is_inside(&round->views[k], round, limit))
			round->views[k].request = grants[k].ideal;
}

/*
 * What the host still has for requests.  The budget is for sizes, with what is lent.  But what
 * guests hold and may still grow by must fit into what there is.
 */
static uint64_t host_room(const struct round *round, uint64_t room)
{
	uint64_t promised = 0;

	if (!round->owned)
		return room;
	for (size_t k = 0; k < round->count; k++)
		promised = saturating_add(promised, view_promised_bytes(&round->views[k]));
	return min_u64(room, saturating_sub(round->owned, promised));
}

static void sum_requests(struct round *round)
{
	for (size_t n = 0; n < round->limit_count; n++)
		round->limits[n].use = round->limits[n].request = 0;
	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];
		uint64_t use = view_used_bytes(view, view->target);

		FOR_EACH_LIMIT (number, view, round) {
			struct limit *limit = &round->limits[number];

			limit->use = saturating_add(limit->use, use);
			limit->request = saturating_add(limit->request, view->request);
		}
	}
}

/* Grants as much of the requests as fits below all limits, with @spare on top of the host's. */
static void grant_requests(struct round *round, uint64_t spare)
{
	sum_requests(round);
	for (size_t n = round->limit_count; n-- > 0;) {
		const struct limit *limit = &round->limits[n];
		uint64_t total = saturating_add(limit->budget.bytes, n ? 0 : spare);
		uint64_t room = saturating_sub(total, limit->use);

		if (!n)
			room = host_room(round, room);
		if (!limit->request || (n && limit->request <= room))
			continue;
		share_room(round, n, room);
	}
}

/* Raises targets by what was granted; less than was asked for in whole MiB. */
static void raise_targets(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t target = view->target + view->request;

		if (view->request < view->asked)
			target = max_u64(round_down(target, ROUND_BYTES), view->target);
		view->target = target;
	}
}

uint64_t grant_urgent_bytes(const struct view *view, const struct round *round)
{
	uint64_t goal = may_grow(view) ? wanted_growth(view, round, TURN_PRESSURED) : 0;

	if (!view->distress.critical && goal <= saturating_add(view->current, pace_dead_band(view)))
		return 0; /* not worth a hurry */
	return saturating_sub(goal, max_u64(view->current, view->actual));
}

/* How much of what is kept back may be granted in this turn. */
static uint64_t kept_for_turn(const struct round *round, enum turn turn)
{
	uint64_t spare = round->limits[0].budget.spare;

	if (turn == TURN_CRITICAL || turn == TURN_MAXIMUM)
		return spare;
	return turn == TURN_PRESSURED && round->pool ? spare : 0;
}

void grant_free_memory(struct round *round)
{
	for (enum turn turn = 0; turn < TURNS; turn++) {
		request_growth(round, turn);
		grant_requests(round, kept_for_turn(round, turn));
		raise_targets(round);
	}
}

/* A guest that took memory back goes on doing so, as long as its burst lasts. */
static bool has_just_pulled(const struct view *view, int64_t now_us)
{
	int64_t pulled_us = view->history->pulled_us;

	return pulled_us && now_us - pulled_us < CREDIT_URGENT_US;
}

void grant_credits(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t has = max_u64(view->actual, view->target);

		view->request =
			view->ceiling == POLICY_UNSET ? 0 : saturating_sub(view->ceiling, has);
		view->urgency = has_just_pulled(view, round->host->now_us) ? CREDIT_URGENCY : 1;
	}
	grant_requests(round, kept_for_turn(round, TURN_PRESSURED));
	for (size_t k = 0; k < round->count; k++)
		if (round->views[k].ceiling != POLICY_UNSET)
			round->views[k].credit = round->views[k].request;
}
