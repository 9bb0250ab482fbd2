/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: QEMU asks the guest for statistics as soon as polling is switched on.
 * Switching it off and on again therefore yields a current sample within milliseconds.  Polling
 * then continues, once per second, until guest_stats_stop().
 *
 * Samples are dated by the wall clock, in seconds, and that clock may be set.  So an answer to us
 * is recognized by a date other than that of the sample before, or by other values, as two samples
 * may be taken in the same second.
 */
#include "resize/guest_stats.h"

#include <poll.h>

#include "policy/floor.h"
#include "resize/resize.h"

#define PERIOD_S 1
#define FRESH_MS 1500
#define POLL_MS 10

static bool set_polling_period(const struct guest_stats *stats, int period_s)
{
	return hv_guest_stats_period_set(stats->guest, hv_deadline_ms(RESIZE_CALL_MS), period_s,
					 HV_SCOPE_LIVE, NULL);
}

void guest_stats_read(struct guest_stats *stats)
{
	stats->known = hv_guest_stats_get(stats->guest, hv_deadline_ms(RESIZE_CALL_MS),
					  &stats->latest, NULL);
}

static bool start_stats_polling(struct guest_stats *stats)
{
	if (!stats->known || stats->latest.period_s < 0)
		return false;
	stats->restore_period_s = stats->latest.period_s;
	return (!stats->latest.period_s || set_polling_period(stats, 0)) &&
	       set_polling_period(stats, PERIOD_S);
}

/* Whether a guest reports the same in @a and @b.  Its size and RSS are the host's numbers. */
static bool is_report_same(const struct hv_stats *a, const struct hv_stats *b)
{
	for (int i = 0; i < HV_STAT_COUNT; i++)
		if (i != HV_STAT_ACTUAL && i != HV_STAT_RSS && a->value[i] != b->value[i])
			return false;
	return true;
}

/* Whether the guest has reported since @before was its latest report. */
static bool is_answer(const struct guest_stats *stats, const struct hv_stats *before)
{
	int64_t update_s = stats->latest.last_update_s;

	return update_s > 0 &&
	       (update_s != before->last_update_s || !is_report_same(&stats->latest, before));
}

void guest_stats_wait(struct guest_stats *stats, unsigned int ms)
{
	struct hv_stats before = stats->latest;
	int64_t deadline = hv_deadline_ms(ms);

	if (!stats->is_polled)
		return;
	do {
		poll(NULL, 0, POLL_MS);
		guest_stats_read(stats);
	} while (stats->known && !is_answer(stats, &before) && g_get_monotonic_time() < deadline);
}

bool guest_stats_have_changed(struct guest_stats *stats, const struct hv_stats *before,
			      unsigned int ms)
{
	int64_t deadline = hv_deadline_ms(ms);
	struct hv_stats last;

	guest_stats_read(stats);
	last = stats->latest;
	if (stats->restore_period_s >= 0 && set_polling_period(stats, 0))
		set_polling_period(stats, PERIOD_S);
	for (;;) {
		if (stats->known && !is_report_same(&stats->latest, before))
			return true;
		if ((stats->known && is_answer(stats, &last)) || g_get_monotonic_time() >= deadline)
			return false;
		poll(NULL, 0, POLL_MS);
		guest_stats_read(stats);
	}
}

void guest_stats_start(struct guest_stats *stats, hv_guest *guest, const hv_info *info,
		       bool keep_period, bool is_shrinking)
{
	*stats = (struct guest_stats){ .guest = guest, .info = info, .restore_period_s = -1 };
	guest_stats_read(stats);
	stats->before = stats->latest;
	if (keep_period)
		stats->is_polled = stats->known && stats->latest.period_s >= 0;
	else
		stats->is_polled = start_stats_polling(stats);
	if (info->driver == HV_DRIVER_ABSENT)
		return;
	if (!guest_stats_are_fresh(stats) || (is_shrinking && !keep_period))
		guest_stats_wait(stats, FRESH_MS);
}

void guest_stats_stop(struct guest_stats *stats)
{
	if (stats->restore_period_s >= 0 && stats->restore_period_s != PERIOD_S)
		set_polling_period(stats, stats->restore_period_s);
}

bool guest_stats_have_answered(const struct guest_stats *stats)
{
	return stats->known && is_answer(stats, &stats->before);
}

bool guest_stats_are_fresh(const struct guest_stats *stats)
{
	return stats->known && !hv_stats_stale(&stats->latest);
}

/* What the guest can make available: what it reports, or at least what is free. */
static uint64_t available_bytes(const struct guest_stats *stats)
{
	return estimate_available_bytes(stats->latest.value[HV_STAT_USABLE],
					stats->latest.value[HV_STAT_UNUSED]);
}

/* The part of @total that the guest cannot make available. */
static uint64_t unavailable_bytes(const struct guest_stats *stats, uint64_t total)
{
	uint64_t usable = available_bytes(stats);

	if (!guest_stats_are_fresh(stats) || usable == HV_UNSET || total == HV_UNSET ||
	    usable > total)
		return HV_UNSET;
	return total - usable;
}

/*
 * All values are from one sample, since the guest's size may have changed after it.  Where the
 * guest counts the balloon as its own memory (with deflate-on-OOM, or a driver that leaves the
 * guest's total as it is), its MemTotal does not show the balloon, and the size is used instead.
 */
uint64_t guest_stats_used_bytes(const struct guest_stats *stats)
{
	uint64_t total = stats->latest.value[HV_STAT_AVAILABLE];
	uint64_t actual = stats->latest.value[HV_STAT_ACTUAL];

	return unavailable_bytes(stats, stats->info->autodeflate > 0 ? actual : MIN(total, actual));
}

uint64_t guest_stats_least_bytes(const struct guest_stats *stats)
{
	uint64_t used = unavailable_bytes(stats, stats->latest.value[HV_STAT_ACTUAL]);

	return used == HV_UNSET ? HV_UNSET : used + headroom_bytes(stats->info->max_bytes);
}
