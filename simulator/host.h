/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host, as far as its memory goes.
 *
 * Theory of operation
 * -------------------
 * Its RAM is at all times the sum of what its other programs use, what of the guests is in it, its
 * page cache, and free.  Guests touch what they were given without asking, so the host finds out
 * at the end of each step.  It then
 *
 *  1. lets its cache go, down to 64 MiB; it likes to have 2 % of RAM;
 *  2. swaps guests out, each by its size, at 150 MiB/s: what is slower stalls its programs;
 *  3. with swap full, kills the largest guest, which then boots anew.  That is what must not be.
 *
 * Guests touch a twentieth of what is swapped out of them each second; it comes in as there is
 * room, and stalls that guest, which cannot know why: such time is counted as the guest's own,
 * but does not slow down what the guest does.
 * The host's pressure is PSI's: the share of time with a stall, over about 10 s.
 */
#ifndef AEROSTAT_SIM_HOST_H
#define AEROSTAT_SIM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "simulator/guest.h"
#include "simulator/trace.h"

/* What the host keeps of one guest. */
struct sim_slot {
	int64_t out;	   /* of its resident memory, in the host's swap */
	int64_t waited_us; /* for that, in this step */
	double stall;	   /* share of time, over about 10 s */
	uint64_t stall_us; /* all of it */
};

struct sim_host {
	int64_t total, other, cache, free;
	int64_t swap_total, swap_used;
	int64_t debt_us; /* of stalls that are not over */
	double pressure;
	int64_t recent_us; /* stalled since the last time it was looked at */
	uint64_t guests_killed;
};

/* With guests that have been made already. */
void sim_host_init(struct sim_host *host, const struct sim_guest *guests,
		   const struct sim_slot *slots, const struct trace *trace);

/* The end of a step: what the guests have become is paid for. */
void sim_host_step(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace, uint32_t step, int64_t now_us);

/* Whether nothing was created or lost. */
bool sim_host_balanced(const struct sim_host *host, const struct sim_guest *guests,
		       const struct sim_slot *slots, uint32_t count);

#endif
