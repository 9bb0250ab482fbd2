/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: a policy that knows the trace.
 *
 * Theory of operation
 * -------------------
 * It gives each guest the least with which it neither stalls nor swaps: the most that the guest
 * needs from now until memory requested in the next step could have arrived.  That is the sum of
 * the driver's delay, its time to move the guest's whole RAM, and two periods of the policy.  If
 * that exceeds the budget, each guest gets its floor and the same part of its need beyond.
 *
 * It is a yardstick for policies that know only the past, and not the best possible plan: it does
 * not choose which guests swap, and does not learn from kills.
 *
 * It has the interface of a policy.  If it is created through policy_oracle it has no trace, and
 * changes nothing.
 */
#ifndef AEROSTAT_SIM_ORACLE_H
#define AEROSTAT_SIM_ORACLE_H

#include "policy/policy.h"
#include "simulator/trace.h"

/* The oracle as a policy. */
extern const struct policy_ops policy_oracle;

/* A state that knows @trace, which must outlive it; NULL when out of memory. */
struct policy_state *oracle_create(const struct trace *trace);

#endif
