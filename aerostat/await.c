/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: what counts is the least distance from the target seen
 * so far.  A guest under pressure whose driver deflates on OOM see-saws for
 * ever; its distance shrinks and grows, but the least distance stands still,
 * and that is a stall.
 */
#include "aerostat/await.h"

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void await_start(struct await *await, uint64_t before_bytes, uint64_t target_bytes, int64_t now_us,
		 int64_t stall_us, int64_t timeout_us)
{
	*await = (struct await){
		.before_bytes = before_bytes,
		.target_bytes = target_bytes,
		.started_us = now_us,
		.stall_us = stall_us,
		.timeout_us = timeout_us,
		.actual_bytes = before_bytes,
		.best_distance = distance(before_bytes, target_bytes),
		.progress_us = now_us,
	};
}

enum await_verdict await_step(struct await *await, int64_t now_us, uint64_t actual_bytes)
{
	uint64_t left = distance(actual_bytes, await->target_bytes);

	if (actual_bytes != await->before_bytes && !await->first_move_us)
		await->first_move_us = now_us;
	await->actual_bytes = actual_bytes;
	if (left < AWAIT_PAGE_BYTES)
		return AWAIT_REACHED;
	if (left + AWAIT_PROGRESS_BYTES <= await->best_distance) {
		await->best_distance = left;
		await->progress_us = now_us;
	}
	if (now_us - await->progress_us >= await->stall_us)
		return AWAIT_STALLED;
	if (now_us - await->started_us >= await->timeout_us)
		return AWAIT_TIMEOUT;
	return AWAIT_GOING;
}

double await_fraction(const struct await *await)
{
	uint64_t way = distance(await->before_bytes, await->target_bytes);
	uint64_t left = distance(await->actual_bytes, await->target_bytes);

	if (!way)
		return 1;
	return left >= way ? 0 : 1 - (double)left / (double)way;
}
