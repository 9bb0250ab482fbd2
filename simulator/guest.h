/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of a guest's memory.
 *
 * Theory of operation
 * -------------------
 * The RAM at boot of a guest that runs is always the sum of these parts:
 *
 *   the balloon, the kernel's own, anonymous memory, page cache, zram's, and free.
 *
 * A page that was used once is resident on the host until the balloon takes it, or until the guest
 * reports it as free (pages.h).  So a part of free is `touched`, and resident = kernel + anonymous
 * + cache + zram + touched.  Touched free pages are used first.
 *
 * A step is 100 ms.  In this order:
 *
 *  1. The driver moves towards its target at its speed, some time after the target was set.  To
 *     inflate it reclaims (reclaim.h) as any allocation does, but never kills and never pulls; if
 *     nothing is left it stops.  It gives up what cache it was asked to trim, and reports.
 *  2. Anonymous memory follows the load.  An excess is freed, starting with what is swapped out;
 *     what is missing is allocated, at up to 2 GiB/s.
 *  3. Hot memory in swap, and hot files that were dropped, are read back.
 *  4. What the load reads only once fills free memory with page cache.
 *
 * The time that tasks spend in reclaim is stall.  If memory that is read back finds room only by
 * evicting other hot memory, the guest thrashes: both are counted, and nothing is gained.  A step's
 * stall is at most the step.  It counts as PSI's `some`, and its square (as a part of the step) as
 * `full`, because the longer one task waits, the likelier it is that all do.
 *
 * An allocation that finds nothing stalls for the whole step, and gets what relief.h says.  If that
 * is nothing, a process is killed after 300 ms: the guest loses seven tenths of its anonymous
 * memory, and for 20 s its load is three tenths.  The kernel allocates all the time (256 KiB per
 * step), so a guest whose balloon took too much has OOM kills although the balloon itself kills
 * nothing.
 *
 * Statistics are taken once per period.  Like everything that a guest reports, they are claims.
 * The in-tree driver reports them from the worker that inflates: while that is stuck, there
 * are none.
 */
#ifndef AEROSTAT_SIM_GUEST_H
#define AEROSTAT_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "simulator/trace.h"

/* Counters since boot, as they really are. */
struct sim_counters {
	uint64_t swap_in_bytes, swap_out_bytes;
	uint64_t major_faults;
	uint64_t refault_bytes; /* of hot files that were dropped */
	uint64_t oom_kills;
	uint64_t alloc_stalls;
	uint64_t scan_bytes;
	uint64_t some_us, full_us;
	uint64_t pulled_bytes;	/* taken back by itself, early or out of memory */
	uint64_t gate_waits;	/* how often that had to wait at the gate */
	uint64_t trimmed_bytes; /* cache given up on request */
	uint64_t reported_bytes;
	uint64_t held_us; /* waited at the gate */
};

/* The statistics that the driver reported last. */
struct sim_statistics {
	int64_t taken_us; /* 0: none yet */
	uint64_t actual_bytes;
	uint64_t available_bytes, free_bytes, total_bytes, cache_bytes;
	struct sim_counters counters;
};

struct sim_guest {
	const struct trace_guest *traits;
	bool running;
	int64_t balloon, kernel, anon, cache, zram, free; /* RAM at boot, while it runs */
	int64_t touched;				  /* of free */
	int64_t swapped;				  /* anonymous, in swap of either kind */
	int64_t dropped;				  /* hot files that reclaim dropped */
	int64_t leaked;					  /* of a leak: what a kill ended */
	int64_t target, next_target; /* what the driver works towards now, and later */
	int64_t next_target_us;	     /* when next_target takes effect */
	int64_t down_until_us;	     /* after a kill */
	int64_t next_statistics_us;
	int64_t allowed, ceiling; /* the sizes up to which the gate lets it take memory back, */
	int64_t credit_until_us;  /* before this time (relief.h) */
	int doublings;		  /* of the wait at its ceiling, as it had no credit since */
	int64_t held_since_us;	  /* since when the gate holds an acknowledgement back; 0: not */
	int64_t rest_until_us;	  /* after relief, the driver does not inflate before this time */
	int64_t trim;		  /* cache that it was asked to give up and still has */
	unsigned int starved;	  /* steps in which an allocation found nothing */
	bool stuck;		  /* the driver inflates and does not find enough memory */
	struct sim_counters counters;
	struct sim_statistics told;
	/* Of the current step. */
	int64_t now_us;
	int64_t swap_left, disk_left; /* bytes that can still be moved */
	double pull_left_us;	      /* time in which the driver can still pull */
	bool dead;		      /* its driver hangs */
	double stall_us;
};

static inline int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A guest that does not run yet. */
void sim_guest_init(struct sim_guest *guest, const struct trace_guest *traits);

/* Boots the guest with the load of @step.  Its first statistics are due at @first_us. */
void sim_guest_start(struct sim_guest *guest, uint32_t step, int64_t first_us);

/* Ends the guest: the host has all of its memory back. */
void sim_guest_stop(struct sim_guest *guest);

/* The host sets a target, which the driver acts on after its delay. */
void sim_guest_set_target(struct sim_guest *guest, uint64_t bytes, int64_t now_us);

/* Asks the guest to give up page cache, if it can.  Replaces an earlier request. */
void sim_guest_trim(struct sim_guest *guest, uint64_t bytes);

/* One step (100 ms) with the load of @step; @now_us is its end. */
void sim_guest_step(struct sim_guest *guest, uint32_t step, int64_t now_us);

/* The host killed the guest and it reboots; its balloon stays as it is. */
void sim_guest_reboot(struct sim_guest *guest, int64_t now_us);

/* Its size: RAM at boot less the balloon, in bytes. */
int64_t sim_guest_actual(const struct sim_guest *guest);

/* The memory that its process holds on the host, swapped out or not, in bytes. */
int64_t sim_guest_resident(const struct sim_guest *guest);

/* Linux's MemAvailable, in bytes. */
int64_t sim_guest_available(const struct sim_guest *guest);

/* An invariant: the parts of its RAM sum up to its RAM at boot, and none is negative. */
bool sim_guest_balanced(const struct sim_guest *guest);

#endif
