/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pace.
 *
 * Theory of operation
 * -------------------
 * Up is at once, and grant.c's.  Down is slow, because taking too much is what
 * hurts, and because the guest shows only after a while that it was too much:
 *
 *   calm	only after 30 s in which it was not short and did not grow;
 *   steps	1/20 of its size or 64 MiB/s, and half of the way at most; four times
 *		that when a guest in distress waits, or the budget is exceeded;
 *   confirm	the next step only when the last has arrived;
 *   band	not at all for less than 1 % or 32 MiB, unless the budget is exceeded or a
 *		guest in distress waits;
 *   regret	distress within a minute of a shrink: it gets back what it lost in that
 *		minute, and is left alone for a minute, then two, up to an hour;
 *   inactive	a balloon that takes less than 15 MiB/s over 5 s: pressing on would
 *		only hurt the guest, or nobody listens.  128 MiB back, and left alone.
 *
 * When less is there than is wanted, everybody is short by intention: then there
 * is neither regret nor a wait for calm, or no share would ever be reached, and who
 * was left alone while there was enough would keep what he does not use.  But
 * nobody who is short gives while another has more than his share without being
 * short.  When the host itself stalls, steps are as large as needed.  A guest above
 * a maximum that somebody set gives whether it is short or not.
 */
#include "policy/pace.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/view.h"

uint64_t pace_band(const struct view *view)
{
	return most(BAND_BYTES, view->present / BAND_PART);
}

static void back_off(struct pace *pace, enum policy_reason why, uint64_t back, int64_t now_us)
{
	bool again = pace->backoff_us && now_us - pace->alone_until_us < BACKOFF_MAX_US;

	pace->backoff_us = again ? 2 * pace->backoff_us : BACKOFF_MIN_US;
	if (pace->backoff_us > BACKOFF_MAX_US)
		pace->backoff_us = BACKOFF_MAX_US;
	pace->alone_until_us = now_us + pace->backoff_us;
	pace->alone = why;
	pace->back_bytes = back;
	pace->shrunk_us = 0;
	pace->window_us = 0;
}

static bool has_arrived(const struct view *view)
{
	return view->actual <= view->present + CONFIRM_SLACK_BYTES;
}

/* Does the balloon grow as it was told? */
static void follow_inflation(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->past->pace;
	uint64_t expected = INFLATE_BYTES_PER_S * (uint64_t)(INFLATE_US / SECOND_US);

	if (has_arrived(view) || pace->alone_until_us > now_us) {
		pace->window_us = 0;
		return;
	}
	if (!pace->window_us) {
		pace->window_us = now_us;
		pace->window_bytes = view->actual;
	}
	if (now_us - pace->window_us < INFLATE_US)
		return;
	if (less(pace->window_bytes, view->actual) < expected)
		back_off(pace, POLICY_REASON_INACTIVE, view->actual + INACTIVE_BACK_BYTES, now_us);
	else
		pace->window_us = 0;
}

/* How long does relief take, from the sample that showed the need? */
static void follow_growth(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->past->pace;
	double seconds = (double)(now_us - pace->grew_us) / (double)SECOND_US;
	bool done = view->actual + CONFIRM_SLACK_BYTES >= pace->grew_bytes;

	if (!pace->grew_us)
		return;
	if (done || seconds > RELIEF_MAX_S)
		growth_note_relief(&view->past->growth, seconds);
	if (done || seconds > RELIEF_MAX_S || view->present < pace->grew_bytes)
		pace->grew_us = 0;
}

static void follow_calm(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->past->pace;
	double demand = view->past->need.demand;
	bool grew = demand > pace->calm_demand + (double)pace_band(view);

	if (!pace->calm_us || !view->usable || view->distress.pressured || grew) {
		pace->calm_us = now_us;
		pace->calm_demand = demand;
	}
	if (demand < pace->calm_demand)
		pace->calm_demand = demand;
}

/* What somebody ordered, or what all have to bear, is not regretted. */
static bool is_regretted(const struct view *view, const struct round *round)
{
	const struct pace *pace = &view->past->pace;

	return pace->shrunk_us && round->host->now_us - pace->shrunk_us <= REGRET_US &&
	       view->distress.pressured && round->situation <= SITUATION_IDLE &&
	       view->present <= view->high;
}

void pace_follow(struct view *view, const struct round *round)
{
	struct pace *pace = &view->past->pace;
	int64_t now_us = round->host->now_us;

	follow_calm(view, now_us);
	if (!view->movable)
		return;
	follow_growth(view, now_us);
	follow_inflation(view, now_us);
	if (is_regretted(view, round))
		back_off(pace, POLICY_REASON_REGRET, pace->before_bytes, now_us);
}

enum policy_reason pace_kept(const struct view *view, const struct round *round)
{
	const struct pace *pace = &view->past->pace;
	int64_t now_us = round->host->now_us;

	if (!view->guest->has_driver && view->guest->rules.mode == POLICY_AUTO)
		return POLICY_REASON_INACTIVE;
	if (!view->guest->reachable && view->guest->rules.mode == POLICY_AUTO)
		return POLICY_REASON_STALE;
	if (!view->movable)
		return POLICY_REASON_FIXED;
	if (pace->alone_until_us > now_us && pace->alone == POLICY_REASON_INACTIVE)
		return POLICY_REASON_INACTIVE;
	if (view->claims)
		return POLICY_REASON_CLAIM;
	if (!view->usable || now_us - pace->trusted_us < CALM_US)
		return POLICY_REASON_STALE;
	if (pace->alone_until_us > now_us && !round->host->critical &&
	    round->situation <= SITUATION_IDLE)
		return POLICY_REASON_REGRET;
	return POLICY_REASON_NONE;
}

static uint64_t excess_bytes(const struct view *view)
{
	return less(view->present, view->ideal);
}

static bool is_worth_taking(const struct view *view, const struct round *round)
{
	if (round->over || round->hurry || view->present > view->high)
		return excess_bytes(view) > 0;
	return excess_bytes(view) > pace_band(view);
}

bool pace_gives(const struct view *view, const struct round *round)
{
	return !view->kept && !view->distress.pressured && is_worth_taking(view, round);
}

enum policy_reason pace_refusal(const struct view *view, const struct round *round)
{
	bool calm = round->host->now_us - view->past->pace.calm_us >= CALM_US;

	if (view->kept || view->present > view->high)
		return view->kept;
	if (view->distress.pressured && (round->givers || round->situation <= SITUATION_IDLE))
		return POLICY_REASON_DISTRESS;
	if (calm || round->host->critical || round->situation >= SITUATION_SHORT)
		return POLICY_REASON_NONE;
	return POLICY_REASON_CALM;
}

static uint64_t step_limit(const struct view *view, const struct round *round)
{
	uint64_t part = view->present / STEP_PART;
	uint64_t rate = (uint64_t)((double)STEP_BYTES_PER_S * round->seconds);
	uint64_t limit = least(part, rate);
	uint64_t way = excess_bytes(view);

	if (round->host->critical)
		return way;
	if (round->over || round->hurry)
		limit *= HURRY_FACTOR;
	return least(limit, way > pace_band(view) ? way / 2 : way);
}

uint64_t pace_down(const struct view *view, const struct round *round)
{
	uint64_t step;

	if (!is_worth_taking(view, round) || pace_refusal(view, round) || !has_arrived(view))
		return view->present;
	step = step_limit(view, round);
	if (step == excess_bytes(view))
		return view->ideal;
	return least(round_up(view->present - step, ROUND_BYTES), view->present);
}

static void decided_shrink(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->past->pace;

	if (!pace->shrunk_us || now_us - pace->before_us > REGRET_US) {
		pace->before_us = now_us;
		pace->before_bytes = view->present;
	}
	pace->shrunk_us = now_us;
}

void pace_decided(struct view *view, const struct round *round)
{
	struct pace *pace = &view->past->pace;

	if (view->target < view->present)
		decided_shrink(view, round->host->now_us);
	if (view->target > view->present && view->target > view->actual && view->usable &&
	    !pace->grew_us) {
		pace->grew_us = view->guest->taken_us;
		pace->grew_bytes = view->target;
	}
}
