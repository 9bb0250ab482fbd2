/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/sample.h"

#include "policy/constants.h"
#include "policy/numbers.h"

bool sample_is_complete(const struct policy_guest *guest)
{
	return guest->taken_us > 0 && guest->actual_then_bytes != POLICY_UNSET &&
	       guest->available_bytes != POLICY_UNSET;
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
		},
	};
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

	return min_u64(saturating_sub(actual, guest->available_bytes), guest->boot_bytes);
}

bool sample_contradicts(const struct policy_guest *guest, const struct policy_host *host)
{
	uint64_t slack =
		CLAIM_SLACK_BYTES + min_u64(guest->boot_bytes, BYTES_MAX) / CLAIM_SLACK_PART;
	uint64_t swapped = host->swap_used_bytes == POLICY_UNSET ? 0 : host->swap_used_bytes;

	if (guest->available_bytes > saturating_add(guest->actual_then_bytes, slack))
		return true;
	if (guest->total_bytes != POLICY_UNSET && guest->available_bytes > guest->total_bytes)
		return true;
	/* It cannot use memory that it never touched, unless the host swapped that out. */
	return guest->resident_bytes != POLICY_UNSET &&
	       sample_need(guest) >
		       saturating_add(saturating_add(guest->resident_bytes, slack), swapped);
}
