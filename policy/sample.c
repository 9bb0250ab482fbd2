/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics.
 *
 * Theory of operation
 * -------------------
 * Statistics are claims, and drivers differ in what they report.  Where there is no number of
 * what is available, free memory stands for it: then need counts page cache as used, and errs
 * on the side of the guest.  A guest that reports neither is silent.
 *
 * So is a guest whose numbers are frozen.  Each of them may stay the same for as long as the
 * guest rests, but none can while its balloon takes or gives tens of MiB.
 */
#include "policy/sample.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

uint64_t sample_available(const struct policy_guest *guest)
{
	return estimate_available_bytes(guest->available_bytes, guest->free_bytes);
}

bool sample_shows_available(const struct policy_guest *guest)
{
	return guest->taken_us > 0 && sample_available(guest) != POLICY_UNSET;
}

bool sample_is_complete(const struct policy_guest *guest)
{
	return sample_shows_available(guest) && guest->actual_then_bytes != POLICY_UNSET;
}

bool sample_is_fresh(const struct policy_guest *guest, int64_t now_us)
{
	int64_t limit = SAMPLE_AGE_MAX_US;

	if (guest->period_us > limit / SAMPLE_AGE_PERIODS)
		limit = SAMPLE_AGE_PERIODS *
			(guest->period_us < MINUTE_US ? guest->period_us : MINUTE_US);
	return sample_is_complete(guest) && guest->taken_us <= now_us &&
	       now_us - guest->taken_us <= limit;
}

static void sample_read(struct sample *sample, const struct policy_guest *guest)
{
	*sample = (struct sample){
		.taken_us = guest->taken_us,
		.counters = {
			[COUNTER_SWAP_IN] = guest->swap_in_bytes,
			[COUNTER_SWAP_OUT] = guest->swap_out_bytes,
			[COUNTER_MAJOR_FAULTS] = guest->major_faults,
			[COUNTER_OOM_KILLS] = guest->oom_kills,
			[COUNTER_ALLOC_STALLS] = guest->alloc_stalls,
			[COUNTER_DIRECT_SCAN] = guest->direct_scan_bytes,
			[COUNTER_PSI_SOME] = guest->psi_some_us,
			[COUNTER_REFAULT] = guest->refault_bytes,
		},
		.levels = {
			[LEVEL_AVAILABLE] = guest->available_bytes,
			[LEVEL_FREE] = guest->free_bytes,
			[LEVEL_TOTAL] = guest->total_bytes,
			[LEVEL_CACHE] = guest->cache_bytes,
		},
		.same_actual = guest->actual_then_bytes,
	};
}

static bool are_all_numbers_same(const struct sample *a, const struct sample *b)
{
	for (int i = 0; i < COUNTERS; i++)
		if (a->counters[i] != b->counters[i])
			return false;
	for (int i = 0; i < LEVELS; i++)
		if (a->levels[i] != b->levels[i])
			return false;
	return true;
}

/* A guest that has nothing available may well stay at that. */
static void note_frozen_numbers(const struct sample *last, struct sample *next,
				const struct policy_guest *guest)
{
	uint64_t before = last->same_actual, now = next->same_actual;

	if (!last->taken_us || !sample_available(guest) || !are_all_numbers_same(last, next))
		return;
	next->same_actual = before;
	next->frozen = max_u64(before, now) - min_u64(before, now) > FROZEN_BYTES;
}

static bool is_counter_known(const struct sample *a, const struct sample *b, int counter)
{
	return a->counters[counter] != POLICY_UNSET && b->counters[counter] != POLICY_UNSET;
}

/* The guest has rebooted, or its statistics are false: either way they do not continue @last. */
static bool has_restarted(const struct sample *last, const struct sample *next)
{
	if (next->taken_us < last->taken_us)
		return true;
	for (int i = 0; i < COUNTERS; i++)
		if (is_counter_known(last, next, i) && next->counters[i] < last->counters[i])
			return true;
	return false;
}

static void compute_change(const struct sample *last, const struct sample *next,
			   struct change *change)
{
	change->seconds = (double)(next->taken_us - last->taken_us) / (double)SECOND_US;
	for (int i = 0; i < COUNTERS; i++)
		change->counters[i] = is_counter_known(last, next, i)
					      ? (double)(next->counters[i] - last->counters[i])
					      : 0;
}

enum sample_news sample_update(struct sample *last, const struct policy_guest *guest,
			       int64_t now_us, struct change *change)
{
	struct sample next;

	if (!sample_is_complete(guest) || guest->taken_us > now_us ||
	    guest->taken_us == last->taken_us)
		return SAMPLE_NONE;
	sample_read(&next, guest);
	note_frozen_numbers(last, &next, guest);
	if (!last->taken_us || has_restarted(last, &next)) {
		*last = next;
		return SAMPLE_FIRST;
	}
	if (next.taken_us - last->taken_us < SAMPLE_GAP_MIN_US)
		return SAMPLE_NONE;
	compute_change(last, &next, change);
	*last = next;
	return SAMPLE_NEXT;
}

uint64_t sample_need(const struct policy_guest *guest)
{
	uint64_t actual = guest->actual_then_bytes;

	return min_u64(saturating_sub(actual, sample_available(guest)), guest->boot_bytes);
}

bool sample_contradicts(const struct policy_guest *guest, const struct policy_host *host)
{
	uint64_t slack =
		CLAIM_SLACK_BYTES + min_u64(guest->boot_bytes, BYTES_MAX) / CLAIM_SLACK_PART;
	uint64_t swapped = host->swap_used_bytes == POLICY_UNSET ? 0 : host->swap_used_bytes;
	uint64_t available = sample_available(guest);

	if (available > saturating_add(guest->actual_then_bytes, slack))
		return true;
	if (guest->total_bytes != POLICY_UNSET && available > guest->total_bytes)
		return true;
	/* It cannot use memory that it never touched, unless the host swapped that out. */
	return guest->resident_bytes != POLICY_UNSET &&
	       sample_need(guest) >
		       saturating_add(saturating_add(guest->resident_bytes, slack), swapped);
}
