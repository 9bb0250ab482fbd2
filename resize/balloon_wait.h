/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judging a balloon that is on its way to a target: has it arrived, is it still
 * moving, or is it stuck?  Pure: no clock, no I/O.
 */
#ifndef AEROSTAT_RESIZE_BALLOON_WAIT_H
#define AEROSTAT_RESIZE_BALLOON_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* The size of a balloon page; a guest that is less than that from its target has reached it. */
#define BALLOON_PAGE_BYTES 4096
/* Less than this does not count as progress: the size of a guest under pressure oscillates. */
#define BALLOON_WAIT_PROGRESS_BYTES (UINT64_C(1) << 20)

enum balloon_wait_verdict {
	BALLOON_WAIT_GOING,
	BALLOON_WAIT_REACHED,
	BALLOON_WAIT_STALLED, /* no progress for stall_us */
	BALLOON_WAIT_TIMEOUT, /* still moving after timeout_us */
};

/* One wait.  Times are monotonic, in microseconds. */
struct balloon_wait {
	uint64_t before_bytes;
	uint64_t target_bytes;
	int64_t started_us;
	int64_t stall_us;
	int64_t timeout_us;

	uint64_t actual_bytes;	/* the latest size */
	uint64_t least_bytes;	/* the smallest size so far */
	uint64_t best_distance; /* the smallest distance from the target so far, in bytes */
	int64_t progress_us;	/* when best_distance last fell */
	int64_t first_move_us;	/* when the size was first seen to differ; 0: not yet */
};

/*
 * balloon_wait_start - begin to wait, at @now_us
 * @before_bytes: the guest's size now
 * @target_bytes: the size to wait for
 * @stall_us: without progress for this long, the balloon is stuck
 * @timeout_us: how long to wait at most
 */
void balloon_wait_start(struct balloon_wait *wait, uint64_t before_bytes, uint64_t target_bytes,
			int64_t now_us, int64_t stall_us, int64_t timeout_us);

/* Goes on to another target in the same direction: without a stall so far, until the same end. */
void balloon_wait_continue(struct balloon_wait *wait, uint64_t target_bytes, int64_t now_us);

/* Takes the guest's size at @now_us into account and says whether to go on waiting. */
enum balloon_wait_verdict balloon_wait_update(struct balloon_wait *wait, int64_t now_us,
					      uint64_t actual_bytes);

/* What a guest that is to shrink has taken back since it was smallest; 0 for one that grows. */
uint64_t balloon_wait_taken_back(const struct balloon_wait *wait);

/* How much of the way to the target is done, from 0 to 1. */
double balloon_wait_fraction(const struct balloon_wait *wait);

#endif
