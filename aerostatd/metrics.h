/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's numbers for Prometheus. */
#ifndef AEROSTATD_METRICS_H
#define AEROSTATD_METRICS_H

#include "aerostatd/manager.h"

/* All metrics in the text format 0.0.4, to be freed.  In the thread of the manager only. */
char *metrics_text(const struct manager_status *status);

#endif
