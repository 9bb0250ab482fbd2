/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory limits above guests, in the answers of the API. */
#ifndef AEROSTATD_REPORT_LIMITS_H
#define AEROSTATD_REPORT_LIMITS_H

#include <jansson.h>

#include "aerostatd/manager.h"

/* The limits that leave their guests less than those may have, as an array. */
json_t *report_limits(const struct manager_status *status);

/* What all guests together may use, within the host's budget and within these limits. */
uint64_t report_usable_bytes(const struct manager_status *status);

#endif
