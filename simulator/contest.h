/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One policy against one trace.
 *
 * The policy is asked once a second, when its own again_us has come, and when the host's pressure
 * trigger fires; what it decides is set at once.  The oracle is given the trace.
 */
#ifndef AEROSTAT_SIM_CONTEST_H
#define AEROSTAT_SIM_CONTEST_H

#include "simulator/score.h"

/* What there was to decide on and what was decided, each time that the policy was asked. */
struct contest_view {
	const struct sim_world *world;
	const struct policy_host *host;
	const struct policy_guest *guests;
	size_t count;
	const struct policy_decision *decisions;
};

struct contest_watch {
	void (*decided)(void *data, const struct contest_view *view);
	void *data;
};

/* Settings of a host that nobody configured. */
extern const struct policy_settings contest_settings;

/* Adds to @score.  @watch may be NULL.  Returns 0 or -ENOMEM. */
int contest_run(const struct trace *trace, const struct policy_ops *policy, struct score *score,
		const struct contest_watch *watch);

/*
 * The policies that can be simulated: those of policy_table, and the oracle at the end.
 * NULL behind the last.
 */
const struct policy_ops *contest_policy(size_t i);
const struct policy_ops *contest_find(const char *name);

#endif
