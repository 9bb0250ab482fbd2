/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trim.
 *
 * Theory of operation
 * -------------------
 * Linux fills free memory with page cache, most of which is not read again.  A guest that can trim
 * gives it up on request, and keeps its size: it can fill it again with something better.  Which
 * cache is cold nobody knows, but the kernel gives up the coldest first.  There are three parts:
 *
 *	in use	what the guest had when it read back files that it had dropped (need.c)
 *	new	beyond the least that it got along with: what it read since
 *	unsure	the rest
 *
 * Of the unsure part it is asked for a little at a time, as it shows only afterwards that this was
 * too much: reading it back makes tasks wait.  New cache is what a stream of files leaves behind,
 * and would fill the memory that the next burst finds free.  So it is asked for much of that, but
 * only once it has settled: a program that starts has to read its files first.
 *
 * Each request waits for the statistics that show the effect of the last one.  After refaults or
 * waiting tasks the guest is left alone for a while.
 */
#include "policy/trim.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/view.h"

/* Learns from new statistics how much cache the guest gets along with. */
static void follow_cache(const struct view *view)
{
	const struct policy_guest *guest = view->guest;
	struct trim *trim = &view->history->trim;
	double cache = (double)min_u64(guest->cache_bytes, view->actual), seconds;

	if (guest->cache_bytes == POLICY_UNSET || guest->taken_us <= trim->taken_us)
		return;
	seconds = (double)(guest->taken_us - trim->taken_us) / (double)SECOND_US;
	if (!trim->taken_us || cache < trim->settled)
		trim->settled = cache;
	trim->settled = cache - (cache - trim->settled) * decay_factor(seconds, TRIM_SETTLE_S);
	if (!trim->taken_us || view->history->symptoms.refaulting || cache < trim->enough)
		trim->enough = cache;
	trim->taken_us = guest->taken_us;
}

static bool may_be_trimmed(const struct view *view, const struct round *round)
{
	const struct history *history = view->history;
	int64_t hurt_us = history->symptoms.hurt_us;

	return view->movable && view->usable && !view->distress.hurting &&
	       history->trim.taken_us > history->trim.asked_us &&
	       !(hurt_us && round->host->now_us - hurt_us < TRIM_BACKOFF_US);
}

static double positive(double value)
{
	return value > 0 ? value : 0;
}

/* Bytes per second of the unsure part. */
static double unsure_rate(double bytes, const struct policy_host *host)
{
	double part = view_host_is_short(host) ? TRIM_SHORT_PART_PER_S : TRIM_PART_PER_S;
	double rate = part * bytes;

	return rate < TRIM_BYTES_PER_S ? rate : TRIM_BYTES_PER_S;
}

/* Bytes per second of all of its cache. */
static double trim_rate(const struct view *view, const struct policy_host *host)
{
	const struct trim *trim = &view->history->trim;
	double in_use = view->history->need.cached + TRIM_KEEP_PART * (double)view->actual;
	double proven = trim->enough > in_use ? trim->enough : in_use;

	return unsure_rate(proven - in_use, host) +
	       TRIM_NEW_PART_PER_S * positive(trim->settled - proven);
}

uint64_t trim_bytes(const struct view *view, const struct round *round)
{
	struct trim *trim = &view->history->trim;
	int64_t period_us = view->guest->period_us;
	double seconds;
	uint64_t bytes;

	if (!(view->guest->abilities & POLICY_CAN_TRIM))
		return 0;
	follow_cache(view);
	if (!may_be_trimmed(view, round))
		return 0;
	/* Until the next statistics, because none is asked for before those. */
	seconds = (double)(period_us < STEP_US_MAX ? period_us : STEP_US_MAX) / (double)SECOND_US;
	bytes = round_down((uint64_t)(trim_rate(view, round->host) * seconds), ROUND_BYTES);
	if (bytes)
		trim->asked_us = round->host->now_us;
	return bytes;
}
