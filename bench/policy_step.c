/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy-step: measures the time of one step of a policy, for hosts with any number of guests.
 *
 * Theory of operation
 * -------------------
 * The guests come from the simulator's traces, of all shapes in turn, and follow their targets,
 * so that a step finds as much work as on a busy host.  A trace has few guests, so a host with
 * many guests consists of several simulated worlds, presented to the policy as one.
 *
 * There is one step per simulated second.  Its time is the CPU time of the thread, which other
 * programs on the machine disturb less than the clock.  All times are printed as one line of JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "simulator/contest.h"

#define WORLD_GUESTS 50
#define GUESTS_MAX 10000
#define SECONDS_LEAST 30 /* of a trace */
#define SECONDS_MAX 3600

struct asked {
	const struct policy_ops *policy;
	uint32_t guests, seconds, seed;
};

struct place {
	struct trace *trace;
	struct sim_world world;
};

struct host {
	struct place *places;
	uint32_t place_count, count;
	struct policy_host seen;
	struct policy_guest *guests;
	struct policy_decision *decisions;
	struct policy_state *state;
};

static bool open_place(struct place *place, const struct asked *asked, uint32_t number)
{
	uint32_t left = asked->guests - number * WORLD_GUESTS;

	place->trace = trace_new(&(struct trace_plan){
		.shape = &trace_shapes[number % TRACE_PLAIN_SHAPES],
		.seed = asked->seed + number,
		.guests = left < WORLD_GUESTS ? left : WORLD_GUESTS,
		.seconds = asked->seconds,
	});
	return place->trace && world_init(&place->world, place->trace);
}

static bool open_host(struct host *host, const struct asked *asked)
{
	host->count = asked->guests;
	host->place_count = (asked->guests + WORLD_GUESTS - 1) / WORLD_GUESTS;
	host->places = calloc(host->place_count, sizeof(*host->places));
	host->guests = calloc(host->count, sizeof(*host->guests));
	host->decisions = calloc(host->count, sizeof(*host->decisions));
	host->state = asked->policy->create(&contest_settings);
	if (!host->places || !host->guests || !host->decisions || !host->state)
		return false;
	for (uint32_t i = 0; i < host->place_count; i++)
		if (!open_place(&host->places[i], asked, i))
			return false;
	return true;
}

static void close_host(struct host *host, const struct policy_ops *policy)
{
	for (uint32_t i = 0; host->places && i < host->place_count; i++) {
		world_clear(&host->places[i].world);
		trace_free(host->places[i].trace);
	}
	if (host->state)
		policy->destroy(host->state);
	free(host->places);
	free(host->guests);
	free(host->decisions);
}

static void add_host(struct policy_host *sum, const struct policy_host *part)
{
	sum->now_us = part->now_us;
	sum->total_bytes += part->total_bytes;
	sum->available_bytes += part->available_bytes;
	sum->free_bytes += part->free_bytes;
	sum->cache_bytes += part->cache_bytes;
	sum->swap_used_bytes += part->swap_used_bytes;
	sum->pressure = part->pressure > sum->pressure ? part->pressure : sum->pressure;
	sum->critical |= part->critical;
}

static void look(struct host *host)
{
	host->seen = (struct policy_host){ 0 };
	for (uint32_t i = 0; i < host->place_count; i++) {
		struct sim_world *world = &host->places[i].world;
		struct policy_guest *guests = &host->guests[i * WORLD_GUESTS];
		struct policy_host part;

		world_observe(world, &part, guests);
		add_host(&host->seen, &part);
		for (uint32_t j = 0; j < world->trace->count; j++)
			guests[j].id = i * WORLD_GUESTS + j + 1;
	}
}

/* Sets the targets, and simulates one second. */
static void live(struct host *host)
{
	for (uint32_t i = 0; i < host->place_count; i++) {
		struct sim_world *world = &host->places[i].world;

		world_apply(world, &host->decisions[i * WORLD_GUESTS]);
		for (uint32_t j = 0; j < SIM_STEPS_PER_SECOND; j++)
			world_step(world);
	}
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static int run(struct host *host, const struct asked *asked)
{
	struct policy_outcome outcome;
	double began_us;
	int ret = 0;

	printf("{\"policy\": \"%s\", \"guests\": %u, \"seed\": %u, \"step_us\": [",
	       asked->policy->name, asked->guests, asked->seed);
	for (uint32_t i = 0; i < asked->seconds && !ret; i++) {
		look(host);
		began_us = cpu_us();
		ret = asked->policy->step(host->state, &host->seen, host->guests, host->count,
					  host->decisions, &outcome);
		printf("%s%.2f", i ? ", " : "", cpu_us() - began_us);
		live(host);
	}
	puts("]}");
	return ret;
}

static bool read_number(const char *word, uint32_t least, uint32_t most, uint32_t *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(word, &end, 10);
	*number = (uint32_t)value;
	return end != word && !*end && !errno && value >= least && value <= most;
}

int main(int argc, char **argv)
{
	struct asked asked;
	struct host host = { 0 };
	bool ok;

	if (argc != 5 || !(asked.policy = policy_find(argv[1])) ||
	    !read_number(argv[2], 1, GUESTS_MAX, &asked.guests) ||
	    !read_number(argv[3], SECONDS_LEAST, SECONDS_MAX, &asked.seconds) ||
	    !read_number(argv[4], 0, INT32_MAX, &asked.seed)) {
		fprintf(stderr,
			"usage: policy-step POLICY GUESTS SECONDS SEED\n"
			"GUESTS is 1 to %d, SECONDS is %d to %d\n",
			GUESTS_MAX, SECONDS_LEAST, SECONDS_MAX);
		return 2;
	}
	ok = open_host(&host, &asked) && !run(&host, &asked);
	if (!ok)
		fputs("policy-step: out of memory\n", stderr);
	close_host(&host, asked.policy);
	return !ok;
}
