/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory statistics as dommemstat and domstats print them. */
#ifndef AEROSTAT_STATS_OUTPUT_H
#define AEROSTAT_STATS_OUTPUT_H

#include "aerostat/cli.h"

/* The value of HV_STAT_* number @stat in virsh's unit: KiB, or the count itself. */
uint64_t stats_virsh_value(const struct hv_stats *stats, int stat);

/*
 * Adds every statistic that the guest has to @object, in bytes or as a count, and last_update
 * (seconds since 1970), age_s, stale and period_s.
 */
void stats_add_json(const struct hv_stats *stats, json_t *object);

#endif
