/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One policy against one trace.
 *
 * A step of the policy runs once per second, at its own again_us, and when the host's pressure
 * trigger fires or a guest takes memory back by itself.  Its decisions are set at once.  The
 * clairvoyant policy gets the trace.
 */
#ifndef AEROSTAT_SIM_CONTEST_H
#define AEROSTAT_SIM_CONTEST_H

#include "simulator/score.h"

/* The input and the decisions of a step of the policy, in the order of world->seen. */
struct contest_view {
	const struct sim_world *world;
	const struct policy_host *host;
	const struct policy_guest *guests;
	size_t count;
	const struct policy_decision *decisions;
};

/* Called after each step of the policy; the view is valid during the call. */
struct contest_watch {
	void (*decided)(void *data, const struct contest_view *view);
	void *data;
};

/* The settings of a host without configuration. */
extern const struct policy_settings contest_settings;

/* Runs a policy on a trace and adds to @score; @watch may be NULL.  Returns 0 or -ENOMEM. */
int contest_run(const struct trace *trace, const struct policy_ops *policy, struct score *score,
		const struct contest_watch *watch);

/* The i-th policy that can be simulated: policy_table's, then the clairvoyant policy, then NULL. */
const struct policy_ops *contest_policy(size_t i);

/* The policy of this name that can be simulated, or NULL. */
const struct policy_ops *contest_find(const char *name);

#endif
