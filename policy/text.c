/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text that explains a decision.
 *
 * Theory of operation
 * -------------------
 * The reason follows from what happened to the guest, or from what kept it from happening.
 * The text gives the same numbers in the same order for every guest, so that they are easy
 * to find, and then what is done or why nothing is:
 *
 *   needs 610 MiB, plus a reserve of 128 MiB (peak growth 45 MiB/s): wants 738 MiB, has
 *   512 MiB; gets 226 MiB
 *
 * It is put together by hand, because a thousand calls of snprintf() with eight numbers each
 * would take longer than the rest of a step.
 */
#include "policy/text.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/pace.h"
#include "policy/trim.h"

#define DIGITS_MAX 20

struct line {
	char *text;
	size_t used;
};

static void append_text(struct line *line, const char *text)
{
	while (*text && line->used < POLICY_TEXT_MAX - 1)
		line->text[line->used++] = *text++;
	line->text[line->used] = '\0';
}

static void append_number(struct line *line, uint64_t number)
{
	char digits[DIGITS_MAX + 1] = "";
	size_t first = DIGITS_MAX;

	do
		digits[--first] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	append_text(line, digits + first);
}

static void append_mib(struct line *line, uint64_t bytes)
{
	append_number(line, bytes / MIB + (bytes % MIB >= MIB / 2));
	append_text(line, " MiB");
}

/* Need that the guest's own statistics hide: " (40 MiB swapped out, 50 MiB cache in use)". */
static void append_hidden_need(struct line *line, const struct need *need)
{
	bool swapped = need->swapped >= (double)MIB, cached = need->cached >= (double)MIB;

	if (!swapped && !cached)
		return;
	append_text(line, " (");
	if (swapped) {
		append_mib(line, (uint64_t)need->swapped);
		append_text(line, cached ? " swapped out, " : " swapped out");
	}
	if (cached) {
		append_mib(line, (uint64_t)need->cached);
		append_text(line, " cache in use");
	}
	append_text(line, ")");
}

static void append_guest_numbers(struct line *line, const struct view *view)
{
	const struct need *need = &view->history->need;
	double growth = growth_exceeded(&view->history->growth, GROWTH_RARE);

	if (!need->known) {
		append_text(line, "need not known, has ");
		append_mib(line, view->current);
		return;
	}
	append_text(line, need->demand > (double)need->bytes ? "lately needed " : "needs ");
	append_mib(line, (uint64_t)need->demand);
	append_hidden_need(line, need);
	if (view->guest->available_bytes == POLICY_UNSET)
		append_text(line, " or less (it reports free memory only)");
	append_text(line, ", plus a reserve of ");
	append_mib(line, view->reserve);
	if (growth > 0) {
		append_text(line, " (peak growth ");
		append_mib(line, (uint64_t)growth);
		append_text(line, "/s)");
	}
	append_text(line, ": wants ");
	append_mib(line, view->want);
	append_text(line, ", has ");
	append_mib(line, view->current);
}

/* What it took back by itself lately, and what the host keeps for that. */
static void append_pull(struct line *line, const struct view *view, const struct round *round)
{
	int64_t pulled_us = view->history->pulled_us;

	if (!pulled_us || round->host->now_us - pulled_us >= PULL_REST_US)
		return;
	append_text(line, "; took back ");
	append_mib(line, view->history->pulled);
	append_text(line, " by itself, the host keeps ");
	append_mib(line, round->pool);
	append_text(line, " for all");
}

static enum policy_reason explain_growth(const struct view *view)
{
	bool enough = view->binding->situation <= SITUATION_IDLE;

	if (view->distress.pressured)
		return POLICY_REASON_DISTRESS;
	if (view->protection == POLICY_REASON_INACTIVE || view->protection == POLICY_REASON_REGRET)
		return view->protection;
	if (view->current < view->low && view->target == view->low)
		return POLICY_REASON_BOUND;
	if (view->target > view->want)
		return view->protection && !enough ? view->protection : POLICY_REASON_SURPLUS;
	return enough ? POLICY_REASON_GROWS : POLICY_REASON_SHARE;
}

static enum policy_reason explain_shrink(const struct view *view, const struct round *round)
{
	if (round->host->critical)
		return POLICY_REASON_HOST;
	if (view->current > view->high)
		return POLICY_REASON_BOUND;
	if (view->binding != round->limits && view->binding->over_budget)
		return POLICY_REASON_LIMIT;
	return view->binding->situation >= SITUATION_SHORT ? POLICY_REASON_SHARE
							   : POLICY_REASON_IDLE;
}

/* Whether the guest is to have @bytes, which is more than it has. */
static bool lacks(const struct view *view, uint64_t bytes)
{
	return view->movable && bytes > saturating_add(view->current, pace_dead_band(view));
}

static enum policy_reason explain_standstill(const struct view *view, const struct round *round)
{
	uint64_t band = pace_dead_band(view);

	if (lacks(view, view->ideal) && view->guest->stall > HOST_STALL_SHARE)
		return POLICY_REASON_STALLED;
	if (lacks(view, view->ideal))
		return POLICY_REASON_SHARE;
	if (view->protection)
		return view->protection;
	if (pace_slow_rate(view))
		return POLICY_REASON_SLOW;
	if (lacks(view, view->want))
		return view->binding == round->limits ? POLICY_REASON_SHARE : POLICY_REASON_LIMIT;
	if (view->current > saturating_add(view->ideal, band) ||
	    (view->binding->over_budget && view->current > view->ideal))
		return pace_refusal(view, round) ? pace_refusal(view, round) : POLICY_REASON_IDLE;
	if (view->current == view->low || view->current == view->high)
		return POLICY_REASON_BOUND;
	return view->current > saturating_add(view->want, band) ? POLICY_REASON_SURPLUS
								: POLICY_REASON_NONE;
}

static const char *describe_silence(const struct view *view)
{
	if (view->guest->taken_us <= 0)
		return "; it has reported no statistics, not shrunk";
	if (!sample_shows_available(view->guest))
		return "; its statistics do not say what is available in it, not shrunk";
	return "; its statistics stay the same while its size changes, not shrunk";
}

static const char *describe_state(const struct view *view, enum policy_reason reason)
{
	switch (reason) {
	case POLICY_REASON_STALE:
		if (!view->guest->reachable)
			return "; does not answer, left unchanged";
		return view->usable ? "; its statistics have just started, not shrunk yet"
				    : "; its statistics are old, not shrunk";
	case POLICY_REASON_SILENT:
		return describe_silence(view);
	case POLICY_REASON_CLAIM:
		return "; its statistics contradict the host, not shrunk";
	case POLICY_REASON_INACTIVE:
		return "; its balloon does not follow the target";
	case POLICY_REASON_DRIVER:
		return "; it has no balloon driver";
	case POLICY_REASON_COST:
		return "; not shrunk for now, as the host got back ";
	case POLICY_REASON_SLOW:
		return "; its balloon follows slowly, at ";
	case POLICY_REASON_REGRET:
		return "; was short after a shrink, not shrunk for now";
	case POLICY_REASON_CALM:
		return view->calls_back ? "; gives memory after 10 s of calm"
					: "; gives memory after 30 s of calm";
	case POLICY_REASON_DISTRESS:
		return "; short of memory, not shrunk";
	case POLICY_REASON_STALLED:
		return "; the host stalls it, more memory would not help";
	case POLICY_REASON_LIMIT:
		return "; the memory limit above its process leaves its guests ";
	case POLICY_REASON_SHARE:
		return lacks(view, view->ideal) ? "; waits for memory from other guests"
						: "; the budget is used: ";
	case POLICY_REASON_SURPLUS:
		return "; keeps a share of the surplus";
	case POLICY_REASON_IDLE:
		return "; its last change is still in progress";
	case POLICY_REASON_FIXED:
		return "; left unchanged";
	case POLICY_REASON_BOUND:
		return view->current == view->low ? "; at its minimum" : "; at its maximum";
	case POLICY_REASON_NONE:
	case POLICY_REASON_GROWS:
	case POLICY_REASON_HOST:
	case POLICY_REASON_COUNT:
		break;
	}
	return "";
}

static const char *describe_change(enum policy_reason reason, bool more)
{
	if (reason == POLICY_REASON_DISTRESS)
		return "; short of memory, gets ";
	if (reason == POLICY_REASON_INACTIVE)
		return "; its balloon does not follow the target, gets back ";
	if (reason == POLICY_REASON_REGRET)
		return "; was short after a shrink, gets back ";
	if (reason == POLICY_REASON_SURPLUS)
		return "; gets a share of the surplus: ";
	if (reason == POLICY_REASON_HOST)
		return "; the host is short of memory, gives ";
	if (reason == POLICY_REASON_LIMIT)
		return "; the memory limit above its process is near, gives ";
	return more ? "; gets " : "; gives ";
}

/* The number that some of the texts of describe_state() end with. */
static void append_state_number(struct line *line, const struct view *view,
				const struct round *round, enum policy_reason reason)
{
	if (reason == POLICY_REASON_SLOW) {
		append_mib(line, max_u64(pace_slow_rate(view), MIB));
		append_text(line, "/s");
	} else if (reason == POLICY_REASON_COST) {
		append_mib(line, view->history->cost.returned);
		append_text(line, " of the ");
		append_mib(line, view->history->cost.taken);
		append_text(line, " taken from it last");
	} else if (reason == POLICY_REASON_LIMIT) {
		append_mib(line, view->binding->budget.bytes);
	} else if (reason == POLICY_REASON_SHARE && !lacks(view, view->ideal)) {
		append_mib(line, round->limits[0].budget.bytes);
		append_text(line, " for all guests");
	}
}

static void append_change(struct line *line, const struct view *view, const struct round *round,
			  enum policy_reason reason)
{
	bool more = view->target > view->current;

	if (view->target == view->current) {
		append_text(line, describe_state(view, reason));
		append_state_number(line, view, round, reason);
		return;
	}
	append_text(line, describe_change(reason, more));
	append_mib(line, more ? view->target - view->current : view->current - view->target);
}

void text_fill_decision(struct view *view, const struct round *round)
{
	struct policy_decision *decision = view->decision;
	struct line line = { .text = decision->text };
	bool known = view->history->need.known && view->guest->rules.mode != POLICY_OFF;

	*decision = (struct policy_decision){
		.target_bytes = view->target,
		.credit_bytes = view->credit,
		.ceiling_bytes = view->ceiling,
		.trim_bytes = trim_bytes(view, round),
		.need_bytes = known ? view->history->need.bytes : POLICY_UNSET,
		.demand_bytes = known ? view->demand : POLICY_UNSET,
		.reserve_bytes = known ? view->reserve : POLICY_UNSET,
		.want_bytes = known ? view->want : POLICY_UNSET,
		.floor_bytes = view->floor,
		.pressured = view->distress.pressured,
		.critical = view->distress.critical,
	};
	if (view->target > view->current)
		decision->reason = explain_growth(view);
	else if (view->target < view->current)
		decision->reason = explain_shrink(view, round);
	else
		decision->reason = explain_standstill(view, round);
	if (decision->reason == POLICY_REASON_LIMIT)
		decision->limit_group = (uint64_t)(view->binding - round->limits);
	if (known || view->guest->rules.mode != POLICY_OFF)
		append_guest_numbers(&line, view);
	else
		append_text(&line, "off");
	append_pull(&line, view, round);
	append_change(&line, view, round, decision->reason);
}
