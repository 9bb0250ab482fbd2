/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/stats_output.h"

#include "common/size.h"

uint64_t stats_virsh_value(const struct hv_stats *stats, int stat)
{
	return hv_stat_table[stat].is_count ? stats->value[stat] : stats->value[stat] / SIZE_KIB;
}

void stats_add_json(const struct hv_stats *stats, json_t *object)
{
	int64_t age = hv_stats_age_s(stats);

	for (int i = 0; i < HV_STAT_COUNT; i++)
		if (stats->value[i] != HV_UNSET)
			json_object_set_new(object, hv_stat_table[i].name,
					    json_integer((json_int_t)stats->value[i]));
	json_object_set_new(object, "last_update", json_integer(stats->last_update_s));
	json_object_set_new(object, "age_s", age < 0 ? json_null() : json_integer(age));
	json_object_set_new(object, "stale", json_boolean(hv_stats_stale(stats)));
	json_object_set_new(object, "period_s",
			    stats->period_s < 0 ? json_null() : json_integer(stats->period_s));
}
