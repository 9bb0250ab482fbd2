/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host with its guests, under a trace, step by step.
 *
 * The clock starts at one step, not at 0, which stands for never in policy.h.  A guest's id is its
 * place in the trace and one.  After each step host and guests are balanced: memory is moved,
 * never created or lost (world_balanced()).
 */
#ifndef AEROSTAT_SIM_WORLD_H
#define AEROSTAT_SIM_WORLD_H

#include "policy/policy.h"
#include "simulator/host.h"

/* A trigger that the kernel would fire: stalls of this much since the last look. */
#define WORLD_CRITICAL_US 150000

struct sim_world {
	const struct trace *trace;
	uint32_t step; /* the next one */
	int64_t now_us;
	struct sim_host host;
	struct sim_guest *guests;
	struct sim_slot *slots;
};

/* False when out of memory; world_clear() in any case. */
bool world_init(struct sim_world *world, const struct trace *trace);
void world_clear(struct sim_world *world);

void world_step(struct sim_world *world);
bool world_balanced(const struct sim_world *world);

/* What a policy is shown; @guests has room for all.  The host's trigger is armed anew. */
void world_observe(struct sim_world *world, struct policy_host *host, struct policy_guest *guests);

#endif
