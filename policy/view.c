/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a guest is seen.
 *
 * Theory of operation
 * -------------------
 * From its numbers and its past: its bounds, need, demand, reserve, want and
 * distress, whether it may be taken from, and from these its part in the division:
 *
 *   it cannot be moved at all	  every bound of its part is what it uses;
 *   it may not be taken from	  its low is what it has;
 *   it hurts, by what it does	  its demand is at least what it has, and it wants a
 *				  reserve beyond: or it would stay as short as it is;
 *   it has killed		  its demand is, for a while, at least the size at which it
 *				  did, and a cushion.
 *
 * To the demand in the division belongs as much as keeps the guest from being
 * critical: or, when memory is short, guests of small weight would be left with
 * less than that while others have reserves, and take turns in distress.
 *
 * The reserve is what was seen of the guest (reserve.c), or its cushion if that is
 * more.  A burst is over within a second or two and a guest without swap kills in
 * less, so no sample comes in time: what is to help must be there before.  Of the
 * first burst only one thing is known beforehand, that people buy large guests for
 * large work.  So the cushion is a part of the maximum.  A guest that has eaten into
 * it is not short yet; only what was seen of it says so.
 *
 * What cannot be taken is so known to the division, which gives to others what
 * is left.
 *
 * Of the bounds, the floor is the strongest, as below it Linux does not live; then
 * the maximum, then the minimum.
 */
#include "policy/view.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

static void look_at_bounds(struct view *view)
{
	const struct policy_rules *rules = &view->guest->rules;
	uint64_t boot = least(view->guest->boot_bytes, BYTES_MAX);

	view->floor = floor_bytes(boot);
	view->high = rules->max_bytes == POLICY_UNSET ? boot : least(rules->max_bytes, boot);
	view->high = most(view->high, view->floor);
	view->cushion = (uint64_t)((double)view->high * CUSHION_PART);
	view->low = rules->min_bytes == POLICY_UNSET ? 0 : rules->min_bytes;
	view->low = within(view->low, view->floor, view->high);
	view->actual = budget_actual(view->guest);
	view->present = budget_present(view->guest);
	view->weight = rules->weight > 0 ? rules->weight : 1;
	if (view->weight < WEIGHT_MIN)
		view->weight = WEIGHT_MIN;
	if (view->weight > WEIGHT_MAX)
		view->weight = WEIGHT_MAX;
	view->movable = rules->mode == POLICY_AUTO && view->guest->reachable &&
			view->guest->has_driver && !view->guest->cannot_shrink;
}

static void look_at_change(struct view *view, uint64_t need, const struct change *change)
{
	const struct policy_guest *guest = view->guest;
	struct past *past = view->past;

	growth_note(&past->growth, need_next(&past->need, need, change), change->seconds);
	if (signs_refaulting(&past->signs) && guest->cache_bytes != POLICY_UNSET)
		need_cache(&past->need, least(guest->cache_bytes, guest->actual_then_bytes));
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		need_killed(&past->need,
			    least(plus(guest->actual_then_bytes, view->cushion), view->high));
}

static void look_at_sample(struct view *view, const struct round *round)
{
	const struct policy_guest *guest = view->guest;
	struct past *past = view->past;
	uint64_t need = sample_need(guest);
	struct change change;

	switch (sample_take(&past->sample, guest, round->host->now_us, &change)) {
	case SAMPLE_NONE:
		break;
	case SAMPLE_FIRST:
		past->pace.trusted_us = round->host->now_us;
		signs_first(&past->signs);
		if (!view->claims)
			need_first(&past->need, need);
		break;
	case SAMPLE_NEXT:
		signs_next(&past->signs, &change, guest->taken_us);
		/* The first of all may have been a claim, as one from before a resize is. */
		if (!view->claims && !past->need.known)
			need_first(&past->need, need);
		else if (!view->claims)
			look_at_change(view, need, &change);
		break;
	}
}

/* Demand and want within the guest's bounds; unknown, they are what it has. */
static void look_at_want(struct view *view)
{
	const struct past *past = view->past;
	double demand = past->need.demand;

	if (!past->need.known) {
		view->demand = within(view->present, view->low, view->high);
		view->want = view->demand;
		return;
	}
	view->burst = least(reserve_for(demand, &past->growth), view->high);
	view->reserve = most(view->burst, view->cushion);
	view->demand = within((uint64_t)demand, view->low, view->high);
	view->want = round_up((uint64_t)demand + view->reserve, ROUND_BYTES);
	view->want = within(view->want, view->low, view->high);
	view->available = less(view->actual, past->need.bytes);
}

static void look_at_distress(struct view *view, const struct round *round)
{
	view->distress = (struct distress){ 0 };
	if (view->usable && view->past->need.known)
		view->distress = distress_judge(&view->past->signs, view->actual, view->available,
						view->burst, round->host->now_us);
	if (!view->distress.hurting)
		return;
	view->demand = most(view->demand, least(view->present, view->high));
	view->want = most(view->want, least(plus(view->demand, view->reserve), view->high));
}

/* What keeps a guest of @demand alive, within the bounds of its part. */
static uint64_t lives_on_less(const struct view *view, uint64_t demand)
{
	return within(demand + distress_margin(demand), view->kept_low,
		      most(view->want, view->kept_low));
}

void view_tighten(struct view *view)
{
	const struct need *need = &view->past->need;

	if (need->held_s > 0)
		return;
	if (view->movable && need->known && !view->distress.hurting)
		view->part->demand =
			least(view->part->demand, lives_on_less(view, (uint64_t)need_now(need)));
}

static void fill_part(struct view *view)
{
	const struct pace *pace = &view->past->pace;
	uint64_t use = budget_use(view->guest), low = view->low, want = view->want;

	*view->part = (struct part){ use, use, use, use, use, view->weight, use };
	if (!view->movable)
		return;
	if (view->kept == POLICY_REASON_CLAIM || view->kept == POLICY_REASON_INACTIVE ||
	    (view->kept == POLICY_REASON_STALE && view->past->need.known))
		low = most(view->present, view->actual); /* what is under way may never come */
	else if (view->kept)
		low = view->present;
	if (pace->alone && view->kept == pace->alone)
		want = most(want, least(pace->back_bytes, view->high));
	view->kept_low = within(low, view->low, view->high);
	*view->part = (struct part){
		.low = view->kept_low,
		.demand = lives_on_less(view, view->demand),
		.want = most(want, view->kept_low),
		.have = view->present,
		.high = view->high,
		.weight = view->weight,
	};
}

void view_look(struct view *view, const struct round *round)
{
	look_at_bounds(view);
	if (view->guest->rules.mode != POLICY_OFF) {
		view->claims =
			sample_present(view->guest) && sample_contradicts(view->guest, round->host);
		look_at_sample(view, round);
		view->usable = view->guest->reachable && !view->claims &&
			       sample_fresh(view->guest, round->host->now_us);
	}
	look_at_want(view);
	look_at_distress(view, round);
	pace_follow(view, round);
	view->kept = pace_kept(view, round);
	fill_part(view);
}

uint64_t view_use(const struct view *view, uint64_t target)
{
	return view->movable ? most(view->actual, target) : budget_use(view->guest);
}
