/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trace: how much memory the load of each guest of a host uses, step by step, whatever a policy
 * does.
 *
 * Theory of operation
 * -------------------
 * A trace is made in advance from a shape and a seed, so all policies see the same and the
 * clairvoyant policy can look ahead.  A step is 100 ms.  In each step, a guest's load is
 *
 *   hot   anonymous memory that is touched all the time,
 *   cold  anonymous memory that is hardly touched: it can be swapped out without harm,
 *   file  page cache that is read all the time: if dropped, it is read from disk again,
 *   read  what is read once in this step: it fills free memory with useless cache.
 *
 * A guest's need is the kernel's own memory, hot, cold and file, and its watermarks.  In a burst,
 * hot rises far above its level before for some seconds; a score measures how long the guest waits
 * for that memory.
 *
 * The host is sized to fit the guests: for the peak of their total need, times a slack.  It is
 * drawn (0.95 … 1.5, and never for all guests at their full size) unless the plan sets it.
 */
#ifndef AEROSTAT_TRACE_H
#define AEROSTAT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

struct sim_random;

#define SIM_STEP_US INT64_C(100000)
#define SIM_STEPS_PER_SECOND 10

enum trace_swap {
	TRACE_SWAP_NONE,
	TRACE_SWAP_ZRAM,
	TRACE_SWAP_DISK,
};

/* What is wrong with a guest from its fault_step on. */
enum trace_fault {
	TRACE_HEALTHY,
	TRACE_DEAD_DRIVER,  /* the balloon does not move, and there are no statistics */
	TRACE_FROZEN_STATS, /* the balloon moves, but the statistics do not change */
	TRACE_POOR_LIAR,    /* reports that nothing is available */
	TRACE_RICH_LIAR,    /* reports that most of its RAM is free */
};

struct trace_load {
	uint32_t hot_kib, cold_kib, file_kib, read_kib;
};

struct trace_guest {
	uint64_t boot_bytes;
	uint64_t start_bytes; /* its size when the trace begins */
	uint64_t kernel_bytes;
	double weight;
	enum trace_swap swap;
	uint64_t swap_bytes;
	uint64_t abilities; /* enum policy_ability */
	bool own_driver; /* Aerostat's: shows PSI and refaults, and statistics while it inflates */
	uint64_t inflate_bytes_s, deflate_bytes_s;
	int64_t late_us;   /* from a new target to the driver's first move */
	int64_t period_us; /* between its statistics */
	bool leaks;	   /* its cold memory is a leak, which a kill ends */
	enum trace_fault fault;
	uint32_t fault_step;
	uint32_t first_step, end_step; /* it runs from the first to before the end */
	struct trace_load *loads;      /* one per step */
};

struct trace_burst {
	uint32_t guest, first, last; /* steps */
	uint64_t need_bytes;	     /* the highest need in it */
};

struct trace {
	const char *shape;
	uint64_t seed;
	uint32_t steps;
	uint32_t count;
	struct trace_guest *guests;
	uint64_t host_bytes, host_swap_bytes;
	enum trace_swap host_swap;
	uint64_t budget_bytes; /* the part of the host's RAM that is for guests */
	uint32_t *other_kib;   /* the host's other programs, one per step */
	uint32_t burst_count, burst_room;
	struct trace_burst *bursts;
};

/* A kind of trace. */
struct trace_shape {
	const char *name;
	const char *help;
	void (*fill)(struct trace *trace, struct sim_random *random);
};

/* All shapes, ending with a NULL name.  Append only: a trace's shape follows from its number. */
extern const struct trace_shape trace_shapes[];

#define TRACE_PLAIN_SHAPES 10 /* the first ones, which plain traces take in turn */

/* The shape of this name, or NULL. */
const struct trace_shape *trace_shape_find(const char *name);

#define TRACE_GUESTS_MAX 64
#define TRACE_SECONDS 240

/* What a trace is made from. */
struct trace_plan {
	const struct trace_shape *shape;
	uint64_t seed;
	uint32_t guests; /* 1 to TRACE_GUESTS_MAX */
	uint32_t seconds;
	double slack; /* the budget is the peak of all needs times this; 0: drawn */
	/*
	 * Wide: guests of 512 MiB to 64 GiB, some of which start late or stop early, and a host
	 * with swap on disk, on zram, or without.  Plain: 1 to 8 GiB, all the time, swap on disk.
	 */
	bool wide;
};

/*
 * trace_new - make a trace
 *
 * The same plan gives the same trace on any machine.  Returns NULL when out of memory; the caller
 * frees the trace.
 */
struct trace *trace_new(const struct trace_plan *plan);

/* Frees the trace, which may be NULL. */
void trace_free(struct trace *trace);

/* Whether the guest runs in this step. */
bool trace_runs(const struct trace_guest *guest, uint32_t step);

/*
 * The bytes with which the guest neither stalls nor swaps at a step; at most its RAM at boot, and 0
 * while it does not run.
 */
uint64_t trace_need(const struct trace_guest *guest, uint32_t step);

/* Linux's low watermarks, in bytes: with less free memory, allocations reclaim. */
uint64_t trace_watermark(const struct trace_guest *guest);

#endif
