/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: what counts is the smallest distance from the target so far.  If a
 * guest is under pressure and its driver deflates on OOM, its size goes up and down forever,
 * but the smallest distance stays the same, and that is a stall.
 */
#include "resize/balloon_wait.h"

#include "common/size.h"

void balloon_wait_start(struct balloon_wait *wait, uint64_t before_bytes, uint64_t target_bytes,
			int64_t now_us, int64_t stall_us, int64_t timeout_us)
{
	*wait = (struct balloon_wait){
		.before_bytes = before_bytes,
		.target_bytes = target_bytes,
		.started_us = now_us,
		.stall_us = stall_us,
		.timeout_us = timeout_us,
		.actual_bytes = before_bytes,
		.least_bytes = before_bytes,
		.best_distance = size_difference(before_bytes, target_bytes),
		.progress_us = now_us,
	};
}

void balloon_wait_continue(struct balloon_wait *wait, uint64_t target_bytes, int64_t now_us)
{
	wait->target_bytes = target_bytes;
	wait->best_distance = size_difference(wait->actual_bytes, target_bytes);
	wait->progress_us = now_us;
}

enum balloon_wait_verdict balloon_wait_update(struct balloon_wait *wait, int64_t now_us,
					      uint64_t actual_bytes)
{
	uint64_t left = size_difference(actual_bytes, wait->target_bytes);

	if (actual_bytes != wait->before_bytes && !wait->first_move_us)
		wait->first_move_us = now_us;
	wait->actual_bytes = actual_bytes;
	wait->least_bytes = MIN(wait->least_bytes, actual_bytes);
	if (left < BALLOON_PAGE_BYTES)
		return BALLOON_WAIT_REACHED;
	if (left + BALLOON_WAIT_PROGRESS_BYTES <= wait->best_distance) {
		wait->best_distance = left;
		wait->progress_us = now_us;
	}
	if (now_us - wait->progress_us >= wait->stall_us)
		return BALLOON_WAIT_STALLED;
	if (now_us - wait->started_us >= wait->timeout_us)
		return BALLOON_WAIT_TIMEOUT;
	return BALLOON_WAIT_GOING;
}

uint64_t balloon_wait_taken_back(const struct balloon_wait *wait)
{
	return wait->target_bytes < wait->before_bytes ? wait->actual_bytes - wait->least_bytes : 0;
}

double balloon_wait_fraction(const struct balloon_wait *wait)
{
	uint64_t way = size_difference(wait->before_bytes, wait->target_bytes);
	uint64_t left = size_difference(wait->actual_bytes, wait->target_bytes);

	if (!way)
		return 1;
	return left >= way ? 0 : 1 - (double)left / (double)way;
}
