/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Distress.
 *
 * Theory of operation
 * -------------------
 * There are two kinds of evidence.  What a guest has available, against what it
 * should have: that is its need, seen from the other side, and the division
 * knows it already.  And what it does (kill, stall, swap in, fault, wait), which
 * shows that its need is larger than its numbers say; the division then takes
 * its present size for its need (view.c).
 *
 * Stalls count only with much scanning: stalls without it come from a limit
 * inside the guest, a container's, which more memory does not lift.
 */
#include "policy/distress.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

void signs_first(struct signs *signs)
{
	*signs = (struct signs){ .usual_faults = -1 };
}

static bool faults_are_unusual(struct signs *signs, double faults, double seconds)
{
	double usual = signs->usual_faults < 0 ? faults : signs->usual_faults;

	signs->usual_faults = faults + (usual - faults) * decay(seconds, FAULTS_USUAL_S);
	return faults > FAULTS_PER_S && faults > FAULTS_FACTOR * usual;
}

void signs_next(struct signs *signs, const struct change *change, int64_t taken_us)
{
	if (change->counters[COUNTER_OOM_KILLS] > 0)
		signs->killed_us = taken_us;
	signs->stalling = change_rate(change, COUNTER_ALLOC_STALLS) > STALLS_PER_S &&
			  change_rate(change, COUNTER_DIRECT_SCAN) > SCANS_BYTES_PER_S;
	signs->swapping = change_rate(change, COUNTER_SWAP_IN) > SWAP_IN_BYTES_PER_S;
	signs->faulting = faults_are_unusual(signs, change_rate(change, COUNTER_MAJOR_FAULTS),
					     change->seconds);
	signs->waiting = change_rate(change, COUNTER_PSI_SOME) > PSI_SHARE * (double)SECOND_US;
}

bool signs_refaulting(const struct signs *signs)
{
	return signs->faulting && !signs->swapping;
}

uint64_t distress_margin(uint64_t demand)
{
	return (uint64_t)((double)headroom_bytes(demand + HEADROOM_MIN_BYTES) * CRITICAL_MARGIN);
}

struct distress distress_judge(const struct signs *signs, uint64_t actual, uint64_t available,
			       uint64_t reserve, int64_t now_us)
{
	bool killing = signs->killed_us && now_us - signs->killed_us < KILL_REMEMBER_US;
	struct distress distress = {
		.critical = killing || signs->stalling || available < headroom_bytes(actual),
		.hurting = killing || signs->stalling || signs->swapping || signs->faulting ||
			   signs->waiting,
	};

	distress.pressured = distress.critical || distress.hurting || available < reserve / 2;
	return distress;
}
