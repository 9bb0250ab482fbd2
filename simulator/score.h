/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How well a policy did.
 *
 * Theory of operation
 * -------------------
 * A score is fed the world after every step, and is a sum, so that scores of traces can be added.
 * Everything is measured from what is true, not from what guests say.
 *
 * Relief: a burst is relieved when its guest has the most that the burst needs; the time from its
 * first step until then, or its whole length if that never came.
 *
 * Unfairness: once a second, what each guest has of its need is held against the weighted max-min
 * division of the budget: raise all by weight until each has its need or nothing is left.  It is
 * half of the sum of the differences, as a part of what was to be divided; 0 where nobody lacks.
 *
 * Returned is what is in the balloons: the guests' RAM at boot less what they have, over time.
 */
#ifndef AEROSTAT_SIM_SCORE_H
#define AEROSTAT_SIM_SCORE_H

#include "simulator/world.h"

#define SCORE_RELIEF_BINS 1024 /* of a step each */

struct score {
	uint32_t traces;
	uint64_t oom_kills;
	uint64_t guests_lost;  /* killed by the host */
	double full_s, some_s; /* stalled, inside or by the host */
	uint64_t major_faults;
	uint64_t swap_bytes; /* of the guests, in and out */
	uint64_t host_swap_peak_bytes;
	uint64_t min_available_bytes; /* the host's */
	double returned_byte_s;
	double guest_s;	     /* guests, times time */
	uint64_t operations; /* new targets, a MiB or more from the old */
	double unfair_sum;
	uint64_t unfair_count;
	uint32_t bursts, unrelieved;
	uint32_t relief[SCORE_RELIEF_BINS];
};

/* What is kept of a trace while it runs. */
struct score_run {
	struct score *score;
	uint32_t *relieved; /* of each burst, the step it was, and one; 0: not yet */
	double *fair, *has; /* room for the guests */
};

void score_init(struct score *score);
/* False when out of memory; score_run_clear() in any case. */
bool score_run_init(struct score_run *run, struct score *score, const struct trace *trace);
void score_run_clear(struct score_run *run);
/* After every step. */
void score_step(struct score_run *run, const struct sim_world *world);
/* At the end of the trace. */
void score_finish(struct score_run *run, const struct sim_world *world);

void score_add(struct score *sum, const struct score *score);

double score_relief_s(const struct score *score, double percentile);
double score_returned_gib_h(const struct score *score);
double score_unfairness(const struct score *score);

/*
 * score_fair - the weighted max-min division of @budget
 * @needs: what each could use, and how much it gets
 */
void score_fair(const double *weights, double *needs, uint32_t count, double budget);

#endif
