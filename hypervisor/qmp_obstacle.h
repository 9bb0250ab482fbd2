/* SPDX-License-Identifier: BSD-3-Clause */
/* What prevents ballooning, asked over QMP (private to qmp*.c). */
#ifndef AEROSTAT_HYPERVISOR_QMP_OBSTACLE_H
#define AEROSTAT_HYPERVISOR_QMP_OBSTACLE_H

#include "hypervisor/hypervisor.h"

/* Implements hv_ops.obstacle. */
bool qmp_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		  GError **error);

#endif
