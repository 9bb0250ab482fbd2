/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving memory back to the host, and allocating it beforehand.
 *
 * Theory of operation
 * -------------------
 * The right call for each backing: madvise(MADV_DONTNEED) for private anonymous
 * memory, fallocate(FALLOC_FL_PUNCH_HOLE) for a file, which takes the pages
 * from everybody who maps it.  Huge pages of hugetlbfs go whole or not at all;
 * a transparent huge page that is released in parts is split, costs the host
 * as much as before, and comes back in small pages: so callers hand over
 * whole blocks where they can.  Each call costs more than the pages in it:
 * docs/device.md has the figures.
 *
 * Runs of an anonymous block go in one call of process_madvise(), where the
 * kernel allows DONTNEED for oneself and knows PIDFD_SELF (Linux 6.15).
 */
#ifndef AEROSTAT_DEVICE_RELEASE_H
#define AEROSTAT_DEVICE_RELEASE_H

#include "device/memory.h"

struct release {
	uint64_t calls;
	uint64_t bytes;
	uint64_t failed; /* calls */
	int error;	 /* of the last that failed, an errno */
	bool no_vectors; /* process_madvise() was tried and refused */
};

struct release_run {
	uint64_t gpa;
	uint64_t size;
};

/*
 * release_range - give [@gpa, @gpa + @size) of @region back; it is freed or left as it was
 *
 * False, and counted, when the host refuses; what is not a multiple of the backing's pages is
 * refused here.
 */
bool release_range(struct release *release, const struct memory_region *region, uint64_t gpa,
		   uint64_t size);

/* Several, ascending, of one region. */
void release_runs(struct release *release, const struct memory_region *region,
		  const struct release_run *runs, unsigned int count);

/* Can [@gpa, @gpa + @size) of @region be released without a part of a page left over? */
bool release_fits(const struct memory_region *region, uint64_t gpa, uint64_t size);

/* Allocates the memory of a range before the guest touches it; false when the host will not. */
bool release_undo(const struct memory_region *region, uint64_t gpa, uint64_t size);

#endif
