/* SPDX-License-Identifier: BSD-3-Clause */
/* The balloon's statistics over QMP (private to qmp*.c). */
#ifndef AEROSTAT_HYPERVISOR_QMP_STATS_H
#define AEROSTAT_HYPERVISOR_QMP_STATS_H

#include "hypervisor/hypervisor.h"

/* Implements hv_ops.stats_get. */
bool qmp_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
		   GError **error);

/* Implements hv_ops.stats_period_set. */
bool qmp_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			  unsigned int scope, GError **error);

#endif
