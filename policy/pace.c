/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pace.
 *
 * Theory of operation
 * -------------------
 * Guests grow at once (grant.c).  They shrink slowly, because taking too much is what hurts
 * a guest, and because it shows only some time later that it was too much:
 *
 *   calm	a guest is shrunk only after 30 s in which it was not short and did not grow;
 *   step	by 1/20 of its size or 64 MiB/s, and at most half of the way; four times as
 *		fast while another guest in distress waits, or while the budget is exceeded;
 *   arrival	a further step only once the last one has been carried out;
 *   dead band	not at all for less than 1 % or 32 MiB, unless another guest in distress
 *		waits or the budget is exceeded;
 *   regret	distress within a minute of a shrink: the guest gets back what it lost in
 *		that minute and is not shrunk for a minute, then for two, up to an hour;
 *   slow	a balloon that grows by less than 15 MiB/s is slow, and is waited for: under
 *		emulation, or with a busy guest, that is all there is.
 *   inactive	a balloon that does not grow in 5 s has no working driver; one that grows
 *		slowly in a guest that is short finds no memory, and more pressure would
 *		only hurt.  The guest gets 128 MiB back and is not shrunk for a while.
 *
 * A guest that takes memory back by itself (POLICY_CAN_PULL) loses little by a shrink too many.
 * It is shrunk after 10 s of calm, half of the way at once, and not for less than an eighth of its
 * size; and not for 5 s after it took memory back, as its driver takes nothing then.
 *
 * If the guests want more than there is, every guest is short on purpose.  Then there is
 * neither regret nor a wait for calm, because no guest would reach its share otherwise, and
 * a guest that backed off earlier would keep memory that it does not use.  But a guest that
 * is short gives nothing while another guest has more than its share and is not short.
 * If the host itself stalls, a step is as large as it needs to be.  A guest above a configured
 * maximum is shrunk whether it is short or not.
 */
#include "policy/pace.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/view.h"

uint64_t pace_dead_band(const struct view *view)
{
	return max_u64(BAND_BYTES, view->current / (view->calls_back ? BAND_PULL_PART : BAND_PART));
}

/* How long a guest must have been calm before it is shrunk. */
static int64_t calm_us(const struct view *view)
{
	return view->calls_back ? CALM_PULL_US : CALM_US;
}

static void back_off(struct pace *pace, enum policy_reason why, uint64_t back, int64_t now_us)
{
	bool again = pace->backoff_us && now_us - pace->backoff_until_us < BACKOFF_MAX_US;

	pace->backoff_us = again ? 2 * pace->backoff_us : BACKOFF_MIN_US;
	if (pace->backoff_us > BACKOFF_MAX_US)
		pace->backoff_us = BACKOFF_MAX_US;
	pace->backoff_until_us = now_us + pace->backoff_us;
	pace->backoff_reason = why;
	pace->restore_bytes = back;
	pace->shrunk_us = 0;
	pace->inflation_us = 0;
}

static bool has_arrived(const struct view *view)
{
	return view->actual <= view->current + CONFIRM_SLACK_BYTES;
}

/* Whether a balloon that grew by @grown bytes while it was watched is given up. */
static bool is_balloon_stuck(const struct view *view, uint64_t grown)
{
	return grown < INFLATE_DEAD_BYTES ||
	       (view->distress.pressured && view->history->pace.slow_bytes_per_s);
}

/* Judges the balloon's growth towards its target; backs off if there is none. */
static void follow_inflation(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->history->pace;
	uint64_t grown, rate;

	if (has_arrived(view) || pace->backoff_until_us > now_us) {
		pace->inflation_us = 0;
		return;
	}
	if (!pace->inflation_us) {
		pace->inflation_us = now_us;
		pace->inflation_bytes = view->actual;
	}
	if (now_us - pace->inflation_us < INFLATE_US)
		return;
	grown = saturating_sub(pace->inflation_bytes, view->actual);
	rate = (uint64_t)((double)grown * (double)SECOND_US /
			  (double)(now_us - pace->inflation_us));
	pace->inflation_us = 0;
	pace->slow_bytes_per_s = rate < INFLATE_BYTES_PER_S ? max_u64(rate, 1) : 0;
	if (is_balloon_stuck(view, grown))
		back_off(pace, POLICY_REASON_INACTIVE, view->actual + INACTIVE_BACK_BYTES, now_us);
}

uint64_t pace_slow_rate(const struct view *view)
{
	return has_arrived(view) ? 0 : view->history->pace.slow_bytes_per_s;
}

/* Measures how long relief takes, from the sample that showed the need. */
static void follow_growth(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->history->pace;
	double seconds = (double)(now_us - pace->grew_us) / (double)SECOND_US;
	bool done = view->actual + CONFIRM_SLACK_BYTES >= pace->grew_bytes;

	if (!pace->grew_us)
		return;
	if (done || seconds > RELIEF_MAX_S)
		growth_record_relief(&view->history->growth, seconds);
	if (done || seconds > RELIEF_MAX_S || view->current < pace->grew_bytes)
		pace->grew_us = 0;
}

static void follow_calm(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->history->pace;
	double demand = view->history->need.demand;
	bool grew = demand > pace->calm_demand + (double)pace_dead_band(view);

	if (!pace->calm_us || !view->usable || view->distress.pressured || grew) {
		pace->calm_us = now_us;
		pace->calm_demand = demand;
	}
	if (demand < pace->calm_demand)
		pace->calm_demand = demand;
}

/* A shrink to a configured maximum, or in a shortage of all guests, is not regretted. */
static bool is_regretted(const struct view *view, const struct round *round)
{
	const struct pace *pace = &view->history->pace;

	return pace->shrunk_us && round->host->now_us - pace->shrunk_us <= REGRET_US &&
	       view->distress.pressured && view->history->situation <= SITUATION_IDLE &&
	       view->current <= view->high;
}

void pace_update(struct view *view, const struct round *round)
{
	struct pace *pace = &view->history->pace;
	int64_t now_us = round->host->now_us;

	follow_calm(view, now_us);
	if (!view->movable)
		return;
	follow_growth(view, now_us);
	follow_inflation(view, now_us);
	if (is_regretted(view, round))
		back_off(pace, POLICY_REASON_REGRET, pace->before_bytes, now_us);
}

enum policy_reason pace_protection(const struct view *view, const struct round *round)
{
	const struct pace *pace = &view->history->pace;
	int64_t now_us = round->host->now_us;

	if (!view->guest->has_driver && view->guest->rules.mode == POLICY_AUTO)
		return POLICY_REASON_DRIVER;
	if (!view->guest->reachable && view->guest->rules.mode == POLICY_AUTO)
		return POLICY_REASON_STALE;
	if (!view->movable)
		return POLICY_REASON_FIXED;
	if (pace->backoff_until_us > now_us && pace->backoff_reason == POLICY_REASON_INACTIVE)
		return POLICY_REASON_INACTIVE;
	if (cost_is_vain(&view->history->cost, now_us))
		return POLICY_REASON_COST;
	if (view->silent)
		return POLICY_REASON_SILENT;
	if (view->claims)
		return POLICY_REASON_CLAIM;
	if (!view->usable || now_us - pace->trusted_us < calm_us(view))
		return POLICY_REASON_STALE;
	if (pace->backoff_until_us > now_us && !round->host->critical &&
	    view->history->situation <= SITUATION_IDLE)
		return POLICY_REASON_REGRET;
	return POLICY_REASON_NONE;
}

static uint64_t excess_bytes(const struct view *view)
{
	return saturating_sub(view->current, view->ideal);
}

static bool must_hurry(const struct view *view)
{
	return view->binding->over_budget || view->binding->hurry;
}

static bool is_worth_taking(const struct view *view)
{
	if (must_hurry(view) || view->current > view->high)
		return excess_bytes(view) > 0;
	return excess_bytes(view) > pace_dead_band(view);
}

bool pace_can_give(const struct view *view)
{
	return !view->protection && !view->distress.pressured && is_worth_taking(view);
}

enum policy_reason pace_refusal(const struct view *view, const struct round *round)
{
	bool calm = round->host->now_us - view->history->pace.calm_us >= calm_us(view);

	if (view->protection || view->current > view->high)
		return view->protection;
	if (view->history->pulled_us &&
	    round->host->now_us - view->history->pulled_us < PULL_REST_US)
		return POLICY_REASON_CALM;
	if (view->distress.pressured &&
	    (view->binding->givers || view->binding->situation <= SITUATION_IDLE))
		return POLICY_REASON_DISTRESS;
	if (calm || round->host->critical || view->binding->situation >= SITUATION_SHORT)
		return POLICY_REASON_NONE;
	/* The kernel does not wait: it kills at the limit. */
	if (view->binding != round->limits && view->binding->over_budget)
		return POLICY_REASON_NONE;
	return POLICY_REASON_CALM;
}

static uint64_t step_limit(const struct view *view, const struct round *round)
{
	uint64_t part = view->current / STEP_PART;
	uint64_t rate = (uint64_t)((double)STEP_BYTES_PER_S * round->seconds);
	uint64_t limit = min_u64(part, rate);
	uint64_t way = excess_bytes(view);

	if (round->host->critical)
		return way;
	if (must_hurry(view))
		limit *= HURRY_FACTOR;
	if (view->calls_back)
		limit = way;
	return min_u64(limit, way > pace_dead_band(view) ? way / 2 : way);
}

uint64_t pace_shrink_target(const struct view *view, const struct round *round)
{
	uint64_t step;

	if (!is_worth_taking(view) || pace_refusal(view, round) || !has_arrived(view))
		return view->current;
	step = step_limit(view, round);
	if (step == excess_bytes(view))
		return view->ideal;
	return min_u64(round_up(view->current - step, ROUND_BYTES), view->current);
}

static void record_shrink(struct view *view, int64_t now_us)
{
	struct pace *pace = &view->history->pace;

	if (!pace->shrunk_us || now_us - pace->before_us > REGRET_US) {
		pace->before_us = now_us;
		pace->before_bytes = view->current;
	}
	pace->shrunk_us = now_us;
}

void pace_record_decision(struct view *view, const struct round *round)
{
	struct pace *pace = &view->history->pace;

	if (view->target < view->current)
		record_shrink(view, round->host->now_us);
	if (view->target > view->current && view->target > view->actual && view->usable &&
	    !pace->grew_us) {
		pace->grew_us = view->guest->taken_us;
		pace->grew_bytes = view->target;
	}
}
