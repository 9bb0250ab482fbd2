/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/score.h"

#include <stdlib.h>
#include <string.h>

#define GIB_H (3600.0 * 1024 * 1024 * 1024)

void score_init(struct score *score)
{
	*score = (struct score){ .min_available_bytes = UINT64_MAX };
}

bool score_run_init(struct score_run *run, struct score *score, const struct trace *trace)
{
	*run = (struct score_run){
		.score = score,
		.relieved = calloc(trace->burst_count + 1, sizeof(*run->relieved)),
		.fair = calloc(trace->count, sizeof(*run->fair)),
		.has = calloc(trace->count, sizeof(*run->has)),
	};
	return run->relieved && run->fair && run->has;
}

void score_run_clear(struct score_run *run)
{
	free(run->relieved);
	free(run->fair);
	free(run->has);
}

/* The size per weight at which the guests that are not served at @served use up @budget. */
static double water_level(const double *weights, const double *needs, uint32_t count, double budget,
			  double served)
{
	double sum = 0, left = budget;

	for (uint32_t i = 0; i < count; i++) {
		if (needs[i] <= served * weights[i])
			left -= needs[i];
		else
			sum += weights[i];
	}
	return sum > 0 ? left / sum : served;
}

void score_fair(const double *weights, double *needs, uint32_t count, double budget)
{
	double level = 0, next = water_level(weights, needs, count, budget, 0);

	/* Each round serves at least one more guest, or is the last. */
	for (uint32_t i = 0; i < count && next > level; i++) {
		level = next;
		next = water_level(weights, needs, count, budget, level);
	}
	level = next > level ? next : level;
	for (uint32_t i = 0; i < count; i++)
		if (needs[i] > level * weights[i])
			needs[i] = level * weights[i];
}

static void judge_fairness(struct score_run *run, const struct sim_world *world)
{
	const struct trace *trace = world->trace;
	double weights[TRACE_GUESTS_MAX] = { 0 }, sum = 0, wrong = 0, off;

	for (uint32_t i = 0; i < trace->count; i++) {
		double actual = (double)sim_guest_actual(&world->guests[i]);

		weights[i] = trace->guests[i].weight;
		run->fair[i] = (double)trace_need(&trace->guests[i], world->step - 1);
		run->has[i] = actual < run->fair[i] ? actual : run->fair[i];
	}
	score_fair(weights, run->fair, trace->count, (double)trace->budget_bytes);
	for (uint32_t i = 0; i < trace->count; i++) {
		off = run->has[i] - run->fair[i];
		wrong += off < 0 ? -off : off;
		sum += run->fair[i];
	}
	run->score->unfair_sum += sum > 0 ? wrong / 2 / sum : 0;
	run->score->unfair_count++;
}

static void watch_bursts(struct score_run *run, const struct sim_world *world)
{
	uint32_t now = world->step - 1;

	for (uint32_t i = 0; i < world->trace->burst_count; i++) {
		const struct trace_burst *burst = &world->trace->bursts[i];

		if (run->relieved[i] || now < burst->first || now > burst->last)
			continue;
		if ((uint64_t)sim_guest_actual(&world->guests[burst->guest]) >= burst->need_bytes)
			run->relieved[i] = now + 1;
	}
}

void score_step(struct score_run *run, const struct sim_world *world)
{
	struct score *score = run->score;
	uint64_t available = (uint64_t)(world->host.free + world->host.cache);
	double step_s = 1e-6 * (double)SIM_STEP_US;

	if (available < score->min_available_bytes)
		score->min_available_bytes = available;
	if ((uint64_t)world->host.swap_used > score->host_swap_peak_bytes)
		score->host_swap_peak_bytes = (uint64_t)world->host.swap_used;
	for (uint32_t i = 0; i < world->trace->count; i++) {
		const struct sim_guest *guest = &world->guests[i];

		if (!guest->running)
			continue;
		score->returned_byte_s += step_s * (double)guest->balloon;
		score->boot_byte_s += step_s * (double)guest->traits->boot_bytes;
		score->resident_byte_s += step_s * (double)sim_guest_resident(guest);
		score->guest_s += step_s;
	}
	watch_bursts(run, world);
	if (world->step % SIM_STEPS_PER_SECOND == 0)
		judge_fairness(run, world);
}

static void count_bursts(struct score_run *run, const struct trace *trace)
{
	struct score *score = run->score;
	uint32_t waited;

	for (uint32_t i = 0; i < trace->burst_count; i++) {
		const struct trace_burst *burst = &trace->bursts[i];

		if (run->relieved[i])
			waited = run->relieved[i] - 1 - burst->first;
		else
			waited = burst->last + 1 - burst->first;
		score->bursts++;
		score->unrelieved += !run->relieved[i];
		score->relief[waited < SCORE_RELIEF_BINS ? waited : SCORE_RELIEF_BINS - 1]++;
	}
}

void score_finish(struct score_run *run, const struct sim_world *world)
{
	struct score *score = run->score;

	score->traces++;
	score->guests_lost += world->host.guests_killed;
	for (uint32_t i = 0; i < world->trace->count; i++) {
		const struct sim_counters *counters = &world->guests[i].counters;
		double host_s = 1e-6 * (double)world->slots[i].stall_us;

		score->oom_kills += counters->oom_kills;
		score->full_s += 1e-6 * (double)counters->full_us + host_s;
		score->some_s += 1e-6 * (double)counters->some_us + host_s;
		score->host_s += host_s;
		score->pulled_bytes += counters->pulled_bytes;
		score->trimmed_bytes += counters->trimmed_bytes;
		score->held_s += 1e-6 * (double)counters->held_us;
		score->major_faults += counters->major_faults;
		score->swap_bytes += counters->swap_in_bytes + counters->swap_out_bytes;
	}
	count_bursts(run, world->trace);
}

void score_add(struct score *sum, const struct score *score)
{
	sum->traces += score->traces;
	sum->oom_kills += score->oom_kills;
	sum->guests_lost += score->guests_lost;
	sum->full_s += score->full_s;
	sum->some_s += score->some_s;
	sum->host_s += score->host_s;
	sum->pulled_bytes += score->pulled_bytes;
	sum->trimmed_bytes += score->trimmed_bytes;
	sum->held_s += score->held_s;
	sum->boot_byte_s += score->boot_byte_s;
	sum->resident_byte_s += score->resident_byte_s;
	sum->major_faults += score->major_faults;
	sum->swap_bytes += score->swap_bytes;
	if (score->host_swap_peak_bytes > sum->host_swap_peak_bytes)
		sum->host_swap_peak_bytes = score->host_swap_peak_bytes;
	if (score->min_available_bytes < sum->min_available_bytes)
		sum->min_available_bytes = score->min_available_bytes;
	sum->returned_byte_s += score->returned_byte_s;
	sum->guest_s += score->guest_s;
	sum->operations += score->operations;
	sum->unfair_sum += score->unfair_sum;
	sum->unfair_count += score->unfair_count;
	sum->bursts += score->bursts;
	sum->unrelieved += score->unrelieved;
	for (int i = 0; i < SCORE_RELIEF_BINS; i++)
		sum->relief[i] += score->relief[i];
}

double score_relief_s(const struct score *score, double percentile)
{
	double left = percentile / 100 * score->bursts;
	int bin = 0;

	if (!score->bursts)
		return 0;
	for (; bin < SCORE_RELIEF_BINS - 1; bin++) {
		left -= score->relief[bin];
		if (left <= 0)
			break;
	}
	return 1e-6 * (double)SIM_STEP_US * bin;
}

double score_returned_gib_h(const struct score *score)
{
	return score->returned_byte_s / GIB_H;
}

double score_spare(const struct score *score)
{
	return score->boot_byte_s > 0 ? 1 - score->resident_byte_s / score->boot_byte_s : 0;
}

double score_unfairness(const struct score *score)
{
	return score->unfair_count ? score->unfair_sum / (double)score->unfair_count : 0;
}
