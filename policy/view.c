/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the policy makes of a guest.
 *
 * Theory of operation
 * -------------------
 * From a guest's numbers and history follow its bounds, need, demand, reserve, want and
 * distress, and whether it may be shrunk.  From these follows its share in the division:
 *
 *   it cannot be changed at all	every bound of its share is what it uses;
 *   it must not be shrunk		its lower bound is what it has;
 *   it is hurting			its demand is at least what it has, and it wants a
 *					reserve beyond that, or it would stay as short as it is;
 *   its OOM killer ran			for a while, its demand is at least its size at that
 *					time and a cushion.
 *
 * So the division knows which memory cannot be taken, and gives the others only the rest.
 *
 * The demand in the division includes enough to keep the guest from being critical.
 * Otherwise, in a shortage, guests of small weight would have less than that while others
 * have reserves, and would be in distress in turn.
 *
 * The reserve is what the guest's history calls for (reserve.c), or its cushion if that is
 * more.  A burst is over within a second or two, and a guest without swap kills a process
 * in less, so no sample comes in time: the memory must be there beforehand.  Before the
 * first burst, all that is known is that large guests are made for large work, so the
 * cushion is a part of the maximum.  A guest with a gate that takes memory back by itself needs
 * none while the host is short, because then it should ask.  A guest that uses some of its cushion
 * is not short yet; only the reserve by its history decides that.
 *
 * Of the bounds, the floor is the strongest, because Linux does not work below it; then the
 * maximum, then the minimum.
 */
#include "policy/view.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

static void fill_bounds(struct view *view)
{
	const struct policy_rules *rules = &view->guest->rules;
	uint64_t boot = min_u64(view->guest->boot_bytes, BYTES_MAX);

	view->floor = floor_bytes(boot);
	view->high = rules->max_bytes == POLICY_UNSET ? boot : min_u64(rules->max_bytes, boot);
	view->high = max_u64(view->high, view->floor);
	view->cushion = (uint64_t)((double)view->high * CUSHION_PART);
	view->low = rules->min_bytes == POLICY_UNSET ? 0 : rules->min_bytes;
	view->low = clamp_u64(view->low, view->floor, view->high);
	view->actual = budget_actual_bytes(view->guest);
	view->current = budget_target_bytes(view->guest);
	view->weight = rules->weight > 0 ? rules->weight : 1;
	if (view->weight < WEIGHT_MIN)
		view->weight = WEIGHT_MIN;
	if (view->weight > WEIGHT_MAX)
		view->weight = WEIGHT_MAX;
	view->movable = rules->mode == POLICY_AUTO && view->guest->reachable &&
			view->guest->has_driver && !view->guest->cannot_shrink;
	view->calls_back = view->guest->abilities & POLICY_CAN_PULL;
	view->asks = view->calls_back && view->guest->abilities & POLICY_CAN_GATE;
}

/* Whether the caller has counted more that the guest took back by itself since the last step. */
static bool has_pulled(const struct view *view)
{
	uint64_t counted = view->guest->pulled_bytes, before = view->history->counted;

	view->history->counted = counted;
	return before != POLICY_UNSET && counted != POLICY_UNSET &&
	       counted > saturating_add(before, CONFIRM_SLACK_BYTES);
}

/*
 * A guest that took memory back by itself, and is above its target, needs what it has now, and
 * keeps it: its size becomes its target, but not beyond its ceiling.  Its size alone would not show
 * that, as a balloon empties at a boot, too.
 */
static void follow_pull(struct view *view, int64_t now_us)
{
	struct history *history = view->history;
	bool may = view->guest->abilities & (POLICY_CAN_PULL | POLICY_CAN_RELIEVE);
	uint64_t keep = min_u64(view->actual, view->high);

	if (history->ceiling)
		keep = min_u64(keep, history->ceiling);
	if (!has_pulled(view) || !may || !view->movable ||
	    keep <= view->current + CONFIRM_SLACK_BYTES)
		return;
	history->pulled_us = now_us;
	history->pulled = keep - view->current;
	view->current = keep;
	need_note_proof(&history->need, keep);
}

/* Whether the last statistics say what the guest needs. */
static bool shows_need(const struct view *view)
{
	return !view->claims && !view->history->sample.frozen;
}

/* The time constant with which its demand falls. */
static double demand_fall_s(const struct view *view, const struct round *round)
{
	if (!view->calls_back)
		return DEMAND_FALL_S;
	return view_host_is_short(round->host) ? DEMAND_FALL_SHORT_S : DEMAND_FALL_PULL_S;
}

static void follow_change(struct view *view, const struct round *round, uint64_t need,
			  const struct change *change)
{
	const struct policy_guest *guest = view->guest;
	struct history *history = view->history;
	double fall_s = demand_fall_s(view, round);

	growth_record(&history->growth, need_update(&history->need, need, change, fall_s),
		      change->seconds);
	if (history->symptoms.refaulting && guest->cache_bytes != POLICY_UNSET)
		need_note_hot_cache(&history->need,
				    min_u64(guest->cache_bytes, guest->actual_then_bytes));
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		need_note_proof(&history->need,
				min_u64(saturating_add(guest->actual_then_bytes, view->cushion),
					view->high));
}

static void follow_sample(struct view *view, const struct round *round)
{
	const struct policy_guest *guest = view->guest;
	struct history *history = view->history;
	uint64_t need = sample_need(guest);
	struct change change;

	switch (sample_update(&history->sample, guest, round->host->now_us, &change)) {
	case SAMPLE_NONE:
		break;
	case SAMPLE_FIRST:
		history->pace.trusted_us = round->host->now_us;
		symptoms_reset(&history->symptoms);
		if (shows_need(view))
			need_start(&history->need, need);
		break;
	case SAMPLE_NEXT:
		symptoms_update(&history->symptoms, &change, guest->taken_us);
		/* The first sample may have been implausible, for example from before a resize. */
		if (shows_need(view) && !history->need.known)
			need_start(&history->need, need);
		else if (shows_need(view))
			follow_change(view, round, need, &change);
		break;
	}
}

/*
 * It takes back what it needs within milliseconds, and has to ask for it while the host is short.
 * The size of a guest that does not report is what the host has less: without its cushion the host
 * would not be short, and it would get the cushion again.
 */
static bool can_do_without_cushion(const struct view *view, const struct policy_host *host)
{
	return view->asks && budget_resident_bytes(view->guest) != POLICY_UNSET &&
	       host->available_bytes < host->total_bytes / CUSHION_SHORT_PART;
}

/* Demand and want within the guest's bounds; its current target if its need is not known. */
static void fill_want(struct view *view, const struct round *round)
{
	const struct history *history = view->history;
	double demand = history->need.demand;

	if (!history->need.known) {
		view->demand = clamp_u64(view->current, view->low, view->high);
		view->want = view->demand;
		return;
	}
	view->burst = min_u64(reserve_for(demand, &history->growth), view->high);
	view->reserve = can_do_without_cushion(view, round->host)
				? view->burst
				: max_u64(view->burst, view->cushion);
	view->demand = clamp_u64((uint64_t)demand, view->low, view->high);
	view->want = round_up((uint64_t)demand + view->reserve, ROUND_BYTES);
	view->want = clamp_u64(view->want, view->low, view->high);
	view->available = saturating_sub(view->actual, history->need.bytes);
}

/* How much of its size it uses, and a burst: of what it has never touched, more does not help. */
static uint64_t used_bytes(const struct view *view)
{
	uint64_t resident = budget_resident_bytes(view->guest);

	return resident == POLICY_UNSET ? view->current : resident + view->burst;
}

static void fill_distress(struct view *view, const struct round *round)
{
	uint64_t used;

	view->distress = (struct distress){ 0 };
	if (view->usable && view->history->need.known)
		view->distress = distress_judge(&view->history->symptoms, view->actual,
						view->available, view->burst, round->host->now_us);
	if (!view->distress.hurting)
		return;
	used = min_u64(used_bytes(view), view->current);
	view->demand = max_u64(view->demand, min_u64(used, view->high));
	view->want = max_u64(view->want,
			     min_u64(saturating_add(view->demand, view->reserve), view->high));
}

/* @demand and what keeps the guest from being critical, within the bounds of its share. */
static uint64_t survival_demand(const struct view *view, uint64_t demand)
{
	return clamp_u64(demand + distress_margin(demand), view->protected_low,
			 max_u64(view->want, view->protected_low));
}

uint64_t view_present_demand(const struct view *view)
{
	const struct need *need = &view->history->need;

	if (!view->movable || !need->known || view->distress.hurting)
		return view->share->demand;
	return min_u64(view->share->demand, survival_demand(view, (uint64_t)need_current(need)));
}

void view_forget_peaks(struct view *view)
{
	if (!(view->history->need.held_s > 0))
		view->share->demand = view_present_demand(view);
}

static void fill_share(struct view *view)
{
	const struct pace *pace = &view->history->pace;
	uint64_t use = budget_used_bytes(view->guest), low = view->low, want = view->want;

	*view->share = (struct share){ use, use, use, use, use, view->weight, use };
	if (!view->movable)
		return;
	if (view->protection == POLICY_REASON_CLAIM || view->protection == POLICY_REASON_INACTIVE ||
	    view->protection == POLICY_REASON_COST ||
	    ((view->protection == POLICY_REASON_STALE ||
	      view->protection == POLICY_REASON_SILENT) &&
	     view->history->need.known))
		low = max_u64(view->current,
			      view->actual); /* a shrink in progress may never finish */
	else if (view->protection)
		low = view->current;
	if (pace->backoff_reason && view->protection == pace->backoff_reason)
		want = max_u64(want, min_u64(pace->restore_bytes, view->high));
	view->protected_low = clamp_u64(low, view->low, view->high);
	*view->share = (struct share){
		.low = view->protected_low,
		.demand = survival_demand(view, view->demand),
		.want = max_u64(want, view->protected_low),
		.have = view->current,
		.high = view->high,
		.weight = view->weight,
	};
}

void view_fill(struct view *view, const struct round *round)
{
	fill_bounds(view);
	if (view->guest->rules.mode != POLICY_OFF) {
		view->claims = sample_is_complete(view->guest) &&
			       sample_contradicts(view->guest, round->host);
		follow_sample(view, round);
		view->silent = !sample_shows_available(view->guest) || view->history->sample.frozen;
		view->usable = view->guest->reachable && !view->claims && !view->silent &&
			       sample_is_fresh(view->guest, round->host->now_us);
	}
	follow_pull(view, round->host->now_us);
	fill_want(view, round);
	fill_distress(view, round);
	pace_update(view, round);
	cost_update(&view->history->cost, view->actual, view->guest->ram_bytes,
		    round->host->now_us);
	view->protection = pace_protection(view, round);
	fill_share(view);
}

bool view_host_is_short(const struct policy_host *host)
{
	return host->available_bytes < host->total_bytes / SHORT_PART;
}

uint64_t view_used_bytes(const struct view *view, uint64_t target)
{
	return view->movable ? max_u64(view->actual, target) : budget_used_bytes(view->guest);
}

uint64_t view_promised_bytes(const struct view *view)
{
	uint64_t resident = budget_resident_bytes(view->guest);
	uint64_t used = view_used_bytes(view, view->target);
	uint64_t soon = (uint64_t)(CLIMB_AHEAD_S * view->history->climb);

	if (resident == POLICY_UNSET)
		return used;
	return used - saturating_sub(view->actual, saturating_add(resident, soon));
}

bool view_is_inside(const struct view *view, const struct round *round, uint64_t limit)
{
	uint64_t number = view->group;

	/* A group's number is above those of the groups that it is in. */
	while (number > limit)
		number = round->limits[number].parent;
	return number == limit;
}
