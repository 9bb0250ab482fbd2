/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Aerostat's own policy.
 *
 * Theory of operation
 * -------------------
 * The host's pressure decides whether memory is taken, the guests' needs decide from
 * which guests, and a guest's distress overrides both.  A step calls the files of this
 * folder in this order:
 *
 *   history.c	finds what is kept of each guest, and sorts the guests by id
 *   view.c	works out each guest's need, reserve and distress (sample.c, need.c,
 *		reserve.c, distress.c), and what became of the last decisions (pace.c,
 *		cost.c)
 *   budget.c	how much all guests may use
 *   limit.c	how much of it each guest should have in the end (divide.c), and of what the
 *		groups may use that it belongs to
 *   pace.c	which guests give memory in this step, and how much
 *   grant.c	which guests get the memory that is free now
 *   text.c	the reason of each decision
 *
 * What a guest uses is the larger of its size and its target.  Whatever the guests'
 * statistics say, a step keeps these promises:
 *
 * - The sum of all use is at most the budget, or at most what it was before the step; so it is
 *   for the guests of each group.
 *   Only guests below their lower bound are raised to it regardless.
 * - No target is below the guest's floor (floor.h) or its minimum.  No target is raised
 *   above the maximum; one that is above comes down at the usual pace.  The target of a
 *   guest that cannot be changed stays as it is.
 * - No guest is shrunk because of statistics that are old, absent, reset a moment ago, or
 *   that contradict what the host sees.
 * - No guest that is short of memory is shrunk while a guest that is not short gives
 *   memory or is about to, unless it is above a configured maximum, or below a memory limit
 *   that the other is not under.
 *
 * What is left after all wants are met is given away except for a pool, which is as large
 * as the largest reserve of any guest: free memory can be granted at once, memory that has
 * to be taken from a guest first comes late.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/constants.h"
#include "policy/grant.h"
#include "policy/limit.h"
#include "policy/loan.h"
#include "policy/numbers.h"
#include "policy/pace.h"
#include "policy/policy.h"
#include "policy/text.h"
#include "policy/view.h"

struct policy_state {
	struct policy_settings settings;
	struct histories histories;
	struct pool pool;
	struct view *views;
	struct share *shares;
	size_t room; /* of both arrays; shares has twice as many */
	struct limit *limits;
	size_t limits_room;
	int64_t last_us;
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
	histories_free(&state->histories);
	free(state->views);
	free(state->shares);
	free(state->limits);
	free(state);
}

static void aerostat_configure(struct policy_state *state, const struct policy_settings *settings)
{
	state->settings = *settings;
}

static int grow_step_arrays(struct policy_state *state, size_t count, size_t limit_count)
{
	struct limit *limits;
	struct view *views;
	struct share *shares;

	if (limit_count > state->limits_room) {
		limits = reallocarray(state->limits, limit_count, sizeof(*limits));
		if (!limits)
			return -ENOMEM;
		state->limits = limits;
		state->limits_room = limit_count;
	}
	if (count <= state->room)
		return 0;
	views = reallocarray(state->views, count, sizeof(*views));
	if (!views)
		return -ENOMEM;
	state->views = views;
	shares = reallocarray(state->shares, count, 2 * sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	state->shares = shares;
	state->room = count;
	return 0;
}

/* Out of memory: every target stays as it is. */
static int decide_nothing(const struct policy_guest *guests, size_t count,
			  struct policy_decision *decisions, struct policy_outcome *outcome)
{
	*outcome = (struct policy_outcome){ .budget_bytes = POLICY_UNSET };
	for (size_t i = 0; i < count; i++)
		decisions[i] = (struct policy_decision){
			.target_bytes = budget_target_bytes(&guests[i]),
			.credit_bytes = POLICY_UNSET,
			.ceiling_bytes = POLICY_UNSET,
			.reason = POLICY_REASON_FIXED,
			.need_bytes = POLICY_UNSET,
			.demand_bytes = POLICY_UNSET,
			.reserve_bytes = POLICY_UNSET,
			.want_bytes = POLICY_UNSET,
			.floor_bytes = POLICY_UNSET,
			.text = "the policy is out of memory; left unchanged",
		};
	return -ENOMEM;
}

static void fill_views(struct policy_state *state, struct round *round,
		       const struct policy_guest *guests, struct policy_decision *decisions)
{
	for (size_t k = 0; k < round->count; k++) {
		size_t index = state->histories.places[k].index;

		round->views[k] = (struct view){
			.guest = &guests[index],
			.history = &state->histories.list[k],
			.decision = &decisions[index],
			.share = &round->shares[k],
		};
		view_fill(&round->views[k], round);
	}
}

/* Works out who waits for memory, and who can give some, below each limit. */
static void find_urgent_guests(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];
		uint64_t urgent = grant_urgent_bytes(view, round);

		FOR_EACH_LIMIT (n, view, round)
			round->limits[n].urgent = saturating_add(round->limits[n].urgent, urgent);
	}
	for (size_t n = 0; n < round->limit_count; n++) {
		struct limit *limit = &round->limits[n];

		limit->hurry = limit->urgent > saturating_sub(limit->budget.bytes, limit->use);
	}
	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];

		if (!pace_can_give(view))
			continue;
		FOR_EACH_LIMIT (n, view, round)
			round->limits[n].givers = true;
	}
}

static void choose_targets(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		view->target = view->current;
		if (!view->movable)
			continue;
		if (view->target < view->low)
			view->target = view->low;
		else
			view->target = pace_shrink_target(view, round);
	}
}

/*
 * Whether a budget is below what its guests are known to demand.  A guest that has much
 * more than its demand, but may not be shrunk yet, does not make it overcommitted.
 */
static bool is_overcommitted(const struct round *round, uint64_t number)
{
	const struct limit *limit = &round->limits[number];
	uint64_t demand = 0;

	for (size_t k = 0; k < round->count && limit->situation >= SITUATION_TOO_MUCH; k++) {
		const struct view *view = &round->views[k];
		uint64_t known = view->history->need.known ? view->demand : view->low;

		if (!view_is_inside(view, round, number))
			continue;
		if (!view->movable)
			demand = saturating_add(demand, view_used_bytes(view, view->current));
		else
			demand = saturating_add(demand, number ? known : min_u64(known, view->cap));
	}
	return limit->situation >= SITUATION_TOO_MUCH && demand > limit->budget.bytes;
}

static void fill_outcome(const struct round *round, struct policy_outcome *outcome)
{
	const struct limit *host = &round->limits[0];
	bool critical = false;
	uint64_t spare;

	*outcome = (struct policy_outcome){ .budget_bytes = host->budget.bytes,
					    .pool_bytes = round->pool,
					    .lent_bytes = round->lent };
	for (uint64_t n = 0; n < round->limit_count; n++) {
		if (!outcome->overcommitted && is_overcommitted(round, n)) {
			outcome->overcommitted = true;
			outcome->short_group = n;
		}
		if (round->limits[n].hurry)
			outcome->again_us = round->host->now_us + AGAIN_US;
	}
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];

		critical = critical || view->distress.critical;
		outcome->want_bytes = saturating_add(outcome->want_bytes, view->want);
		pace_record_decision(view, round);
		text_fill_decision(view, round);
	}
	spare = critical || round->pool ? host->budget.spare : 0;
	outcome->budget_bytes = saturating_add(outcome->budget_bytes, spare);
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
		.limit_count = host->group_count + 1,
	};
	struct budget budget;

	if (grow_step_arrays(state, count, round.limit_count) < 0 ||
	    histories_match(&state->histories, guests, count) < 0)
		return decide_nothing(guests, count, decisions, outcome);
	round.views = state->views;
	round.shares = state->shares;
	round.grants = count ? state->shares + count : NULL;
	round.limits = state->limits;
	fill_views(state, &round, guests, decisions);
	loan_follow_growth(&state->pool, &round);
	budget = budget_compute(host, &state->settings, guests, count);
	if (budget.bytes != POLICY_UNSET && !host->critical)
		loan_widen_budget(&budget, &state->pool, &round);
	limit_fill_all(&round, budget);
	limit_divide_all(&round);
	find_urgent_guests(&round);
	choose_targets(&round);
	grant_free_memory(&round);
	loan_set_credits(&round);
	fill_outcome(&round, outcome);
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
