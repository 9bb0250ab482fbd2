/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/put_back.h"

#include <poll.h>

#include "common/size.h"

#define POLL_MS 20
#define CLOSE_BYTES (4 * SIZE_MIB) /* drivers may work in huge pages */

/* The least it may be set to: what it uses, and air (as aerostat/vitals.c has it). */
static bool read_least(hv_guest *reached, int64_t deadline, const struct hv_info *info,
		       uint64_t *least_bytes, GError **error)
{
	struct hv_stats stats;
	uint64_t actual, usable;

	if (!hv_guest_stats_get(reached, deadline, &stats, error))
		return false;
	actual = stats.value[HV_STAT_ACTUAL];
	usable = stats.value[HV_STAT_USABLE];
	if (hv_stats_stale(&stats) || actual == HV_UNSET || usable > actual) {
		g_set_error(error, HV_ERROR, HV_ERROR_FAILED,
			    "it does not say what it can spare, so nothing is taken");
		return false;
	}
	*least_bytes = actual - usable + MAX(64 * SIZE_MIB, info->max_bytes * 3 / 100);
	*least_bytes = (*least_bytes + SIZE_MIB - 1) / SIZE_MIB * SIZE_MIB;
	return true;
}

/* What the guest is to have: its size from before, or more if it was given more and needs it. */
static bool choose_target(hv_guest *reached, int64_t deadline, const struct hv_info *info,
			  uint64_t before_bytes, uint64_t *target_bytes, GError **error)
{
	uint64_t least_bytes;

	*target_bytes = before_bytes;
	if (info->actual_bytes == HV_UNSET || before_bytes >= info->actual_bytes)
		return true;
	if (!read_least(reached, deadline, info, &least_bytes, error))
		return false;
	*target_bytes = CLAMP(least_bytes, before_bytes, info->actual_bytes);
	return true;
}

/* Sets @target_bytes and waits until the guest has it. */
static bool set_size(hv_guest *reached, int64_t deadline, const struct hv_info *info,
		     uint64_t target_bytes, GError **error)
{
	bool up = target_bytes >= info->actual_bytes;
	g_autofree char *text = NULL;
	uint64_t actual_bytes;

	if (!hv_guest_balloon_set(reached, deadline, target_bytes, HV_SCOPE_LIVE, error))
		return false;
	for (;;) {
		if (!hv_guest_balloon_get(reached, deadline, &actual_bytes, error))
			return false;
		if (up ? actual_bytes + CLOSE_BYTES >= target_bytes
		       : actual_bytes <= target_bytes + CLOSE_BYTES)
			return true;
		if (hv_deadline_ms(POLL_MS) >= deadline)
			break;
		poll(NULL, 0, POLL_MS);
	}
	text = size_format(actual_bytes);
	g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "it was asked, and has %s so far", text);
	return false;
}

static bool keeps_more(uint64_t before_bytes, uint64_t target_bytes, GError **error)
{
	g_autofree char *text = size_format(target_bytes);

	if (target_bytes == before_bytes)
		return false;
	g_set_error(error, HV_ERROR, HV_ERROR_REFUSED, "it needs %s now, and keeps that", text);
	return true;
}

bool put_back_guest(hv_guest *reached, int64_t deadline, const struct hv_info *info,
		    uint64_t before_bytes, int before_period_s, GError **error)
{
	g_autoptr(GError) failed = NULL;
	uint64_t target_bytes;
	bool chosen = choose_target(reached, deadline, info, before_bytes, &target_bytes, error);

	/* Before the wait for its size, which may take all the time there is. */
	if (before_period_s >= 0)
		hv_guest_stats_period_set(reached, deadline, before_period_s, HV_SCOPE_LIVE,
					  &failed);
	if (!chosen || !set_size(reached, deadline, info, target_bytes, error) ||
	    keeps_more(before_bytes, target_bytes, error))
		return false;
	if (!failed)
		return true;
	g_propagate_prefixed_error(error, g_steal_pointer(&failed),
				   "its size is, its period of statistics is not: ");
	return false;
}
