/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/clairvoyant.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/floor.h"

#define MIB (UINT64_C(1) << 20)
#define PERIOD_US INT64_C(1000000)

struct policy_state {
	const struct trace *trace;
};

struct policy_state *clairvoyant_create(const struct trace *trace)
{
	struct policy_state *state = calloc(1, sizeof(*state));

	if (state)
		state->trace = trace;
	return state;
}

static struct policy_state *clairvoyant_create_unused(const struct policy_settings *settings)
{
	(void)settings;
	return clairvoyant_create(NULL);
}

static void clairvoyant_destroy(struct policy_state *state)
{
	free(state);
}

static void clairvoyant_configure(struct policy_state *state,
				  const struct policy_settings *settings)
{
	(void)state;
	(void)settings;
}

/* Those that do not run have no entry in a policy's input, so its order is not the trace's. */
static const struct trace_guest *traits_of(const struct trace *trace,
					   const struct policy_guest *guest)
{
	return &trace->guests[guest->id - 1];
}

static bool clairvoyant_moves_guest(const struct trace *trace, const struct policy_guest *guest,
				    uint32_t step)
{
	const struct trace_guest *traits = traits_of(trace, guest);

	return traits->fault != TRACE_DEAD_DRIVER || step < traits->fault_step;
}

/* Before its driver hangs, a guest must get all that it will ever need. */
static uint32_t steps_ahead(const struct trace *trace, const struct trace_guest *guest)
{
	int64_t us = guest->late_us + 2 * PERIOD_US;

	if (guest->fault == TRACE_DEAD_DRIVER)
		return trace->steps;
	us += (int64_t)(1e6 * (double)guest->boot_bytes / (double)guest->deflate_bytes_s);
	return (uint32_t)(us / SIM_STEP_US);
}

static uint64_t clairvoyant_need_ahead(const struct trace *trace, const struct trace_guest *guest,
				       uint32_t step)
{
	uint32_t ahead = steps_ahead(trace, guest);
	uint64_t most = 0, need;

	for (uint32_t i = step; i < trace->steps && i <= step + ahead; i++) {
		need = trace_need(guest, i);
		most = need > most ? need : most;
	}
	return most + 8 * MIB < guest->boot_bytes ? most + 8 * MIB : guest->boot_bytes;
}

/* The part of all need above the floors that the budget covers, 0…1. */
static double clairvoyant_part(const struct trace *trace, const struct policy_guest *guests,
			       size_t count, const struct policy_decision *decisions, uint32_t step)
{
	double rest = (double)trace->budget_bytes, needs = 0, floors = 0;

	for (size_t i = 0; i < count; i++) {
		if (!clairvoyant_moves_guest(trace, &guests[i], step)) {
			rest -= (double)guests[i].actual_bytes;
			continue;
		}
		needs += (double)decisions[i].need_bytes;
		floors += (double)decisions[i].floor_bytes;
	}
	if (rest >= needs)
		return 1;
	return rest > floors && needs > floors ? (rest - floors) / (needs - floors) : 0;
}

static void foresee_needs(const struct trace *trace, const struct policy_guest *guest,
			  uint32_t step, struct policy_decision *decision)
{
	const struct trace_guest *traits = traits_of(trace, guest);
	uint64_t floor = floor_bytes(guest->boot_bytes);
	uint64_t need = clairvoyant_need_ahead(trace, traits, step);

	*decision = (struct policy_decision){
		.target_bytes = guest->target_bytes,
		.credit_bytes = POLICY_UNSET,
		.ceiling_bytes = POLICY_UNSET,
		.reason = POLICY_REASON_NONE,
		.need_bytes = need > floor ? need : floor,
		.demand_bytes = need,
		.reserve_bytes = 0,
		.want_bytes = need,
		.floor_bytes = floor,
	};
	snprintf(decision->text, sizeof(decision->text), "will need %.0f MiB",
		 (double)need / (double)MIB);
}

static int clairvoyant_step(struct policy_state *state, const struct policy_host *host,
			    const struct policy_guest *guests, size_t count,
			    struct policy_decision *decisions, struct policy_outcome *outcome)
{
	const struct trace *trace = state->trace;
	uint32_t now = (uint32_t)(host->now_us / SIM_STEP_US) - 1;
	uint64_t floor;
	double part;

	*outcome = (struct policy_outcome){ .budget_bytes = POLICY_UNSET };
	for (size_t i = 0; i < count; i++) {
		decisions[i] = (struct policy_decision){
			.target_bytes = guests[i].target_bytes,
			.credit_bytes = POLICY_UNSET,
			.ceiling_bytes = POLICY_UNSET,
		};
		if (trace)
			foresee_needs(trace, &guests[i], now, &decisions[i]);
	}
	if (!trace)
		return 0;
	outcome->budget_bytes = trace->budget_bytes;
	part = clairvoyant_part(trace, guests, count, decisions, now);
	for (size_t i = 0; i < count; i++) {
		if (!clairvoyant_moves_guest(trace, &guests[i], now))
			continue;
		floor = decisions[i].floor_bytes;
		decisions[i].target_bytes =
			floor + (uint64_t)(part * (double)(decisions[i].need_bytes - floor));
		decisions[i].reason = part < 1 ? POLICY_REASON_SHARE : POLICY_REASON_IDLE;
		outcome->want_bytes += decisions[i].need_bytes;
	}
	outcome->overcommitted = part < 1;
	return 0;
}

const struct policy_ops policy_clairvoyant = {
	.name = "clairvoyant",
	.help = "knows the future of all loads: a yardstick, not a policy",
	.create = clairvoyant_create_unused,
	.destroy = clairvoyant_destroy,
	.configure = clairvoyant_configure,
	.step = clairvoyant_step,
};
