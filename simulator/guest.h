/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest, as far as its memory goes.
 *
 * Theory of operation
 * -------------------
 * Its RAM at boot is at all times the sum of what is
 *
 *   in the balloon, the kernel's own, anonymous, page cache, zram's, and free.
 *
 * Every page that was used once is resident on the host until the balloon takes it, so a part of
 * free is `touched`, and resident = kernel + anonymous + cache + zram + touched.  Free pages that
 * were touched are used first; the balloon takes both kinds as they come.
 *
 * One step (100 ms), in this order:
 *
 *  1. The driver moves towards its target at its speed, some time after it was told.  To inflate
 *     it reclaims as any allocation does, but never kills; when nothing is left it stops short.
 *  2. Anonymous memory follows the load: what is too much is freed, swapped parts first; what is
 *     missing is allocated, 2 GiB/s at most.
 *  3. Hot memory that is in swap, and hot files that were dropped, are read in again.
 *  4. What the load reads once fills free memory as cache.
 *
 * Making room reclaims in four grades, each only when the one before is used up:
 *
 *   cache that nobody reads again | cold memory to swap | hot files | hot memory to swap
 *
 * Swap and disk do 150 MiB/s, zram 1 GiB/s at a third of the size, dropping cache 4 GiB/s; time
 * spent so is stall.  When what is read in finds no room but by evicting what is hot as well, the
 * guest thrashes: both are counted, nothing is won.  A step's stall is at most the step: it is
 * PSI's `some`, and its square (as a share of the step) `full`, because the longer one waits, the
 * likelier all do.
 *
 * Swap that is slow is waited for, not passed over for the next grade.
 *
 * An allocation that finds nothing stalls for the whole step.  A guest with deflate-on-oom then
 * has 32 MiB a step of the balloon, which its driver wants back; any other, when that has
 * lasted for 300 ms, kills: seven tenths of its anonymous memory are gone, and for 20 s it asks
 * for three tenths.  The kernel itself allocates all the time (256 KiB a step), which is why a
 * guest that is pressed below what it can give dies of a balloon that killed nobody.
 *
 * Statistics are taken every period and are, like everything the host is told, a claim.  The
 * in-tree driver answers from the worker that inflates: while that is stuck there are none.
 */
#ifndef AEROSTAT_SIM_GUEST_H
#define AEROSTAT_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "simulator/trace.h"

/* Counters since boot, true ones. */
struct sim_counters {
	uint64_t swap_in_bytes, swap_out_bytes;
	uint64_t major_faults;
	uint64_t refault_bytes; /* of files that were dropped though hot */
	uint64_t oom_kills;
	uint64_t alloc_stalls;
	uint64_t scan_bytes;
	uint64_t some_us, full_us;
	uint64_t oom_deflated_bytes;
};

/* What the driver told last. */
struct sim_statistics {
	int64_t taken_us; /* 0: nothing yet */
	uint64_t actual_bytes;
	uint64_t available_bytes, free_bytes, total_bytes, cache_bytes;
	struct sim_counters counters;
};

struct sim_guest {
	const struct trace_guest *traits;
	int64_t balloon, anon, cache, zram, free; /* and the kernel's: RAM at boot */
	int64_t touched;			  /* of free */
	int64_t swapped;			  /* anonymous, in swap of either kind */
	int64_t dropped;			  /* hot files that reclaim dropped */
	int64_t leaked;				  /* of a leak: what died with a kill */
	int64_t target, next_target;		  /* what the driver works on; what it will */
	int64_t next_target_us;			  /* from when on */
	int64_t down_until_us;			  /* after a kill */
	int64_t next_statistics_us;
	unsigned int starved; /* steps in which an allocation found nothing */
	bool stuck;	      /* the driver inflates and does not get what it could take */
	struct sim_counters counters;
	struct sim_statistics told;
	/* Of the running step. */
	int64_t swap_left, disk_left; /* bytes that can still be moved */
	double stall_us;
};

void sim_guest_init(struct sim_guest *guest, const struct trace_guest *traits, uint32_t index);

/* The host asks for a size. */
void sim_guest_set_target(struct sim_guest *guest, uint64_t bytes, int64_t now_us);

/* 100 ms under the load of @step. */
void sim_guest_step(struct sim_guest *guest, uint32_t step, int64_t now_us);

/* It died and boots anew, with its balloon as it is. */
void sim_guest_reboot(struct sim_guest *guest, int64_t now_us);

int64_t sim_guest_actual(const struct sim_guest *guest);
int64_t sim_guest_resident(const struct sim_guest *guest);

/* Linux's MemAvailable. */
int64_t sim_guest_available(const struct sim_guest *guest);

/* Whether the parts of its RAM are what it was booted with, and none is negative. */
bool sim_guest_balanced(const struct sim_guest *guest);

#endif
