/* SPDX-License-Identifier: BSD-3-Clause */
/* How a trace is made: guests are drawn, a shape fills in their loads, and a host is sized to fit.
 */
#include "simulator/trace.h"

#include <stdlib.h>
#include <string.h>

#include "policy/floor.h"
#include "simulator/random.h"

#define KIB UINT64_C(1024)
#define MIB (KIB << 10)
#define GIB (MIB << 10)

/* The host is sized for needs this far ahead, because memory takes time to move. */
#define AHEAD_STEPS 50

static uint64_t bytes_to_kib(uint64_t bytes)
{
	return bytes / KIB;
}

uint64_t trace_watermark(const struct trace_guest *guest)
{
	uint64_t bytes = guest->boot_bytes / 64;

	return bytes < 48 * MIB ? bytes : 48 * MIB;
}

bool trace_runs(const struct trace_guest *guest, uint32_t step)
{
	return step >= guest->first_step && step < guest->end_step;
}

uint64_t trace_need(const struct trace_guest *guest, uint32_t step)
{
	const struct trace_load *load = &guest->loads[step];
	uint64_t need = guest->kernel_bytes + 2 * trace_watermark(guest);

	if (!trace_runs(guest, step))
		return 0;
	need += KIB * ((uint64_t)load->hot_kib + load->cold_kib + load->file_kib);
	return need < guest->boot_bytes ? need : guest->boot_bytes;
}

/* Draws a guest's size, speeds and configuration. */
static void draw_guest(struct trace_guest *guest, struct sim_random *random, bool wide)
{
	static const uint64_t sizes[] = { GIB, 2 * GIB, 2 * GIB, 4 * GIB, 4 * GIB, 8 * GIB };
	static const uint64_t wide_sizes[] = { GIB / 2, GIB,	  2 * GIB,  4 * GIB,
					       8 * GIB, 16 * GIB, 32 * GIB, 64 * GIB };
	static const double weights[] = { 1, 1, 1, 2, 4 };
	static const enum trace_swap swaps[] = { TRACE_SWAP_NONE, TRACE_SWAP_NONE, TRACE_SWAP_ZRAM,
						 TRACE_SWAP_DISK, TRACE_SWAP_DISK };

	guest->boot_bytes =
		wide ? wide_sizes[sim_random_pick(random, 8)] : sizes[sim_random_pick(random, 6)];
	guest->kernel_bytes = 48 * MIB + guest->boot_bytes / 40;
	guest->weight = weights[sim_random_pick(random, 5)];
	guest->swap = swaps[sim_random_pick(random, 5)];
	guest->swap_bytes = guest->swap == TRACE_SWAP_NONE ? 0 : guest->boot_bytes / 2;
	guest->abilities = sim_random_chance(random, 0.5) ? POLICY_CAN_RELIEVE : 0;
	guest->own_driver = sim_random_chance(random, 0.5);
	guest->inflate_bytes_s = (uint64_t)sim_random_between(random, 200, 1500) * MIB;
	guest->deflate_bytes_s = (uint64_t)sim_random_between(random, 500, 3000) * MIB;
	guest->late_us = (int64_t)sim_random_between(random, 20000, 400000);
	guest->period_us = sim_random_chance(random, 0.8) ? 1000000 : 2000000;
}

/* A third of the guests start late, and a third stop early; never the first, which is always there.
 */
static void draw_life(struct trace *trace, uint32_t index, struct sim_random *random)
{
	struct trace_guest *guest = &trace->guests[index];
	bool late = sim_random_chance(random, 1.0 / 3), early = sim_random_chance(random, 1.0 / 3);
	double first = sim_random_between(random, 0.05, 0.5);
	double end = sim_random_between(random, 0.6, 0.95);

	if (index && late)
		guest->first_step = (uint32_t)(first * trace->steps);
	if (index && early)
		guest->end_step = (uint32_t)(end * trace->steps);
}

static void draw_host_swap(struct trace *trace, struct sim_random *random)
{
	trace->host_swap = (enum trace_swap)sim_random_pick(random, TRACE_SWAP_DISK + 1);
	trace->host_swap_bytes = trace->host_swap == TRACE_SWAP_NONE ? 0 : trace->host_bytes / 8;
}

/* Cuts the load to the guest's RAM at boot, except for a guest that leaks. */
static void fit_loads(const struct trace *trace, struct trace_guest *guest)
{
	uint64_t most = bytes_to_kib(guest->boot_bytes / 100 * 92 - guest->kernel_bytes);
	uint64_t rest;

	most -= bytes_to_kib(2 * trace_watermark(guest));
	for (uint32_t step = 0; step < trace->steps && !guest->leaks; step++) {
		struct trace_load *load = &guest->loads[step];

		rest = (uint64_t)load->cold_kib + load->file_kib;
		if (rest + load->hot_kib > most)
			load->hot_kib = rest < most ? (uint32_t)(most - rest) : 0;
	}
}

static void measure_bursts(struct trace *trace)
{
	for (uint32_t i = 0; i < trace->burst_count; i++) {
		struct trace_burst *burst = &trace->bursts[i];
		const struct trace_guest *guest = &trace->guests[burst->guest];
		uint64_t need;

		for (uint32_t step = burst->first; step <= burst->last; step++) {
			need = trace_need(guest, step);
			if (need > burst->need_bytes)
				burst->need_bytes = need;
		}
	}
}

static uint64_t need_ahead(const struct trace *trace, const struct trace_guest *guest,
			   uint32_t step)
{
	uint64_t most = 0, need;

	for (uint32_t i = step; i < trace->steps && i < step + AHEAD_STEPS;
	     i += SIM_STEPS_PER_SECOND / 2) {
		need = trace_need(guest, i);
		most = need > most ? need : most;
	}
	return most;
}

/* The highest total need of all guests. */
static uint64_t peak_need_bytes(const struct trace *trace)
{
	uint64_t peak = 0, sum;

	for (uint32_t step = 0; step < trace->steps; step += SIM_STEPS_PER_SECOND / 2) {
		sum = 0;
		for (uint32_t i = 0; i < trace->count; i++)
			sum += need_ahead(trace, &trace->guests[i], step);
		peak = sum > peak ? sum : peak;
	}
	return peak;
}

/* The host's RAM that leaves @budget beside @other and a reserve of max(5 %, 1 GiB). */
static uint64_t host_size_for(uint64_t budget, uint64_t other)
{
	uint64_t bytes = budget + other + GIB;

	if (bytes > 20 * GIB)
		return (budget + other) / 95 * 100;
	return bytes > 8 * GIB ? bytes : (budget + other) / 7 * 8;
}

static void fit_host(struct trace *trace, struct sim_random *random, double slack)
{
	uint64_t boot = 0, least = 0, other = 0;
	double peak = (double)peak_need_bytes(trace);
	double budget = peak * sim_random_between(random, 0.95, 1.5);

	for (uint32_t i = 0; i < trace->count; i++) {
		boot += trace->guests[i].boot_bytes;
		least += floor_bytes(trace->guests[i].boot_bytes);
	}
	if (budget > 0.9 * (double)boot)
		budget = 0.9 * (double)boot;
	if (budget < 1.05 * (double)least)
		budget = 1.05 * (double)least;
	if (slack > 0)
		budget = peak * slack;
	trace->budget_bytes = (uint64_t)budget;
	for (uint32_t step = 0; step < trace->steps; step++)
		if (trace->other_kib[step] > other)
			other = trace->other_kib[step];
	trace->host_bytes = host_size_for(trace->budget_bytes, other * KIB);
	trace->host_swap = TRACE_SWAP_DISK;
	trace->host_swap_bytes = 2 * GIB;
}

/*
 * Each guest starts with what it needs, and the same part of the rest of its RAM at boot.  One that
 * starts late has just booted, with all of it.
 */
static void fit_starts(struct trace *trace)
{
	uint64_t need = 0, boot = 0, least;
	double part;

	for (uint32_t i = 0; i < trace->count; i++) {
		if (trace->guests[i].first_step)
			continue;
		need += need_ahead(trace, &trace->guests[i], 0);
		boot += trace->guests[i].boot_bytes;
	}
	part = trace->budget_bytes > need && boot > need
		       ? (double)(trace->budget_bytes - need) / (double)(boot - need)
		       : 0;
	for (uint32_t i = 0; i < trace->count; i++) {
		least = need_ahead(trace, &trace->guests[i], 0);
		boot = trace->guests[i].boot_bytes;
		trace->guests[i].start_bytes =
			least + (uint64_t)((part < 1 ? part : 1) * (double)(boot - least));
		if (trace->guests[i].first_step)
			trace->guests[i].start_bytes = boot;
	}
}

static bool allocate_trace(struct trace *trace)
{
	trace->guests = calloc(trace->count, sizeof(*trace->guests));
	trace->other_kib = calloc(trace->steps, sizeof(*trace->other_kib));
	trace->burst_room = trace->count * (trace->steps / SIM_STEPS_PER_SECOND / 4 + 2);
	trace->bursts = calloc(trace->burst_room, sizeof(*trace->bursts));
	if (!trace->guests || !trace->other_kib || !trace->bursts)
		return false;
	for (uint32_t i = 0; i < trace->count; i++) {
		trace->guests[i].loads = calloc(trace->steps, sizeof(struct trace_load));
		if (!trace->guests[i].loads)
			return false;
	}
	return true;
}

static void draw_guests(struct trace *trace, struct sim_random *random, bool wide)
{
	for (uint32_t i = 0; i < trace->count; i++) {
		draw_guest(&trace->guests[i], random, wide);
		trace->guests[i].end_step = trace->steps;
		if (wide)
			draw_life(trace, i, random);
	}
}

struct trace *trace_new(const struct trace_plan *plan)
{
	struct sim_random random = { plan->seed };
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		return NULL;
	trace->shape = plan->shape->name;
	trace->seed = plan->seed;
	trace->count = plan->guests;
	trace->steps = plan->seconds * SIM_STEPS_PER_SECOND;
	if (!allocate_trace(trace)) {
		trace_free(trace);
		return NULL;
	}
	draw_guests(trace, &random, plan->wide);
	plan->shape->fill(trace, &random);
	for (uint32_t i = 0; i < trace->count; i++)
		fit_loads(trace, &trace->guests[i]);
	measure_bursts(trace);
	fit_host(trace, &random, plan->slack);
	if (plan->wide)
		draw_host_swap(trace, &random);
	fit_starts(trace);
	return trace;
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	for (uint32_t i = 0; trace->guests && i < trace->count; i++)
		free(trace->guests[i].loads);
	free(trace->guests);
	free(trace->other_kib);
	free(trace->bursts);
	free(trace);
}

const struct trace_shape *trace_shape_find(const char *name)
{
	for (const struct trace_shape *shape = trace_shapes; shape->name; shape++)
		if (!strcmp(shape->name, name))
			return shape;
	return NULL;
}
