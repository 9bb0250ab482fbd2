/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/pairing.h"

#include "common/size.h"

#define SMALL_MOVE_BYTES (UINT64_C(64) << 20)
#define SKIP_MAX 2
#define LEARN_BYTES (UINT64_C(16) << 20) /* a smaller move shows nothing about MemTotal */
/* How old the very first statistics may be: before them, nobody read the size. */
#define FIRST_AGE_MAX_S 1

void pairing_init(struct pairing *pairing)
{
	*pairing = (struct pairing){
		.actual_then_bytes = HV_UNSET,
		.read_actual_bytes = HV_UNSET,
		.read_update_s = -1,
		.quiet_total_bytes = HV_UNSET,
		.quiet_actual_bytes = HV_UNSET,
	};
	for (int i = 0; i < HV_STAT_COUNT; i++)
		pairing->stats.value[i] = HV_UNSET;
}

/* When the guest answered, on the monotonic clock. */
static int64_t date_answer(const struct pairing *pairing, const struct hv_stats *stats,
			   int64_t now_us)
{
	int64_t age_us = MAX(stats->taken_s - stats->last_update_s, 0) * G_USEC_PER_SEC;

	if (!pairing->read_us)
		return MAX(now_us - age_us, 1);
	return MAX(now_us - age_us, MIN(pairing->read_us + 1, now_us));
}

static bool has_moved(const struct pairing *pairing, uint64_t actual)
{
	return pairing->read_actual_bytes != HV_UNSET && pairing->read_actual_bytes != actual;
}

/* Whether @total says how far the size has moved since it last stood still. */
static bool is_total_a_measure(const struct pairing *pairing, uint64_t total)
{
	if (total == HV_UNSET || pairing->quiet_total_bytes == HV_UNSET)
		return false;
	return pairing->total == TOTAL_FOLLOWS ||
	       (pairing->total == TOTAL_UNKNOWN && total != pairing->quiet_total_bytes);
}

/* Compares two moments when the size stood still: did MemTotal change with it? */
static void learn_about_total(struct pairing *pairing, uint64_t actual, uint64_t total)
{
	uint64_t moved = size_difference(actual, pairing->quiet_actual_bytes);

	if (pairing->quiet_total_bytes == HV_UNSET || total == HV_UNSET || moved < LEARN_BYTES)
		return;
	pairing->total = size_difference(total, pairing->quiet_total_bytes) >= moved / 2
				 ? TOTAL_FOLLOWS
				 : TOTAL_STAYS;
}

/* The size when the statistics were true; HV_UNSET if it cannot be told. */
static uint64_t find_size_then(struct pairing *pairing, const struct hv_stats *stats, bool deflates)
{
	uint64_t actual = stats->value[HV_STAT_ACTUAL], total = stats->value[HV_STAT_AVAILABLE];
	uint64_t before = pairing->read_actual_bytes;

	if (!pairing->read_us && stats->taken_s - stats->last_update_s > FIRST_AGE_MAX_S)
		return HV_UNSET;
	if (!has_moved(pairing, actual))
		return actual;
	if (!deflates && is_total_a_measure(pairing, total) &&
	    pairing->quiet_actual_bytes + total > pairing->quiet_total_bytes) {
		uint64_t then = pairing->quiet_actual_bytes + total - pairing->quiet_total_bytes;

		/* MemTotal is the guest's claim, so only sizes between the two readings count. */
		return CLAMP(then, MIN(before, actual), MAX(before, actual));
	}
	if (size_difference(before, actual) > SMALL_MOVE_BYTES && pairing->skipped < SKIP_MAX)
		return HV_UNSET;
	return before / 2 + actual / 2;
}

static void note_quiet_moment(struct pairing *pairing, const struct hv_stats *stats)
{
	uint64_t total = stats->value[HV_STAT_AVAILABLE];

	/* The same MemTotal twice, at the same size: no page is in flight. */
	if (pairing->stats_us && pairing->stats.value[HV_STAT_AVAILABLE] == total &&
	    !has_moved(pairing, stats->value[HV_STAT_ACTUAL])) {
		learn_about_total(pairing, stats->value[HV_STAT_ACTUAL], total);
		pairing->quiet_total_bytes = total;
		pairing->quiet_actual_bytes = stats->value[HV_STAT_ACTUAL];
	}
}

static bool accept_stats(struct pairing *pairing, const struct hv_stats *stats, int64_t now_us,
			 bool deflates)
{
	uint64_t then = find_size_then(pairing, stats, deflates);

	if (then == HV_UNSET) {
		pairing->skipped++;
		return false;
	}
	pairing->skipped = 0;
	pairing->stats_us = MAX(date_answer(pairing, stats, now_us), pairing->stats_us + 1);
	note_quiet_moment(pairing, stats);
	pairing->stats = *stats;
	pairing->actual_then_bytes = then;
	return true;
}

bool pairing_take(struct pairing *pairing, const struct hv_stats *stats, int64_t now_us,
		  bool deflates)
{
	bool fresh = stats->last_update_s != pairing->read_update_s &&
		     stats->value[HV_STAT_ACTUAL] != HV_UNSET &&
		     accept_stats(pairing, stats, now_us, deflates);

	if (stats->last_update_s > 0 && stats->last_update_s != pairing->read_update_s)
		pairing->heard_us = date_answer(pairing, stats, now_us);
	pairing->read_us = now_us;
	pairing->read_actual_bytes = stats->value[HV_STAT_ACTUAL];
	pairing->read_update_s = stats->last_update_s;
	return fresh;
}
