/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/play_backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif

static int sized(int fd, uint64_t bytes)
{
	if (fd < 0 || ftruncate(fd, (off_t)bytes) == 0)
		return fd;
	close(fd);
	return -1;
}

static int open_memfd(uint64_t bytes)
{
	return sized(memfd_create("ram", MFD_CLOEXEC), bytes);
}

static int open_hugetlb(uint64_t bytes)
{
	return sized(memfd_create("ram", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB), bytes);
}

/* Moves this process to its own mount namespace, once, so that its mounts are private. */
static int leave_mounts(void)
{
	static bool left;

	if (left)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	left = true;
	return 0;
}

/* Opens a file on a tmpfs that uses huge pages wherever it can; the tmpfs is unmounted already. */
static int open_shmem_thp(uint64_t bytes)
{
	char folder[] = "/tmp/device-play-XXXXXX";
	int fd = -1, error;

	if (leave_mounts() < 0 || !mkdtemp(folder))
		return -1;
	if (mount("tmpfs", folder, "tmpfs", 0, "huge=always,size=100%") == 0) {
		fd = sized(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), bytes);
		error = errno;
		umount2(folder, MNT_DETACH);
		errno = error;
	}
	error = errno;
	rmdir(folder);
	errno = error;
	return fd;
}

const struct backing_kind backing_kinds[] = {
	{ .name = "anonymous", .advice = MADV_NOHUGEPAGE },
	{ .name = "anonymous-thp", .advice = MADV_HUGEPAGE, .huge = true },
	{ .name = "memfd", .advice = -1, .open = open_memfd },
	{ .name = "memfd-two", .advice = -1, .open = open_memfd, .other = true },
	{ .name = "shmem-thp", .advice = -1, .open = open_shmem_thp, .huge = true },
	{ .name = "hugetlb", .advice = -1, .open = open_hugetlb, .huge = true, .hugetlb = true },
};
const unsigned int backing_kind_count = sizeof(backing_kinds) / sizeof(backing_kinds[0]);

/* Maps it at a multiple of 2 MiB, because otherwise no page of it could be huge. */
static int map(struct backing *backing)
{
	int flags = MAP_FIXED | MAP_NORESERVE;
	void *at;

	backing->reserved = mmap(NULL, backing->bytes + PLAY_BLOCK_BYTES, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (backing->reserved == MAP_FAILED) {
		backing->reserved = NULL;
		return -1;
	}
	at = backing->reserved + -(uintptr_t)backing->reserved % PLAY_BLOCK_BYTES;
	flags |= backing->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	backing->host = mmap(at, backing->bytes, PROT_READ | PROT_WRITE, flags, backing->fd, 0);
	if (backing->host == MAP_FAILED)
		return -1;
	return backing->kind->advice < 0 ? 0 : madvise(at, backing->bytes, backing->kind->advice);
}

/* Starts a process that maps and touches all of it, and exists until backing_close(). */
static const char *start_other(struct backing *backing)
{
	char ready = 0;
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return strerror(errno);
	backing->other = fork();
	if (backing->other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ready = !backing_touch(backing);
		if (write(pipes[1], &ready, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(pipes[1]);
	if (backing->other < 0 || read(pipes[0], &ready, 1) != 1)
		ready = 0;
	close(pipes[0]);
	return ready ? NULL : "no second process that maps it";
}

const char *backing_open(struct backing *backing, const struct backing_kind *kind, uint64_t bytes)
{
	const char *why;

	*backing = (struct backing){ .kind = kind, .bytes = bytes, .fd = -1 };
	if (kind->open) {
		backing->fd = kind->open(bytes);
		if (backing->fd < 0)
			return strerror(errno);
	}
	/* Without enough pages in the pool, mmap() or the first touch fails. */
	why = map(backing) < 0 ? strerror(errno) : backing_touch(backing);
	if (!why && kind->other)
		why = start_other(backing);
	if (why)
		backing_close(backing);
	return why;
}

const char *backing_touch(const struct backing *backing)
{
	if (madvise(backing->host, backing->bytes, MADV_POPULATE_WRITE) < 0)
		return strerror(errno);
	return NULL;
}

static bool is_huge(const char *line, uint64_t *bytes)
{
	static const char *const keys[] = { "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:",
					    "Shared_Hugetlb:", "Private_Hugetlb:" };
	uint64_t kib;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t length = strlen(keys[i]);

		if (strncmp(line, keys[i], length) == 0 &&
		    sscanf(line + length, "%" SCNu64, &kib) == 1) {
			*bytes = kib << 10;
			return true;
		}
	}
	return false;
}

uint64_t backing_huge_bytes(const struct backing *backing)
{
	uintptr_t begin = (uintptr_t)backing->host, end = begin + backing->bytes;
	uint64_t total = 0, bytes, from, to;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2)
			inside = from >= begin && to <= end;
		else if (inside && is_huge(line, &bytes))
			total += bytes;
	}
	if (smaps)
		fclose(smaps);
	return total;
}

/* Returns the sum of the numbers after @key, over all lines of the file that start with it. */
static uint64_t sum_of(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	uint64_t sum = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		const char *word = line + strspn(line, " ");

		if (strncmp(word, key, strlen(key)) == 0)
			sum += strtoull(word + strlen(key), NULL, 10);
	}
	if (file)
		fclose(file);
	return sum;
}

uint64_t backing_host_free_bytes(const struct backing *backing)
{
	if (backing->kind->hugetlb)
		return sum_of("/proc/meminfo", "HugePages_Free:") * PLAY_BLOCK_BYTES;
	/* Much of what was just freed is on per-CPU lists, which MemFree does not include. */
	return sum_of("/proc/meminfo", "MemFree:") * 1024 +
	       sum_of("/proc/zoneinfo", "count:") * PLAY_PAGE_BYTES;
}

void backing_close(struct backing *backing)
{
	if (backing->other > 0) {
		kill(backing->other, SIGKILL);
		waitpid(backing->other, NULL, 0);
	}
	if (backing->reserved)
		munmap(backing->reserved, backing->bytes + PLAY_BLOCK_BYTES);
	if (backing->fd >= 0)
		close(backing->fd);
	*backing = (struct backing){ .kind = backing->kind, .fd = -1 };
}
