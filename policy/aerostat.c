/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our policy.
 *
 * Theory of operation
 * -------------------
 * The host's pressure decides whether memory is taken, the guests' need from whom,
 * and a guest's distress comes before both.  A step goes through the floor of the
 * house once, from numbers to words:
 *
 *   past.c	finds what is remembered of each guest, in order of ids
 *   view.c	looks at each guest: sample.c (its statistics), need.c, reserve.c,
 *		distress.c, and pace.c for what became of the last answers
 *   budget.c	how much all may have
 *   divide.c	who is to have how much of it in the end
 *   pace.c	who gives now, and how much of it
 *   grant.c	who gets now what is free now
 *   text.c	why
 *
 * What a step promises, whatever the guests claim; use is the larger of what a
 * guest has and of its target:
 *
 * - Σ use is at most the budget after a step, or at most what it was before, but
 *   for guests that were below their least and were raised to it.
 * - No target below a guest's least (floor.h, and its minimum) nor raised above
 *   its maximum, though one above comes down no faster than others; the target of
 *   a guest that cannot be moved is its present one.
 * - Nobody is taken from by statistics that are old, absent, begun anew, or that
 *   contradict what the host sees.
 * - Nobody who is short of memory is taken from while another gives, or is about
 *   to, who is not short; unless he is above a maximum that somebody set.
 *
 * A pool is kept of what is beyond everybody's want, as large as the largest
 * reserve of one guest: memory that is free is given at once, memory that has to
 * be taken first comes late.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/constants.h"
#include "policy/grant.h"
#include "policy/numbers.h"
#include "policy/pace.h"
#include "policy/policy.h"
#include "policy/text.h"
#include "policy/view.h"

struct policy_state {
	struct policy_settings settings;
	struct pasts pasts;
	struct view *views;
	struct part *parts;
	size_t room; /* of both */
	int64_t last_us;
	enum situation situation;
};

static struct policy_state *aerostat_create(const struct policy_settings *settings)
{
	struct policy_state *state = calloc(1, sizeof(*state));

	if (state)
		state->settings = *settings;
	return state;
}

static void aerostat_destroy(struct policy_state *state)
{
	if (!state)
		return;
	pasts_free(&state->pasts);
	free(state->views);
	free(state->parts);
	free(state);
}

static void aerostat_configure(struct policy_state *state, const struct policy_settings *settings)
{
	state->settings = *settings;
}

static int grow_step_arrays(struct policy_state *state, size_t count)
{
	struct view *views;
	struct part *parts;

	if (count <= state->room)
		return 0;
	views = reallocarray(state->views, count, sizeof(*views));
	if (!views)
		return -ENOMEM;
	state->views = views;
	parts = reallocarray(state->parts, count, 2 * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	state->parts = parts;
	state->room = count;
	return 0;
}

/* Out of memory: everybody stays where he is. */
static int decide_nothing(const struct policy_guest *guests, size_t count,
			  struct policy_decision *decisions, struct policy_outcome *outcome)
{
	*outcome = (struct policy_outcome){ .budget_bytes = POLICY_UNSET };
	for (size_t i = 0; i < count; i++)
		decisions[i] = (struct policy_decision){
			.target_bytes = budget_present(&guests[i]),
			.reason = POLICY_REASON_FIXED,
			.need_bytes = POLICY_UNSET,
			.demand_bytes = POLICY_UNSET,
			.reserve_bytes = POLICY_UNSET,
			.want_bytes = POLICY_UNSET,
			.floor_bytes = POLICY_UNSET,
			.text = "the policy is out of memory, left as it is",
		};
	return -ENOMEM;
}

static void look_at_guests(struct policy_state *state, struct round *round,
			   const struct policy_guest *guests, struct policy_decision *decisions)
{
	for (size_t k = 0; k < round->count; k++) {
		size_t index = state->pasts.places[k].index;

		round->views[k] = (struct view){
			.guest = &guests[index],
			.past = &state->pasts.pasts[k],
			.decision = &decisions[index],
			.part = &round->parts[k],
		};
		view_look(&round->views[k], round);
	}
}

static uint64_t sum_of_use(const struct round *round)
{
	uint64_t use = 0;

	for (size_t k = 0; k < round->count; k++)
		use = plus(use, view_use(&round->views[k], round->views[k].present));
	return use;
}

/* The most that one guest may want at once. */
static uint64_t largest_burst(const struct round *round)
{
	uint64_t pool = 0;

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];

		if (view->movable)
			pool = most(pool, least(view->burst, view->high - view->want));
	}
	return pool;
}

/* Without the host's numbers nobody can know what is there: everybody keeps what he has. */
static void keep_present_sizes(struct round *round, uint64_t use)
{
	round->budget = (struct budget){ .bytes = use };
	for (size_t k = 0; k < round->count; k++) {
		struct part *part = &round->parts[k];
		uint64_t keep = within(part->have, part->low, part->high);

		part->low = part->demand = part->want = part->high = keep;
	}
}

static uint64_t sum_of_demand(const struct round *round)
{
	uint64_t demand = 0;

	for (size_t k = 0; k < round->count; k++)
		demand = plus(demand, round->parts[k].demand);
	return demand;
}

/*
 * Before guests get less than they use: what they used a while ago, and use no more, is
 * nothing to suffer for; and the host gives half of what it keeps for itself.
 */
static void stretch_budget(struct round *round)
{
	struct budget *budget = &round->budget;
	uint64_t given;

	if (sum_of_demand(round) <= budget->bytes)
		return;
	for (size_t k = 0; k < round->count; k++)
		view_tighten(&round->views[k]);
	given = least(less(sum_of_demand(round), budget->bytes), budget->spare);
	budget->bytes += given;
	budget->spare -= given;
}

/* The division, and what everybody must know of everybody else. */
static void divide_budget(struct round *round)
{
	uint64_t use = sum_of_use(round);

	if (round->budget.bytes == POLICY_UNSET)
		keep_present_sizes(round, use);
	stretch_budget(round);
	round->over = use > round->budget.bytes;
	round->situation =
		divide(round->parts, round->count, round->budget.bytes, largest_burst(round));
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		if (view->movable)
			view->part->ideal =
				most(round_down(view->part->ideal, ROUND_BYTES), view->part->low);
		view->ideal = view->part->ideal;
	}
	round->hurry = grant_urgent(round) > less(round->budget.bytes, use);
	for (size_t k = 0; k < round->count && !round->givers; k++)
		round->givers = pace_gives(&round->views[k], round);
}

static void choose_targets(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		view->target = view->present;
		if (!view->movable)
			continue;
		if (view->target < view->low)
			view->target = view->low;
		else
			view->target = pace_down(view, round);
	}
}

/*
 * Less is there than the guests are known to demand: not merely than they have, which
 * nobody may take from them yet.
 */
static bool is_overcommitted(const struct round *round)
{
	uint64_t demand = 0;

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];

		if (!view->movable)
			demand = plus(demand, view_use(view, view->present));
		else
			demand = plus(demand, view->past->need.known ? view->demand : view->low);
	}
	return round->situation >= SITUATION_TOO_MUCH && demand > round->budget.bytes;
}

static void fill_outcome(const struct round *round, struct policy_outcome *outcome)
{
	bool critical = false;

	*outcome = (struct policy_outcome){
		.budget_bytes = round->budget.bytes,
		.overcommitted = is_overcommitted(round),
		.again_us = round->hurry ? round->host->now_us + AGAIN_US : 0,
	};
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		critical = critical || view->distress.critical;
		outcome->want_bytes = plus(outcome->want_bytes, view->want);
		pace_decided(view, round);
		text_decide(view, round);
	}
	if (critical)
		outcome->budget_bytes = plus(outcome->budget_bytes, round->budget.spare);
}

static double seconds_since(const struct policy_state *state, int64_t now_us)
{
	int64_t passed = now_us - state->last_us;

	if (!state->last_us || passed < 0)
		return 0;
	return (double)(passed < STEP_US_MAX ? passed : STEP_US_MAX) / (double)SECOND_US;
}

static int aerostat_step(struct policy_state *state, const struct policy_host *host,
			 const struct policy_guest *guests, size_t count,
			 struct policy_decision *decisions, struct policy_outcome *outcome)
{
	struct round round = {
		.host = host,
		.count = count,
		.seconds = seconds_since(state, host->now_us),
		.situation = state->situation,
	};

	if (grow_step_arrays(state, count) < 0 || pasts_match(&state->pasts, guests, count) < 0)
		return decide_nothing(guests, count, decisions, outcome);
	round.views = state->views;
	round.parts = state->parts;
	round.shares = state->parts + count;
	round.budget = budget_for(host, &state->settings, guests, count);
	look_at_guests(state, &round, guests, decisions);
	divide_budget(&round);
	choose_targets(&round);
	grant(&round);
	fill_outcome(&round, outcome);
	state->situation = round.situation;
	state->last_us = host->now_us;
	return 0;
}

const struct policy_ops policy_aerostat = {
	.name = "aerostat",
	.help = "need, reserve and distress of each guest, within what the host has",
	.create = aerostat_create,
	.destroy = aerostat_destroy,
	.configure = aerostat_configure,
	.step = aerostat_step,
};
