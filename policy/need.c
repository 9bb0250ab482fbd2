/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Need and demand.
 *
 * Theory of operation
 * -------------------
 * Need is the guest's size less what it reports as available, both at the same moment.
 * That is right however the guest accounts for its balloon, but it misses two things.
 *
 * The first is swap.  A guest that is shrunk swaps, and swapping *raises* what is available,
 * so the guest seems to need less the more it suffers.  So what was swapped out and not read
 * back is added.  It fades over ten minutes, because what is not read back is not missed.
 *
 * The second is page cache.  The guest reports all of it as available, whether it is read
 * every second or never again.  A guest that is shrunk drops both kinds, and only then shows
 * which it was: cache in use is read back, seen as major faults without reading from swap.
 * The cache that the guest has then counts as needed.  It fades over ten minutes, because
 * idle cache causes no more faults.
 *
 * Demand follows need up at once and down slowly, so that a load that comes and goes keeps
 * its memory in between.  After an OOM kill it does not fall at all for a while: the killed
 * process freed its memory, is usually started again, and would be killed again if the
 * guest had been shrunk meanwhile.  The statistics do not show how much was missing, because
 * the kill happened between two samples.  They show only that the size was too small, so
 * demand is raised above that size (view.c), however much is available afterwards.
 */
#include "policy/need.h"

#include "policy/constants.h"
#include "policy/numbers.h"

void need_start(struct need *need, uint64_t bytes)
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
	double swapped = need->swapped * decay_factor(change->seconds, SWAP_FORGET_S) +
			 change->counters[COUNTER_SWAP_OUT] - change->counters[COUNTER_SWAP_IN];

	if (swapped > (double)BYTES_MAX)
		return (double)BYTES_MAX;
	return swapped > 0 ? swapped : 0;
}

double need_current(const struct need *need)
{
	return (double)need->bytes + need->swapped + need->cached;
}

static void raise_number(double *number, uint64_t bytes)
{
	double floor = (double)min_u64(bytes, BYTES_MAX);

	if (*number < floor)
		*number = floor;
}

void need_note_proof(struct need *need, uint64_t bytes)
{
	raise_number(&need->demand, bytes);
}

void need_note_hot_cache(struct need *need, uint64_t cache)
{
	raise_number(&need->cached, cache);
}

static void hold_demand_after_kill(struct need *need, const struct change *change)
{
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		need->held_s = KILL_HOLD_S;
	else if (need->held_s > 0)
		need->held_s -= change->seconds;
}

/* How much of its excess over need demand keeps, 0…1. */
static double demand_decay(const struct need *need, double seconds, double fall_s)
{
	return need->held_s > 0 ? 1 : decay_factor(seconds, fall_s);
}

double need_update(struct need *need, uint64_t bytes, const struct change *change, double fall_s)
{
	double grown = bytes > need->bytes ? (double)(bytes - need->bytes) : 0;
	double now;

	need->swapped = swapped_bytes(need, change);
	need->cached *= decay_factor(change->seconds, CACHE_FORGET_S);
	need->bytes = bytes;
	now = need_current(need);
	hold_demand_after_kill(need, change);
	if (now < need->demand)
		now += (need->demand - now) * demand_decay(need, change->seconds, fall_s);
	need->demand = now;
	return grown / change->seconds;
}
