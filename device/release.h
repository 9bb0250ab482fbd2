/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Returning memory to the host, and allocating it in advance.
 *
 * Theory of operation
 * -------------------
 * Each backing needs its own call: madvise(MADV_DONTNEED) for private anonymous
 * memory, fallocate(FALLOC_FL_PUNCH_HOLE) for a file, which takes the pages from
 * every process that maps it.  A huge page of hugetlbfs is released as a whole or
 * not at all.  A transparent huge page that is released in parts is split, costs
 * the host as much as before, and comes back as small pages.  So callers pass
 * whole blocks where they can.  A call costs more than the pages in it;
 * docs/device.md has the figures.
 *
 * The runs of an anonymous block are released by one process_madvise(), where the
 * kernel allows MADV_DONTNEED on the calling process and has PIDFD_SELF (Linux
 * 6.15).
 */
#ifndef AEROSTAT_DEVICE_RELEASE_H
#define AEROSTAT_DEVICE_RELEASE_H

#include "device/memory.h"

/* What was done so far.  All zero at the start. */
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
 * release_range - release [@gpa, @gpa + @size) of @region, entirely or not at all
 *
 * False, and counted as failed, if the host refuses, the region is read-only, or the range does not
 * consist of whole pages of the backing.
 */
bool release_range(struct release *release, const struct memory_region *region, uint64_t gpa,
		   uint64_t size);

/* Releases @count runs of one region, in ascending order, as release_range() does. */
void release_runs(struct release *release, const struct memory_region *region,
		  const struct release_run *runs, unsigned int count);

/* Does [@gpa, @gpa + @size) of @region consist of whole pages of its backing? */
bool release_fits(const struct memory_region *region, uint64_t gpa, uint64_t size);

/* Allocates the memory of a range before the guest touches it; false if the host refuses. */
bool release_populate(const struct memory_region *region, uint64_t gpa, uint64_t size);

#endif
