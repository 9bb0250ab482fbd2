/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trace: what every guest of a host asks of its memory, step by step, whatever a policy does.
 *
 * Theory of operation
 * -------------------
 * A trace is made before anything runs, from a shape and a seed alone, so all policies are shown
 * the same and the oracle can look ahead.  A step is 100 ms.  At each, a guest's load is
 *
 *   hot   anonymous memory that is touched all the time,
 *   cold  anonymous memory that is held and hardly touched: it may be swapped without harm,
 *   file  page cache that is read again all the time: dropped, it is read from disk again,
 *   read  what is read once in this step: it fills free memory with cache that is of no use.
 *
 * Its need is the kernel's own, hot, cold and file, and a little to breathe.  A burst is a time of
 * seconds in which hot rises far above what was there before; a score asks how long a guest that
 * is in one has to wait for its memory.
 *
 * The host is made to fit the guests: there is room for the peak of what all need together, times
 * a slack that is drawn (0.95 … 1.5), and never for all guests at their full size.
 */
#ifndef AEROSTAT_TRACE_H
#define AEROSTAT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_random;

#define SIM_STEP_US INT64_C(100000)
#define SIM_STEPS_A_SECOND 10

enum trace_swap {
	TRACE_SWAP_NONE,
	TRACE_SWAP_ZRAM,
	TRACE_SWAP_DISK,
};

/* What goes wrong with a guest, from its fault_step on. */
enum trace_fault {
	TRACE_HEALTHY,
	TRACE_DEAD_DRIVER,  /* neither moves nor tells statistics */
	TRACE_FROZEN_STATS, /* moves, and its statistics stay as they are */
	TRACE_POOR_LIAR,    /* claims to have nothing left */
	TRACE_RICH_LIAR,    /* claims that most of it is free */
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
	bool deflate_on_oom;
	bool own_driver; /* tells PSI, and its statistics while it is stuck */
	uint64_t inflate_bytes_s, deflate_bytes_s;
	int64_t late_us;   /* from a new target to the driver's first move */
	int64_t period_us; /* of its statistics */
	bool leaks;	   /* its cold memory is a leak, which a kill ends */
	enum trace_fault fault;
	uint32_t fault_step;
	struct trace_load *loads; /* one a step */
};

struct trace_burst {
	uint32_t guest, first, last; /* steps */
	uint64_t need_bytes;	     /* the most that is needed in it */
};

struct trace {
	const char *shape;
	uint64_t seed;
	uint32_t steps;
	uint32_t count;
	struct trace_guest *guests;
	uint64_t host_bytes, host_swap_bytes;
	uint64_t budget_bytes; /* of it, what is meant for guests */
	uint32_t *other_kib;   /* of the host's other programs, one a step */
	uint32_t burst_count, burst_room;
	struct trace_burst *bursts;
};

/* A kind of trace. */
struct trace_shape {
	const char *name;
	const char *help;
	void (*fill)(struct trace *trace, struct sim_random *random);
};
extern const struct trace_shape trace_shapes[]; /* a NULL name at the end */
const struct trace_shape *trace_shape_find(const char *name);

#define TRACE_GUESTS_MAX 64
#define TRACE_SECONDS 240

/* NULL when out of memory. */
struct trace *trace_new(const struct trace_shape *shape, uint64_t seed, uint32_t guests,
			uint32_t seconds);
void trace_free(struct trace *trace);

/* What guest needs at a step to neither stall nor swap, at most what it was booted with. */
uint64_t trace_need(const struct trace_guest *guest, uint32_t step);

/* What Linux keeps free, below which allocations reclaim: its low watermark, summed up. */
uint64_t trace_watermark(const struct trace_guest *guest);

#endif
