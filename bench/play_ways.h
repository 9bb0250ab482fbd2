/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The methods of releasing a balloon's pages that device_play.c compares.
 *
 *	device		device/, as the device process runs it, with MUST_TELL_HOST
 *	device-untold	the same for a driver that does not know MUST_TELL_HOST
 *	per-page	one call per page, as QEMU and Cloud Hypervisor do (for a file they even
 *			make two, fallocate() and madvise()); for hugetlb, as QEMU: one partial
 *			huge page is tracked
 *	per-buffer	as Firecracker: a buffer's pages are sorted, and each run is one call
 */
#ifndef AEROSTAT_BENCH_PLAY_WAYS_H
#define AEROSTAT_BENCH_PLAY_WAYS_H

#include <stddef.h>

#include "bench/play_backing.h"

#define PLAY_BUFFER_PFNS 256 /* what stock Linux sends at a time */

struct play_stream {
	uint32_t *pfns;
	size_t count;
	uint32_t limit; /* all PFNs are below this one */
};

struct play {
	const struct play_stream *stream;
	const struct backing *backing;
	double rate_bytes; /* per second, by a clock that only the stream drives; 0: real time */
	/* The results. */
	uint64_t calls, failed;
	uint64_t released_bytes;
	double cpu_s, system_s, wall_s; /* until all that was inflated is released */
};

struct play_audit {
	uint64_t pages, resident;
	double cpu_s;
};

struct way {
	const char *name;
	/* Inflates the whole stream (measured), then deflates it; returns NULL or what failed. */
	const char *(*run)(struct play *play);
	bool (*can)(const struct backing_kind *kind); /* NULL: everything */
};
extern const struct way ways[];
extern const unsigned int way_count;

/*
 * Lets the device audit a balloon that holds the whole stream, first untouched and then with
 * every page touched.  Returns NULL or what failed.
 */
const char *play_audits(struct play *play, struct play_audit *untouched,
			struct play_audit *touched);

/* The process's CPU time, the kernel's part of it, and real time, in seconds. */
struct play_times {
	double cpu_s, system_s, wall_s;
};
struct play_times play_times(void);
void play_measured(struct play *play, const struct play_times *since);

/* play_device.c */
const char *play_device(struct play *play);
const char *play_device_untold(struct play *play);

#endif
