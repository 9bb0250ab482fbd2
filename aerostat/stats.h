/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics as dommemstat and domstats show them. */
#ifndef AEROSTAT_CLI_STATS_H
#define AEROSTAT_CLI_STATS_H

#include "aerostat/cli.h"

/* virsh's unit: KiB, or the count itself. */
uint64_t stat_for_virsh(const struct hv_stats *stats, int stat);

/* Adds every known statistic (bytes or counts), last_update, age_s, stale, period_s. */
void stats_to_json(const struct hv_stats *stats, json_t *object);

#endif
