/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: QEMU asks the guest for statistics at once when their
 * polling is switched on, so switching it off and on yields a sample of now in
 * some milliseconds.  Polling then goes on every second until vitals_end().
 */
#include "aerostat/vitals.h"

#include "aerostat/cli.h"

#include <poll.h>

#include "common/size.h"

#define PERIOD_S 1
#define FRESH_MS 1500
#define POLL_MS 10

static bool set_period(const struct vitals *vitals, int period_s)
{
	return hv_guest_stats_period_set(vitals->guest, hv_deadline_ms(CALL_MS), period_s,
					 HV_SCOPE_LIVE, NULL);
}

void vitals_read(struct vitals *vitals)
{
	vitals->known =
		hv_guest_stats_get(vitals->guest, hv_deadline_ms(CALL_MS), &vitals->stats, NULL);
}

static bool switch_on(struct vitals *vitals)
{
	if (!vitals->known || vitals->stats.period_s < 0)
		return false;
	vitals->restore_period_s = vitals->stats.period_s;
	return (!vitals->stats.period_s || set_period(vitals, 0)) && set_period(vitals, PERIOD_S);
}

void vitals_start(struct vitals *vitals, hv_guest *guest, const hv_info *info)
{
	int64_t since_s = g_get_real_time() / G_USEC_PER_SEC;
	int64_t deadline = hv_deadline_ms(FRESH_MS);

	*vitals = (struct vitals){ .guest = guest, .info = info, .restore_period_s = -1 };
	vitals_read(vitals);
	if (!switch_on(vitals) || info->driver == HV_DRIVER_ABSENT)
		return;
	/* Samples are dated in seconds: one of this second may be from before. */
	since_s = MAX(since_s, vitals->stats.last_update_s + 1);
	do {
		poll(NULL, 0, POLL_MS);
		vitals_read(vitals);
	} while (vitals->known && vitals->stats.last_update_s < since_s &&
		 g_get_monotonic_time() < deadline);
}

void vitals_end(struct vitals *vitals)
{
	if (vitals->restore_period_s >= 0 && vitals->restore_period_s != PERIOD_S)
		set_period(vitals, vitals->restore_period_s);
}

bool vitals_fresh(const struct vitals *vitals)
{
	return vitals->known && !hv_stats_stale(&vitals->stats);
}

/* @total less what is usable of it. */
static uint64_t unusable(const struct vitals *vitals, uint64_t total)
{
	uint64_t usable = vitals->stats.value[HV_STAT_USABLE];

	if (!vitals_fresh(vitals) || usable == HV_UNSET || total == HV_UNSET || usable > total)
		return HV_UNSET;
	return total - usable;
}

/*
 * All from one sample: the size known now may not be that of the sample's
 * time.  Where the driver deflates on OOM the guest counts its balloon as
 * memory, so its own total says nothing and the size has to do.
 */
uint64_t vitals_need(const struct vitals *vitals)
{
	bool deflates = vitals->info->autodeflate > 0;

	return unusable(vitals, vitals->stats.value[deflates ? HV_STAT_ACTUAL : HV_STAT_AVAILABLE]);
}

uint64_t vitals_least(const struct vitals *vitals)
{
	uint64_t used = unusable(vitals, vitals->stats.value[HV_STAT_ACTUAL]);

	return used == HV_UNSET ? HV_UNSET : used + vitals_air(vitals->info);
}

uint64_t vitals_air(const hv_info *info)
{
	return MAX(64 * SIZE_MIB, info->max_bytes * 3 / 100);
}
