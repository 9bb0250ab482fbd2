/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The balloon's statistics over QMP are properties of the device.  QEMU polls
 * the guest for them, at a period that is a property too.
 */
#include "hypervisor/qmp_stats.h"

#include "hypervisor/qmp_guest.h"
#include "hypervisor/qmp_wire.h"
#include "hypervisor/vmm_process.h"

#include <limits.h>

static bool qmp_read_stats_period(struct qmp_guest *g, int64_t deadline, int *period_s,
				  GError **error)
{
	json_auto_t *answer =
		qmp_access_property(g, deadline, "guest-stats-polling-interval", NULL, error);
	uint64_t seconds;

	if (!answer)
		return false;
	if (!qmp_parse_u64(answer, &seconds) || seconds > INT_MAX)
		return qmp_fail_bad_answer("guest-stats-polling-interval", answer, error);
	*period_s = (int)seconds;
	return true;
}

static bool qmp_parse_stats(const json_t *answer, struct hv_stats *stats, GError **error)
{
	const json_t *values = json_object_get(answer, "stats");
	uint64_t last_update_s;

	if (!json_is_object(values) ||
	    !qmp_parse_u64(json_object_get(answer, "last-update"), &last_update_s))
		return qmp_fail_bad_answer("guest-stats", answer, error);
	stats->last_update_s = (int64_t)last_update_s;

	for (int i = 0; i < HV_STAT_COUNT; i++) {
		const char *name = hv_stat_table[i].qmp_name;
		const json_t *value = name ? json_object_get(values, name) : NULL;

		/* QEMU's 2^64 - 1 means that the guest did not send this one. */
		if (!value || json_real_value(value) >= 0x1p63)
			continue;
		if (!qmp_parse_u64(value, &stats->value[i]))
			return qmp_fail_bad_answer(name, value, error);
	}
	return true;
}

static bool qmp_read_stats(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	struct hv_stats *stats = arg;
	json_auto_t *answer = NULL;

	*stats = (struct hv_stats){ .period_s = -1 };
	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats->value[i] = HV_UNSET;
	if (!qmp_query_actual(g, deadline, &stats->value[HV_STAT_ACTUAL], error) ||
	    !qmp_read_stats_period(g, deadline, &stats->period_s, error))
		return false;
	answer = qmp_access_property(g, deadline, "guest-stats", NULL, error);
	if (!answer || !qmp_parse_stats(answer, stats, error))
		return false;
	stats->value[HV_STAT_RSS] = vmm_process_rss_bytes(qmp_guest_pid(g));
	stats->taken_s = g_get_real_time() / G_USEC_PER_SEC;
	return true;
}

static bool qmp_write_stats_period(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	json_auto_t *value = json_integer(*(const int *)arg);
	json_auto_t *answer =
		qmp_access_property(g, deadline, "guest-stats-polling-interval", value, error);

	return answer != NULL;
}

bool qmp_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats, GError **error)
{
	return qmp_run_session((struct qmp_guest *)guest, deadline, qmp_read_stats, stats, error);
}

bool qmp_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			  unsigned int scope, GError **error)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;

	if (qmp_refuse_config(g, scope, error))
		return false;
	if (period_s < 0) {
		g_set_error(
			error, HV_ERROR, HV_ERROR_INVALID,
			"%s: the statistics period of %d s is negative; use 0 for no statistics",
			guest->address, period_s);
		return false;
	}
	return qmp_run_session(g, deadline, qmp_write_stats_period, &period_s, error);
}
