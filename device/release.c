/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/release.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define OWN_PROCESS (-10000) /* PIDFD_SELF_THREAD, Linux 6.15 */
#define VECTOR_MAX 256	     /* runs that one block of 512 pages can have */

static void *host_address(const struct memory_region *region, uint64_t gpa)
{
	return region->host + (gpa - region->gpa);
}

static off_t file_offset(const struct memory_region *region, uint64_t gpa)
{
	return (off_t)(region->fd_offset + (gpa - region->gpa));
}

/* Counts a call that was @done, or failed with errno; returns @done. */
static bool count_call(struct release *release, bool done, uint64_t bytes)
{
	release->calls++;
	if (done) {
		release->bytes += bytes;
	} else {
		release->failed++;
		release->error = errno;
	}
	return done;
}

bool release_fits(const struct memory_region *region, uint64_t gpa, uint64_t size)
{
	uint64_t offset = region->fd < 0 ? gpa : (uint64_t)file_offset(region, gpa);

	return (offset | size) % region->page_bytes == 0;
}

bool release_range(struct release *release, const struct memory_region *region, uint64_t gpa,
		   uint64_t size)
{
	int result;

	if (!region->writable || !release_fits(region, gpa, size)) {
		errno = EINVAL;
		return count_call(release, false, 0);
	}
	if (region->fd < 0)
		result = madvise(host_address(region, gpa), size, MADV_DONTNEED);
	else
		result = fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   file_offset(region, gpa), (off_t)size);
	return count_call(release, result == 0, size);
}

/* All runs in one call; false if the kernel does not support that, or released only some. */
static bool release_vector(struct release *release, const struct memory_region *region,
			   const struct release_run *runs, unsigned int runs_count)
{
	struct iovec vector[VECTOR_MAX];
	uint64_t bytes = 0;
	long done;

	if (release->no_vectors || runs_count > VECTOR_MAX)
		return false;
	for (unsigned int i = 0; i < runs_count; i++) {
		vector[i].iov_base = host_address(region, runs[i].gpa);
		vector[i].iov_len = runs[i].size;
		bytes += runs[i].size;
	}
	done = syscall(SYS_process_madvise, OWN_PROCESS, vector, runs_count, MADV_DONTNEED, 0);
	if (done < 0 || (uint64_t)done != bytes) {
		release->no_vectors = true;
		return false;
	}
	return count_call(release, true, bytes);
}

void release_runs(struct release *release, const struct memory_region *region,
		  const struct release_run *runs, unsigned int runs_count)
{
	if (region->fd < 0 && runs_count > 1 && release_vector(release, region, runs, runs_count))
		return;
	for (unsigned int i = 0; i < runs_count; i++)
		release_range(release, region, runs[i].gpa, runs[i].size);
}

bool release_populate(const struct memory_region *region, uint64_t gpa, uint64_t size)
{
	if (!region->writable)
		return false;
	if (region->fd < 0)
		return madvise(host_address(region, gpa), size, MADV_POPULATE_WRITE) == 0;
	return fallocate(region->fd, FALLOC_FL_KEEP_SIZE, file_offset(region, gpa), (off_t)size) ==
	       0;
}
