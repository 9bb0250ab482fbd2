/* SPDX-License-Identifier: BSD-3-Clause */
/* How much the host keeps for what all guests together begin to use at once.  In bytes. */
#ifndef AEROSTAT_POOL_H
#define AEROSTAT_POOL_H

#include "policy/policy.h"
#include "policy/reserve.h"

#define POOL_SLOTS 6

/* How all guests' memory on the host grew.  Starts as all zeros. */
struct pool {
	int64_t since_us;	   /* the first step; 0: none yet */
	int64_t slot_us;	   /* when the present slot began */
	double level;		   /* the sum of all changes so far */
	double lowest[POOL_SLOTS]; /* the lowest level in each slot, the present one first */
	struct growth growth;	   /* by how much it grew within the slots */
};

/*
 * pool_update - note how the guests' memory changed
 * @change: by how much those grew, together, that were there in the last step, too
 * @seconds: since the last step
 */
void pool_update(struct pool *pool, double change, double seconds, int64_t now_us);

/* What to keep on a host whose largest guest has @largest bytes. */
uint64_t pool_bytes(const struct pool *pool, uint64_t largest, int64_t now_us);

#endif
