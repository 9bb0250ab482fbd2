/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Need and demand.
 *
 * Theory of operation
 * -------------------
 * Need is the size less what the guest calls available, both of one moment;
 * that is right however the guest accounts for its balloon.  It has a blind
 * spot: a guest that is taken from swaps, and swapping *raises* available, so
 * that it seems to need less the more it suffers.  Hence what went into swap
 * and did not come back is added, and forgotten over ten minutes, as what
 * nobody reads back nobody misses.
 *
 * The other blind spot is page cache, all of which the guest calls available,
 * whether it is read every second or never again.  A guest that is taken from
 * drops both, and only then shows which it was: what was in use it reads back,
 * as major faults without swapping in.  The cache that it has then counts, and
 * is forgotten over ten minutes, as cache that lies idle faults no more.
 *
 * Demand follows need upwards at once and downwards slowly, so that a load that
 * comes and goes is not taken from in its gaps.  After a kill it does not fall at
 * all for a while: what was killed freed its memory and mostly is started again,
 * and a guest that was taken from meanwhile would kill it again.  How much was
 * missing no statistics tell, as the kill came between two samples; only that the
 * size it had was too small, and so demand is more than that (view.c), however much
 * is available after.
 */
#include "policy/need.h"

#include "policy/constants.h"
#include "policy/numbers.h"

void need_first(struct need *need, uint64_t bytes)
{
	need->bytes = bytes;
	need->swapped = 0;
	need->cached = 0;
	if (!need->known || need->demand < (double)bytes)
		need->demand = (double)bytes;
	need->known = true;
}

static double swapped_bytes(const struct need *need, const struct change *change)
{
	double swapped = need->swapped * decay(change->seconds, SWAP_FORGET_S) +
			 change->counters[COUNTER_SWAP_OUT] - change->counters[COUNTER_SWAP_IN];

	if (swapped > (double)BYTES_MAX)
		return (double)BYTES_MAX;
	return swapped > 0 ? swapped : 0;
}

double need_now(const struct need *need)
{
	return (double)need->bytes + need->swapped + need->cached;
}

static void raise_demand(double *number, uint64_t bytes)
{
	double floor = (double)least(bytes, BYTES_MAX);

	if (*number < floor)
		*number = floor;
}

void need_killed(struct need *need, uint64_t bytes)
{
	raise_demand(&need->demand, bytes);
}

void need_cache(struct need *need, uint64_t cache)
{
	raise_demand(&need->cached, cache);
}

static void hold_demand_after_kill(struct need *need, const struct change *change)
{
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		need->held_s = KILL_HOLD_S;
	else if (need->held_s > 0)
		need->held_s -= change->seconds;
}

/* How much of the difference to present need demand keeps. */
static double let_demand_fall(const struct need *need, double seconds)
{
	return need->held_s > 0 ? 1 : decay(seconds, DEMAND_FALL_S);
}

double need_next(struct need *need, uint64_t bytes, const struct change *change)
{
	double grown = bytes > need->bytes ? (double)(bytes - need->bytes) : 0;
	double now;

	need->swapped = swapped_bytes(need, change);
	need->cached *= decay(change->seconds, CACHE_FORGET_S);
	need->bytes = bytes;
	now = need_now(need);
	hold_demand_after_kill(need, change);
	if (now < need->demand)
		now += (need->demand - now) * let_demand_fall(need, change->seconds);
	need->demand = now;
	return grown / change->seconds;
}
