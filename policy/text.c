/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a decision is explained with.
 *
 * Theory of operation
 * -------------------
 * The reason is read off what happened to the guest and off what kept it from
 * happening.  The text is one sentence of numbers, the same for every guest, so
 * that eyes find them, and behind it what was done or why nothing was:
 *
 *   needs 610 MiB, 128 MiB kept for bursts (grew 45 MiB/s at most): 738 MiB wanted,
 *   512 MiB had; gets 226 MiB
 *
 * It is put together by hand, as a thousand snprintf() of eight numbers would take
 * longer than all else in a step.
 */
#include "policy/text.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/pace.h"

#define DIGITS_MAX 20

struct line {
	char *text;
	size_t used;
};

static void append_text(struct line *line, const char *words)
{
	while (*words && line->used < POLICY_TEXT_MAX - 1)
		line->text[line->used++] = *words++;
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

static void append_hidden(struct line *line, double bytes, const char *words)
{
	if (bytes < (double)MIB)
		return;
	append_text(line, " (");
	append_mib(line, (uint64_t)bytes);
	append_text(line, words);
}

static void append_guest_numbers(struct line *line, const struct view *view)
{
	const struct past *past = view->past;
	double grew = growth_p99(&past->growth);

	if (!past->need.known) {
		append_text(line, "need unknown, ");
		append_mib(line, view->present);
		append_text(line, " had");
		return;
	}
	append_text(line, past->need.demand > (double)past->need.bytes ? "needed " : "needs ");
	append_mib(line, (uint64_t)past->need.demand);
	append_hidden(line, past->need.swapped, " of it swapped out)");
	append_hidden(line, past->need.cached, " of it cache in use)");
	append_text(line, ", ");
	append_mib(line, view->reserve);
	append_text(line, " kept for bursts");
	if (grew > 0) {
		append_text(line, " (grew ");
		append_mib(line, (uint64_t)grew);
		append_text(line, "/s at most)");
	}
	append_text(line, ": ");
	append_mib(line, view->want);
	append_text(line, " wanted, ");
	append_mib(line, view->present);
	append_text(line, " had");
}

static enum policy_reason explain_growth(const struct view *view, const struct round *round)
{
	bool enough = round->situation <= SITUATION_IDLE;

	if (view->distress.pressured)
		return POLICY_REASON_DISTRESS;
	if (view->kept == POLICY_REASON_INACTIVE || view->kept == POLICY_REASON_REGRET)
		return view->kept;
	if (view->present < view->low && view->target == view->low)
		return POLICY_REASON_BOUND;
	if (view->target > view->want)
		return view->kept && !enough ? view->kept : POLICY_REASON_SURPLUS;
	return enough ? POLICY_REASON_GROWS : POLICY_REASON_SHARE;
}

static enum policy_reason explain_shrink(const struct view *view, const struct round *round)
{
	if (round->host->critical)
		return POLICY_REASON_HOST;
	if (view->present > view->high)
		return POLICY_REASON_BOUND;
	return round->situation >= SITUATION_SHORT ? POLICY_REASON_SHARE : POLICY_REASON_IDLE;
}

static enum policy_reason explain_standstill(const struct view *view, const struct round *round)
{
	uint64_t band = pace_band(view);

	if (view->movable && view->ideal > plus(view->present, band)) {
		if (view->guest->stall > HOST_STALL_SHARE)
			return POLICY_REASON_STALLED;
		return POLICY_REASON_SHARE;
	}
	if (view->kept)
		return view->kept;
	if (view->present > plus(view->ideal, band) || (round->over && view->present > view->ideal))
		return pace_refusal(view, round) ? pace_refusal(view, round) : POLICY_REASON_IDLE;
	if (view->present == view->low || view->present == view->high)
		return POLICY_REASON_BOUND;
	return POLICY_REASON_NONE;
}

static const char *describe_state(const struct view *view, enum policy_reason reason)
{
	switch (reason) {
	case POLICY_REASON_STALE:
		if (!view->guest->reachable)
			return "; does not answer, left as it is";
		return view->usable ? "; statistics began anew, not taken from yet"
				    : "; statistics too old or absent, not taken from";
	case POLICY_REASON_CLAIM:
		return "; its statistics contradict what the host sees, not taken from";
	case POLICY_REASON_INACTIVE:
		return view->guest->has_driver ? "; its balloon does not follow"
					       : "; has no balloon driver";
	case POLICY_REASON_REGRET:
		return "; was short after it gave, left alone";
	case POLICY_REASON_CALM:
		return "; gives once it has been calm for 30 s";
	case POLICY_REASON_DISTRESS:
		return "; short of memory, not taken from";
	case POLICY_REASON_STALLED:
		return "; the host stalls it, more would not help";
	case POLICY_REASON_SHARE:
		return "; waits for memory that others give";
	case POLICY_REASON_IDLE:
		return "; the last step is still under way";
	case POLICY_REASON_FIXED:
		return "; left as it is";
	case POLICY_REASON_BOUND:
		return view->present == view->low ? "; at its minimum" : "; at its maximum";
	case POLICY_REASON_NONE:
	case POLICY_REASON_GROWS:
	case POLICY_REASON_SURPLUS:
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
		return "; its balloon does not follow, gets back ";
	if (reason == POLICY_REASON_REGRET)
		return "; was short after it gave, gets back ";
	if (reason == POLICY_REASON_SURPLUS)
		return "; gets of what nobody wants ";
	if (reason == POLICY_REASON_HOST)
		return "; the host is short, gives ";
	return more ? "; gets " : "; gives ";
}

static void append_change(struct line *line, const struct view *view, enum policy_reason reason)
{
	bool more = view->target > view->present;

	if (view->target == view->present) {
		append_text(line, describe_state(view, reason));
		return;
	}
	append_text(line, describe_change(reason, more));
	append_mib(line, more ? view->target - view->present : view->present - view->target);
}

void text_decide(struct view *view, const struct round *round)
{
	struct policy_decision *decision = view->decision;
	struct line line = { .text = decision->text };
	bool known = view->past->need.known && view->guest->rules.mode != POLICY_OFF;

	*decision = (struct policy_decision){
		.target_bytes = view->target,
		.need_bytes = known ? view->past->need.bytes : POLICY_UNSET,
		.demand_bytes = known ? view->demand : POLICY_UNSET,
		.reserve_bytes = known ? view->reserve : POLICY_UNSET,
		.want_bytes = known ? view->want : POLICY_UNSET,
		.floor_bytes = view->floor,
		.pressured = view->distress.pressured,
		.critical = view->distress.critical,
	};
	if (view->target > view->present)
		decision->reason = explain_growth(view, round);
	else if (view->target < view->present)
		decision->reason = explain_shrink(view, round);
	else
		decision->reason = explain_standstill(view, round);
	if (known || view->guest->rules.mode != POLICY_OFF)
		append_guest_numbers(&line, view);
	else
		append_text(&line, "off");
	append_change(&line, view, decision->reason);
}
