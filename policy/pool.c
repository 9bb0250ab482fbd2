/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool.
 *
 * Theory of operation
 * -------------------
 * A guest that reports free pages costs the host only what it uses.  So more may be promised to
 * such guests than the host has, as long as it has enough for what they begin to use before the
 * policy can do something about it: see it, and take memory back.  Both together take about three
 * seconds.  Guests rarely burst at the same time, so what has to be kept for the growth of their
 * sum is much less than what would have to be kept in each of them.
 *
 * The growth is that of memory on the host, whatever the guests report.  Guests that start or end
 * do not count as growth.  It is kept as a histogram (reserve.c) of the differences between the
 * sum and its lowest value within the last three seconds, in slots of half a second.  The
 * histogram knows nothing at first.  So a part of the largest guest is assumed, which fades over
 * the first ten minutes.
 */
#include "policy/pool.h"

#include "policy/constants.h"
#include "policy/numbers.h"

static void begin_slot(struct pool *pool, int64_t now_us)
{
	for (int i = POOL_SLOTS - 1; i > 0; i--)
		pool->lowest[i] = pool->lowest[i - 1];
	pool->lowest[0] = pool->level;
	pool->slot_us = now_us;
}

void pool_update(struct pool *pool, double change, double seconds, int64_t now_us)
{
	double lowest;

	if (!pool->since_us) {
		pool->since_us = pool->slot_us = now_us;
		return;
	}
	if (pool->slot_us < now_us - POOL_SLOTS * POOL_SLOT_US)
		pool->slot_us = now_us - POOL_SLOTS * POOL_SLOT_US;
	while (now_us - pool->slot_us >= POOL_SLOT_US)
		begin_slot(pool, pool->slot_us + POOL_SLOT_US);
	pool->level += change;
	lowest = pool->lowest[0];
	for (int i = 0; i < POOL_SLOTS; i++)
		lowest = pool->lowest[i] < lowest ? pool->lowest[i] : lowest;
	if (pool->level < pool->lowest[0])
		pool->lowest[0] = pool->level;
	growth_record(&pool->growth, pool->level > lowest ? pool->level - lowest : 0, seconds);
}

uint64_t pool_bytes(const struct pool *pool, uint64_t largest, int64_t now_us)
{
	double grown = POOL_PART * growth_exceeded(&pool->growth, POOL_RARE);
	double age = (double)(now_us - pool->since_us) / (double)POOL_PRIOR_US;
	double prior = age < 1 ? POOL_PRIOR_PART * (1 - age) * (double)largest : 0;

	return (uint64_t)(grown > prior ? grown : prior);
}
