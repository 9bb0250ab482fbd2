/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kinds of memory that a guest can have, for device_play.c.
 *
 * Each kind is mapped once, as a VMM does, and touched completely; the device
 * maps files a second time by itself.  If a kind is not available, the functions
 * return the reason.
 */
#ifndef AEROSTAT_BENCH_PLAY_BACKING_H
#define AEROSTAT_BENCH_PLAY_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PLAY_PAGE_BYTES UINT64_C(4096)
#define PLAY_BLOCK_BYTES (UINT64_C(2) << 20)

struct backing_kind {
	const char *name;
	int advice;		     /* of madvise(), or -1 */
	int (*open)(uint64_t bytes); /* a file, or -1 with errno; NULL: anonymous memory */
	bool huge;		     /* is anything huge about it */
	bool hugetlb;		     /* huge pages that go whole or not at all */
	bool other;		     /* a second process maps it, too */
};
extern const struct backing_kind backing_kinds[];
extern const unsigned int backing_kind_count;

struct backing {
	const struct backing_kind *kind;
	uint64_t bytes;
	uint8_t *host;
	uint8_t *reserved; /* the address space that holds it aligned */
	int fd;		   /* or -1 */
	pid_t other;	   /* the second process, or 0 */
};

/* Creates @bytes of it and touches them all; returns NULL, or why it is not available. */
const char *backing_open(struct backing *backing, const struct backing_kind *kind, uint64_t bytes);
/* Makes the host back every page; returns NULL or the reason of a failure. */
const char *backing_touch(const struct backing *backing);
/* How much of it is in huge pages, according to /proc/self/smaps. */
uint64_t backing_huge_bytes(const struct backing *backing);
/* Returns how much memory of this kind is free on the host. */
uint64_t backing_host_free_bytes(const struct backing *backing);
void backing_close(struct backing *backing);

#endif
