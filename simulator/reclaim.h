/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a guest finds memory for an allocation, and what it moves to swap and back.
 *
 * Theory of operation
 * -------------------
 * Reclaim has four grades, each used only after the one before is exhausted:
 *
 *   cache that is not read again | cold memory to swap | hot files | hot memory to swap
 *
 * Swap and disk do 150 MiB/s, zram 1 GiB/s at a third of the size, and dropping cache 4 GiB/s.
 * The time spent is stall.  Slow swap is waited for; reclaim does not go on to the next grade.
 *
 * A guest that can pull (relief.h) does so after the first grade, or once its cache is down to
 * 1/16 of its RAM, which Linux would not drop without looking for memory elsewhere.
 */
#ifndef AEROSTAT_SIM_RECLAIM_H
#define AEROSTAT_SIM_RECLAIM_H

#include "simulator/guest.h"

/* What the load asks for now, in bytes. */
struct sim_wanted {
	int64_t hot, cold, file;
};

/* How far reclaim goes. */
enum reclaim_grade {
	RECLAIM_CACHE,
	RECLAIM_COLD,
	RECLAIM_FILES,
	RECLAIM_ALL,
};

/*
 * Reclaims until @bytes are usable, or the grades up to @grade are exhausted.  Returns how many
 * bytes are usable, at most @bytes.
 */
int64_t reclaim_memory(struct sim_guest *guest, const struct sim_wanted *want, int64_t bytes,
		       enum reclaim_grade grade);

/*
 * Gives up to @bytes of page cache back without an allocation, that in use last, as far as a step
 * allows (1 GiB/s).  Returns how many.  No task waits.
 */
int64_t reclaim_trim(struct sim_guest *guest, const struct sim_wanted *want, int64_t bytes);

/* Whether waiting for swap would free memory. */
bool reclaim_swap_helps(const struct sim_guest *guest);

/* Bytes per second of the guest's swap. */
int64_t reclaim_swap_speed(const struct sim_guest *guest);

/* Subtracts @bytes from what is swapped: they were read back, or freed. */
void reclaim_drop_swapped(struct sim_guest *guest, int64_t bytes);

#endif
