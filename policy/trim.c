/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trim.
 *
 * Theory of operation
 * -------------------
 * Linux fills free memory with page cache, most of which is not read again.  A guest that can trim
 * gives it up on request, and keeps its size: it can fill it again with something better.  Which
 * cache is cold nobody knows, but the kernel gives up the coldest first.  So it is asked for a
 * little all the time, until it reads back what it gave up (need.c): then what it still has is in
 * use.  It is asked for more when the host is short.  After refaults or waiting tasks it is left
 * alone for a while.
 */
#include "policy/trim.h"

#include "policy/constants.h"
#include "policy/numbers.h"
#include "policy/view.h"

uint64_t trim_bytes(const struct view *view, const struct round *round)
{
	const struct policy_guest *guest = view->guest;
	const struct policy_host *host = round->host;
	int64_t hurt_us = view->history->symptoms.hurt_us;
	double cold, part = TRIM_PART_PER_S;

	if (!(guest->abilities & POLICY_CAN_TRIM) || !view->movable || !view->usable ||
	    guest->cache_bytes == POLICY_UNSET || view->distress.hurting ||
	    (hurt_us && host->now_us - hurt_us < TRIM_BACKOFF_US))
		return 0;
	if (host->available_bytes < host->total_bytes / TRIM_SHORT_PART)
		part = TRIM_SHORT_PART_PER_S;
	cold = (double)min_u64(guest->cache_bytes, view->actual) - view->history->need.cached;
	cold -= TRIM_KEEP_PART * (double)view->actual;
	return cold > 0 ? round_down((uint64_t)(part * cold * round->seconds), ROUND_BYTES) : 0;
}
