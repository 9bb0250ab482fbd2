/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/play_ways.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct play_times play_times(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct play_times){
		.cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID),
		.system_s = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6,
		.wall_s = seconds(CLOCK_MONOTONIC),
	};
}

void play_measured(struct play *play, const struct play_times *since)
{
	struct play_times now = play_times();

	play->cpu_s = now.cpu_s - since->cpu_s;
	play->system_s = now.system_s - since->system_s;
	play->wall_s = now.wall_s - since->wall_s;
}

static void release(struct play *play, uint64_t from, uint64_t bytes)
{
	const struct backing *backing = play->backing;
	int result;

	if (backing->fd < 0)
		result = madvise(backing->host + from, bytes, MADV_DONTNEED);
	else
		result = fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)from, (off_t)bytes);
	play->calls++;
	if (result == 0)
		play->released_bytes += bytes;
	else
		play->failed++;
}

/* Releases a huge page with its last page, if no page of another huge page came in between. */
static void release_huge_pages(struct play *play)
{
	enum { PAGES = PLAY_BLOCK_BYTES / PLAY_PAGE_BYTES };
	const struct play_stream *stream = play->stream;
	uint32_t block = UINT32_MAX, count = 0;
	bool seen[PAGES];

	for (size_t i = 0; i < stream->count; i++) {
		uint32_t pfn = stream->pfns[i];

		if (pfn / PAGES != block) {
			block = pfn / PAGES;
			count = 0;
			memset(seen, 0, sizeof(seen));
		}
		count += !seen[pfn % PAGES];
		seen[pfn % PAGES] = true;
		if (count < PAGES)
			continue;
		release(play, block * PLAY_BLOCK_BYTES, PLAY_BLOCK_BYTES);
		block = UINT32_MAX;
	}
}

static const char *per_page(struct play *play)
{
	const struct play_stream *stream = play->stream;
	struct play_times start = play_times();

	if (play->backing->kind->hugetlb)
		release_huge_pages(play);
	else
		for (size_t i = 0; i < stream->count; i++)
			release(play, stream->pfns[i] * PLAY_PAGE_BYTES, PLAY_PAGE_BYTES);
	play_measured(play, &start);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Sorts PFNs; PFNs in descending order, in which Linux sends most, are only reversed. */
static void sort(uint32_t *pfns, size_t count)
{
	bool falling = true;

	for (size_t i = 1; i < count && falling; i++)
		falling = pfns[i] < pfns[i - 1];
	if (!falling) {
		qsort(pfns, count, sizeof(*pfns), compare);
		return;
	}
	for (size_t i = 0; i < count / 2; i++) {
		uint32_t swapped = pfns[i];

		pfns[i] = pfns[count - 1 - i];
		pfns[count - 1 - i] = swapped;
	}
}

static void release_buffer(struct play *play, const uint32_t *from, size_t count)
{
	uint32_t pfns[PLAY_BUFFER_PFNS];
	size_t first = 0;

	memcpy(pfns, from, count * sizeof(*pfns));
	sort(pfns, count);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && pfns[i] == pfns[i - 1] + 1)
			continue;
		release(play, pfns[first] * PLAY_PAGE_BYTES, (i - first) * PLAY_PAGE_BYTES);
		first = i;
	}
}

static const char *per_buffer(struct play *play)
{
	const struct play_stream *stream = play->stream;
	struct play_times start = play_times();

	for (size_t at = 0; at < stream->count; at += PLAY_BUFFER_PFNS) {
		size_t left = stream->count - at;

		release_buffer(play, stream->pfns + at,
			       left < PLAY_BUFFER_PFNS ? left : PLAY_BUFFER_PFNS);
	}
	play_measured(play, &start);
	return NULL;
}

/* A buffer covers 1 MiB, which never contains a huge page. */
static bool not_hugetlb(const struct backing_kind *kind)
{
	return !kind->hugetlb;
}

const struct way ways[] = {
	{ .name = "device", .run = play_device },
	{ .name = "device-untold", .run = play_device_untold, .can = not_hugetlb },
	{ .name = "per-page", .run = per_page },
	{ .name = "per-buffer", .run = per_buffer, .can = not_hugetlb },
};
const unsigned int way_count = sizeof(ways) / sizeof(ways[0]);
