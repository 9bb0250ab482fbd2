/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host and its guests while a trace runs, step by step.
 *
 * The clock starts at one step, because 0 means "never" in policy.h.  A guest's id is its index in
 * the trace plus 1.  A policy sees only the guests that run.  After each step memory has moved, but
 * none is created or lost (world_balanced()).
 */
#ifndef AEROSTAT_SIM_WORLD_H
#define AEROSTAT_SIM_WORLD_H

#include "policy/policy.h"
#include "simulator/host.h"

/* The host is critical after stalls of this much since the last world_observe(), as by a PSI
 * trigger. */
#define WORLD_CRITICAL_US 150000

struct sim_world {
	const struct trace *trace;
	uint32_t step; /* the next one */
	int64_t now_us;
	struct sim_host host;
	struct sim_guest *guests;
	struct sim_slot *slots;
	uint32_t *seen; /* the guests of the last world_observe(), by their index in the trace */
	uint32_t seen_count;
	uint64_t pull_reports; /* of all guests' devices, up to that time */
};

/*
 * The world at the start of @trace, which must outlive it.  Returns false when out of memory; call
 * world_clear() in any case.
 */
bool world_init(struct sim_world *world, const struct trace *trace);

/* Frees what world_init() allocated. */
void world_clear(struct sim_world *world);

/* Lets 100 ms pass. */
void world_step(struct sim_world *world);

/* An invariant for tests: no memory was created or lost, on the host or in a guest. */
bool world_balanced(const struct sim_world *world);

/*
 * The input of a policy: fills in one entry of @guests, and of world->seen, for each guest that
 * runs, and returns their number.  Re-arms the host's trigger.
 */
uint32_t world_observe(struct sim_world *world, struct policy_host *host,
		       struct policy_guest *guests);

/*
 * Carries out the decisions about the guests of the last world_observe().  Returns how many targets
 * were set that differ from the last one by 1 MiB or more.
 */
uint32_t world_apply(struct sim_world *world, const struct policy_decision *decisions);

/* Whether the host must look at once: its trigger fired, or a guest took memory back by itself. */
bool world_is_urgent(const struct sim_world *world);

#endif
