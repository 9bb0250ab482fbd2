/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Distress.
 *
 * Theory of operation
 * -------------------
 * There are two kinds of evidence.  The first is how much is available in the guest,
 * compared with what should be: the counterpart of its need, so the division takes care of
 * it.  The second is what the guest does: OOM kills, stalls, reading from swap, major faults,
 * waiting for memory.  That shows that its need is larger than its statistics say, so the
 * division then uses its present size as its need (view.c).
 *
 * Allocation stalls count only together with much scanning.  Stalls without scanning come
 * from a limit inside the guest, for example a container's, which more memory does not lift.
 */
#include "policy/distress.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

void symptoms_reset(struct symptoms *symptoms)
{
	*symptoms = (struct symptoms){ .usual_faults = -1 };
}

static bool faults_are_unusual(struct symptoms *symptoms, double faults, double seconds)
{
	double usual = symptoms->usual_faults < 0 ? faults : symptoms->usual_faults;

	symptoms->usual_faults = faults + (usual - faults) * decay_factor(seconds, FAULTS_USUAL_S);
	return faults > FAULTS_PER_S && faults > FAULTS_FACTOR * usual;
}

void symptoms_update(struct symptoms *symptoms, const struct change *change, int64_t taken_us)
{
	double waiting = change_rate(change, COUNTER_PSI_SOME) / (double)SECOND_US;
	double refaults = change_rate(change, COUNTER_REFAULT);

	if (change->counters[COUNTER_OOM_KILLS] > 0)
		symptoms->killed_us = taken_us;
	symptoms->stalling = change_rate(change, COUNTER_ALLOC_STALLS) > STALLS_PER_S &&
			     change_rate(change, COUNTER_DIRECT_SCAN) > SCANS_BYTES_PER_S;
	symptoms->swapping = change_rate(change, COUNTER_SWAP_IN) > SWAP_IN_BYTES_PER_S;
	symptoms->faulting = faults_are_unusual(symptoms, change_rate(change, COUNTER_MAJOR_FAULTS),
						change->seconds);
	symptoms->waiting = waiting > PSI_SHARE;
	/* Drivers that do not report refaults show them as faults without reading from swap. */
	symptoms->refaulting =
		refaults > TRIM_REFAULT_BYTES_PER_S || (symptoms->faulting && !symptoms->swapping);
	if (symptoms->waiting || symptoms->refaulting)
		symptoms->hurt_us = taken_us;
}

uint64_t distress_margin(uint64_t demand)
{
	return (uint64_t)((double)headroom_bytes(demand + HEADROOM_MIN_BYTES) * CRITICAL_MARGIN);
}

struct distress distress_judge(const struct symptoms *symptoms, uint64_t actual, uint64_t available,
			       uint64_t reserve, int64_t now_us)
{
	bool killing = symptoms->killed_us && now_us - symptoms->killed_us < KILL_REMEMBER_US;
	struct distress distress = {
		.critical = killing || symptoms->stalling || available < headroom_bytes(actual),
		.hurting = killing || symptoms->stalling || symptoms->swapping ||
			   symptoms->faulting || symptoms->waiting,
	};

	distress.pressured = distress.critical || distress.hurting || available < reserve / 2;
	return distress;
}
