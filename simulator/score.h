/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How well a policy did.
 *
 * Theory of operation
 * -------------------
 * A score looks at the world after each step.  It consists of sums, so the scores of several
 * traces can be added.  It measures what is true, not what guests report.
 *
 * Relief: a burst is relieved once its guest has the highest need of the burst.  The time counts
 * from the burst's first step; if relief never comes, its whole length counts.
 *
 * Unfairness: once per second, what each guest has of its need is compared with the weighted
 * max-min division of the budget, which raises all guests by weight until each has its need or
 * nothing is left.  It is half of the sum of the differences, as a part of what was divided; 0 if
 * no guest lacks memory.
 *
 * Spare is the part of the guests' RAM at boot that costs the host nothing: what is not resident,
 * in RAM or in the host's swap.
 *
 * Returned is the memory in the balloons, over time.  It says little: it misses what guests freed
 * by themselves, and counts what they never used.
 */
#ifndef AEROSTAT_SIM_SCORE_H
#define AEROSTAT_SIM_SCORE_H

#include "simulator/world.h"

#define SCORE_RELIEF_BINS 1024 /* one per step of waiting; the last holds all longer ones */

struct score {
	uint32_t traces;
	uint64_t oom_kills;
	uint64_t guests_lost;  /* guests that the host killed */
	double full_s, some_s; /* stalled, in the guest or by the host */
	double host_s;	       /* the part of both that the host is the cause of */
	uint64_t major_faults;
	uint64_t swap_bytes; /* the guests', in and out */
	uint64_t host_swap_peak_bytes;
	uint64_t min_available_bytes; /* on the host */
	double returned_byte_s;
	double boot_byte_s, resident_byte_s;
	double guest_s; /* number of guests times seconds */
	uint64_t pulled_bytes, trimmed_bytes;
	double held_s;	     /* pulls waited at the gate */
	uint64_t operations; /* new targets that differ from the old by 1 MiB or more */
	double unfair_sum;
	uint64_t unfair_count;
	uint32_t bursts, unrelieved;
	uint32_t relief[SCORE_RELIEF_BINS];
};

/* What is needed while a trace runs. */
struct score_run {
	struct score *score;
	uint32_t *relieved; /* per burst: the step of its relief plus 1; 0: not yet */
	double *fair, *has; /* scratch space, one per guest */
};

/* An empty score. */
void score_init(struct score *score);

/* Begins a trace.  Returns false when out of memory; call score_run_clear() in any case. */
bool score_run_init(struct score_run *run, struct score *score, const struct trace *trace);

/* Frees what score_run_init() allocated. */
void score_run_clear(struct score_run *run);

/* Adds a step; call it after each world_step(). */
void score_step(struct score_run *run, const struct sim_world *world);

/* Adds what is known only at the end of the trace. */
void score_finish(struct score_run *run, const struct sim_world *world);

/* Adds @score to @sum. */
void score_add(struct score *sum, const struct score *score);

/* The percentile (0…100) of the time from burst to relief, in seconds; 0 without bursts. */
double score_relief_s(const struct score *score, double percentile);

/* The memory returned to the host, in GiB·h. */
double score_returned_gib_h(const struct score *score);

/* The spare part of the guests' RAM, 0…1. */
double score_spare(const struct score *score);

/* The average unfairness, 0…1. */
double score_unfairness(const struct score *score);

/*
 * score_fair - the weighted max-min division of @budget
 * @needs: what each guest could use; replaced by what it gets
 */
void score_fair(const double *weights, double *needs, uint32_t count, double budget);

#endif
