/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dating statistics.
 *
 * Theory of operation
 * -------------------
 * A guest's need is its size less what it had available, both at one moment.  The size is asked
 * for now; the statistics are of some moment since they were last read, dated by the wall
 * clock to a second.  A balloon moves hundreds of MiB in a second, so the size of now would be
 * wrong by as much just while it matters: a guest that grew would look as if it needed more, and
 * be given more for it.
 *
 * While the size stands still there is nothing to pair.  While it moves, MemTotal tells the size
 * at the moment of the statistics, for it follows the balloon: exactly, by its distance
 * from a quiet moment's.  With deflate-on-oom it does not.  Then a small move is halved, and with
 * a large one the statistics are left out, twice in a row at most.
 *
 * The wall clock may jump.  It only tells whether statistics are new, and their age within the
 * time since they were last read.
 */
#include "aerostatd/pairing.h"

#define SMALL_MOVE_BYTES (UINT64_C(64) << 20)
#define SKIP_MAX 2
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

static uint64_t size_difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* When the answer came, on the monotonic clock. */
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

/* The size when statistics with @total were true; HV_UNSET when nothing can tell. */
static uint64_t find_size_then(struct pairing *pairing, const struct hv_stats *stats, bool deflates)
{
	uint64_t actual = stats->value[HV_STAT_ACTUAL], total = stats->value[HV_STAT_AVAILABLE];
	uint64_t before = pairing->read_actual_bytes;

	/* What it had before anybody looked nobody knows. */
	if (!pairing->read_us && stats->taken_s - stats->last_update_s > FIRST_AGE_MAX_S)
		return HV_UNSET;
	if (!has_moved(pairing, actual))
		return actual;
	if (!deflates && total != HV_UNSET && pairing->quiet_total_bytes != HV_UNSET &&
	    pairing->quiet_actual_bytes + total > pairing->quiet_total_bytes) {
		uint64_t then = pairing->quiet_actual_bytes + total - pairing->quiet_total_bytes;

		/* A claim, after all: what it had between the two readings, and nothing else. */
		return CLAMP(then, MIN(before, actual), MAX(before, actual));
	}
	if (size_difference(before, actual) > SMALL_MOVE_BYTES && pairing->skipped < SKIP_MAX)
		return HV_UNSET;
	return before / 2 + actual / 2;
}

static void note_quiet_moment(struct pairing *pairing, const struct hv_stats *stats)
{
	uint64_t total = stats->value[HV_STAT_AVAILABLE];

	/* Twice the same MemTotal at the same size: nothing is in flight. */
	if (pairing->stats_us && pairing->stats.value[HV_STAT_AVAILABLE] == total &&
	    !has_moved(pairing, stats->value[HV_STAT_ACTUAL])) {
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
