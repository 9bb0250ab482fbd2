/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: a policy that has read the trace.
 *
 * Theory of operation
 * -------------------
 * It gives every guest the least with which it neither stalls nor swaps: the most that it needs
 * from now until memory that is asked for at the next step could have come, which is the driver's
 * lateness, its time to move what the guest was booted with, and a period of the policy.  When
 * that is more than the budget, each gets its floor and the same part of what it needs beyond.  It
 * is a bound for what a policy that sees the past can do, not the best plan there is: it does not
 * choose whom to swap, and does not learn from kills.
 *
 * It stands behind the same interface.  Made by its ops alone it has no trace, and changes nothing.
 */
#ifndef AEROSTAT_SIM_ORACLE_H
#define AEROSTAT_SIM_ORACLE_H

#include "policy/policy.h"
#include "simulator/trace.h"

extern const struct policy_ops policy_oracle;

/* NULL when out of memory. */
struct policy_state *oracle_create(const struct trace *trace);

#endif
