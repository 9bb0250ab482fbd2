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
 * Demand follows need upwards at once and downwards slowly, so that a load that
 * comes and goes is not taken from in its gaps.  After a kill it does not fall at
 * all for a while: what was killed freed its memory and mostly is started again,
 * and a guest that was taken from meanwhile would kill it again.
 */
#include "policy/need.h"

#include "policy/constants.h"
#include "policy/numbers.h"

void need_first(struct need *need, uint64_t bytes)
{
	need->bytes = bytes;
	need->swapped = 0;
	if (!need->known || need->demand < (double)bytes)
		need->demand = (double)bytes;
	need->known = true;
}

static double now_swapped(const struct need *need, const struct change *change)
{
	double swapped = need->swapped * decay(change->seconds, SWAP_FORGET_S) +
			 change->counters[COUNTER_SWAP_OUT] - change->counters[COUNTER_SWAP_IN];

	if (swapped > (double)BYTES_MAX)
		return (double)BYTES_MAX;
	return swapped > 0 ? swapped : 0;
}

static void hold_after_kill(struct need *need, const struct change *change)
{
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		need->held_s = KILL_HOLD_S;
	else if (need->held_s > 0)
		need->held_s -= change->seconds;
}

/* How much of the difference to present need demand keeps. */
static double fall(const struct need *need, double seconds)
{
	return need->held_s > 0 ? 1 : decay(seconds, DEMAND_FALL_S);
}

double need_next(struct need *need, uint64_t bytes, const struct change *change)
{
	double grown = bytes > need->bytes ? (double)(bytes - need->bytes) : 0;
	double now;

	need->swapped = now_swapped(need, change);
	need->bytes = bytes;
	now = (double)bytes + need->swapped;
	hold_after_kill(need, change);
	if (now < need->demand)
		now += (need->demand - now) * fall(need, change->seconds);
	need->demand = now;
	return grown / change->seconds;
}
