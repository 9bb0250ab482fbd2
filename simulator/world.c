/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/world.h"

#include <stdlib.h>

#include "simulator/relief.h"

#define MIN_CHANGE (INT64_C(1) << 20)

static void start_and_stop_guests(struct sim_world *world)
{
	for (uint32_t i = 0; i < world->trace->count; i++) {
		struct sim_guest *guest = &world->guests[i];
		bool runs = trace_runs(guest->traits, world->step);

		if (guest->running && !runs)
			sim_guest_stop(guest);
		/* Guests report their statistics at different times. */
		if (!guest->running && runs)
			sim_guest_start(guest, world->step,
					world->step * SIM_STEP_US +
						(int64_t)i * 170000 % guest->traits->period_us);
	}
}

bool world_init(struct sim_world *world, const struct trace *trace)
{
	*world = (struct sim_world){
		.trace = trace,
		.now_us = SIM_STEP_US,
		.guests = calloc(trace->count, sizeof(*world->guests)),
		.slots = calloc(trace->count, sizeof(*world->slots)),
		.seen = calloc(trace->count, sizeof(*world->seen)),
	};
	if (!world->guests || !world->slots || !world->seen)
		return false;
	for (uint32_t i = 0; i < trace->count; i++)
		sim_guest_init(&world->guests[i], &trace->guests[i]);
	start_and_stop_guests(world);
	sim_host_init(&world->host, world->guests, world->slots, trace);
	return true;
}

void world_clear(struct sim_world *world)
{
	free(world->guests);
	free(world->slots);
	free(world->seen);
}

void world_step(struct sim_world *world)
{
	world->now_us += SIM_STEP_US;
	start_and_stop_guests(world);
	for (uint32_t i = 0; i < world->trace->count; i++)
		sim_guest_step(&world->guests[i], world->step, world->now_us);
	sim_host_step(&world->host, world->guests, world->slots, world->trace, world->step,
		      world->now_us);
	world->step++;
}

bool world_balanced(const struct sim_world *world)
{
	for (uint32_t i = 0; i < world->trace->count; i++)
		if (!sim_guest_balanced(&world->guests[i]))
			return false;
	return sim_host_balanced(&world->host, world->guests, world->slots, world->trace->count);
}

static void observe_statistics(const struct sim_guest *guest, struct policy_guest *seen)
{
	const struct sim_statistics *told = &guest->told;
	const struct sim_counters *counters = &told->counters;
	bool own = guest->traits->own_driver;

	seen->taken_us = told->taken_us;
	seen->actual_then_bytes = told->actual_bytes;
	seen->available_bytes = told->available_bytes;
	seen->free_bytes = told->free_bytes;
	seen->total_bytes = told->total_bytes;
	seen->cache_bytes = told->cache_bytes;
	seen->swap_in_bytes = counters->swap_in_bytes;
	seen->swap_out_bytes = counters->swap_out_bytes;
	seen->major_faults = counters->major_faults;
	seen->oom_kills = counters->oom_kills;
	seen->alloc_stalls = counters->alloc_stalls;
	seen->direct_scan_bytes = counters->scan_bytes;
	seen->psi_some_us = own ? counters->some_us : POLICY_UNSET;
	seen->psi_full_us = own ? counters->full_us : POLICY_UNSET;
	seen->refault_bytes = own ? counters->refault_bytes : POLICY_UNSET;
}

/* Before the first report, no statistics are known. */
static void observe_nothing(struct policy_guest *seen)
{
	seen->taken_us = 0;
	seen->actual_then_bytes = seen->available_bytes = seen->free_bytes = POLICY_UNSET;
	seen->total_bytes = seen->cache_bytes = seen->swap_in_bytes = POLICY_UNSET;
	seen->swap_out_bytes = seen->major_faults = seen->oom_kills = POLICY_UNSET;
	seen->alloc_stalls = seen->direct_scan_bytes = POLICY_UNSET;
	seen->psi_some_us = seen->psi_full_us = seen->refault_bytes = POLICY_UNSET;
}

static void observe_guest(const struct sim_world *world, uint32_t i, struct policy_guest *seen)
{
	const struct sim_guest *guest = &world->guests[i];

	*seen = (struct policy_guest){
		.id = i + 1,
		.rules = { .mode = POLICY_AUTO,
			   .min_bytes = POLICY_UNSET,
			   .max_bytes = POLICY_UNSET,
			   .weight = guest->traits->weight },
		.abilities = guest->traits->abilities,
		.boot_bytes = guest->traits->boot_bytes,
		.actual_bytes = (uint64_t)sim_guest_actual(guest),
		.target_bytes = (uint64_t)guest->next_target,
		.resident_bytes = (uint64_t)(sim_guest_resident(guest) - world->slots[i].out),
		.ram_bytes = (uint64_t)(sim_guest_resident(guest) - world->slots[i].out),
		.stall = world->slots[i].stall,
		.reachable = true,
		.has_driver = true,
		.period_us = guest->traits->period_us,
		.pulled_bytes = guest->counters.pulled_bytes,
	};
	if (guest->told.taken_us)
		observe_statistics(guest, seen);
	else
		observe_nothing(seen);
}

/* Grows whenever a device reports a pull: memory that was taken back, or that waits at the gate. */
static uint64_t count_pull_reports(const struct sim_world *world)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < world->trace->count; i++)
		sum += world->guests[i].counters.pulled_bytes +
		       world->guests[i].counters.gate_waits;
	return sum;
}

bool world_is_urgent(const struct sim_world *world)
{
	return world->host.recent_us >= WORLD_CRITICAL_US ||
	       count_pull_reports(world) > world->pull_reports;
}

uint32_t world_observe(struct sim_world *world, struct policy_host *host,
		       struct policy_guest *guests)
{
	struct sim_host *own = &world->host;

	*host = (struct policy_host){
		.now_us = world->now_us,
		.total_bytes = (uint64_t)own->total,
		.available_bytes = (uint64_t)(own->free + own->cache),
		.free_bytes = (uint64_t)own->free,
		.cache_bytes = (uint64_t)own->cache,
		.swap_used_bytes = (uint64_t)own->swap_used,
		.pressure = own->pressure,
		.critical = own->recent_us >= WORLD_CRITICAL_US,
	};
	own->recent_us = 0;
	world->pull_reports = count_pull_reports(world);
	world->seen_count = 0;
	for (uint32_t i = 0; i < world->trace->count; i++) {
		if (!world->guests[i].running)
			continue;
		observe_guest(world, i, &guests[world->seen_count]);
		world->seen[world->seen_count++] = i;
	}
	return world->seen_count;
}

uint32_t world_apply(struct sim_world *world, const struct policy_decision *decisions)
{
	uint32_t changes = 0;

	for (uint32_t i = 0; i < world->seen_count; i++) {
		struct sim_guest *guest = &world->guests[world->seen[i]];
		int64_t change = (int64_t)decisions[i].target_bytes - guest->next_target;

		changes += change >= MIN_CHANGE || change <= -MIN_CHANGE;
		sim_guest_set_target(guest, decisions[i].target_bytes, world->now_us);
		relief_set_gate(guest, decisions[i].credit_bytes, decisions[i].ceiling_bytes,
				world->now_us);
		if (decisions[i].trim_bytes)
			sim_guest_trim(guest, decisions[i].trim_bytes);
	}
	return changes;
}
