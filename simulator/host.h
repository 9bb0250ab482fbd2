/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of the host's memory.
 *
 * Theory of operation
 * -------------------
 * The host's RAM is always the sum of what its other programs use, the part of the guests'
 * memory that is not swapped out, zram's, page cache, and free.  Guests use what they were given
 * without asking, so the host sees it at the end of each step.  It then
 *
 *  1. shrinks its page cache, down to 64 MiB; it prefers 2 % of RAM;
 *  2. swaps guests out in proportion to their size, at 150 MiB/s to disk, or at 1 GiB/s to zram,
 *     where they still take a third; anything beyond that stalls the host's programs;
 *  3. if swap is full, kills the largest guest, which then reboots.  A policy must prevent that.
 *
 * A guest touches a twentieth of what the host swapped out of it per second.  That is read back as
 * far as there is room, and stalls the guest.  The time counts as the guest's stall, but does not
 * slow down what the guest does in the model.
 * The host's pressure is PSI's: the part of the time with a stall, averaged over about 10 s.
 */
#ifndef AEROSTAT_SIM_HOST_H
#define AEROSTAT_SIM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "simulator/guest.h"
#include "simulator/trace.h"

/* What the host knows of one guest. */
struct sim_slot {
	int64_t out;	   /* bytes of its resident memory in the host's swap */
	int64_t waited_us; /* for reading that back, in this step */
	double stall;	   /* part of the time, over about 10 s */
	uint64_t stall_us; /* since the start */
};

struct sim_host {
	int64_t total, other, cache, free;
	enum trace_swap swap;
	int64_t swap_total, swap_used; /* what is used counts uncompressed */
	int64_t debt_us;	       /* stalls that still have to pass */
	double pressure;
	int64_t recent_us; /* stalled since the last world_observe() */
	uint64_t guests_killed;
};

/* The host at the start of the trace; its guests are set up already.  Finds memory for them. */
void sim_host_init(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace);

/* The end of a step at @now_us, after the guests' step: finds memory for them. */
void sim_host_step(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace, uint32_t step, int64_t now_us);

/* An invariant: the parts of its RAM sum up to it, and none is negative. */
bool sim_host_balanced(const struct sim_host *host, const struct sim_guest *guests,
		       const struct sim_slot *slots, uint32_t count);

#endif
