/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deciding whether a balloon has arrived, moves, or is stuck.  Pure: no clock,
 * no I/O.
 */
#ifndef AEROSTAT_AWAIT_H
#define AEROSTAT_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

/* A balloon page; a guest within less than that of its target has reached it. */
#define AWAIT_PAGE_BYTES 4096
/* Less progress than this is none: a guest that fights for its memory see-saws. */
#define AWAIT_PROGRESS_BYTES (UINT64_C(1) << 20)

enum await_verdict {
	AWAIT_GOING,
	AWAIT_REACHED,
	AWAIT_STALLED, /* no progress for stall_us */
	AWAIT_TIMEOUT, /* still moving when timeout_us was over */
};

struct await {
	uint64_t before_bytes;
	uint64_t target_bytes;
	int64_t started_us;
	int64_t stall_us;
	int64_t timeout_us;

	uint64_t actual_bytes;	/* the last one seen */
	uint64_t best_distance; /* bytes from the target, the least seen */
	int64_t progress_us;	/* when that was, at the latest */
	int64_t first_move_us;	/* when the driver was first seen at work; 0 = never */
};

void await_start(struct await *await, uint64_t before_bytes, uint64_t target_bytes, int64_t now_us,
		 int64_t stall_us, int64_t timeout_us);
enum await_verdict await_step(struct await *await, int64_t now_us, uint64_t actual_bytes);
/* How much of the way is behind, 0 to 1. */
double await_fraction(const struct await *await);

#endif
