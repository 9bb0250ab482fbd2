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

/*
 * report_reserve_bytes - what the host has in reserve for all guests: nobody has it yet
 *
 * The pool, and what is left of the budget.  POLICY_UNSET if the budget is not known.
 */
uint64_t report_reserve_bytes(const struct manager_status *status);

/*
 * report_decision_limit - name the limit that a decision is for, whose path the policy does not
 * know
 * @guest: the one that is decided about; its limit_path is set
 * @decision: its text is completed
 */
void report_decision_limit(const struct cgroups *cgroups, struct managed *guest,
			   struct policy_decision *decision);

#endif
