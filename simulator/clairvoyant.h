/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clairvoyant: a policy that knows the trace.
 *
 * Theory of operation
 * -------------------
 * It gives each guest the least with which it neither stalls nor swaps: the most that the guest
 * needs from now until memory requested in the next step could have arrived.  That is the sum of
 * the driver's delay, its time to move the guest's whole RAM, and two periods of the policy.  If
 * that exceeds the budget, each guest gets its floor and the same part of its need beyond.
 *
 * It is a yardstick for policies that know only the past, and no bound: it plans sizes only, with a
 * budget that counts sizes, and does not choose which guests swap, learn from kills, trim, or use
 * what guests do by themselves.
 *
 * It has the interface of a policy.  If it is created through policy_clairvoyant it has no trace,
 * and changes nothing.
 */
#ifndef AEROSTAT_SIM_CLAIRVOYANT_H
#define AEROSTAT_SIM_CLAIRVOYANT_H

#include "policy/policy.h"
#include "simulator/trace.h"

/* The clairvoyant policy as a policy. */
extern const struct policy_ops policy_clairvoyant;

/* A state that knows @trace, which must outlive it; NULL when out of memory. */
struct policy_state *clairvoyant_create(const struct trace *trace);

#endif
