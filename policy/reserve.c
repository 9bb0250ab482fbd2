/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reserve: as much as a guest may need before the policy can react.
 *
 * Theory of operation
 * -------------------
 * It is the largest of four amounts: a part of the demand; what one starting process takes;
 * what a Linux guest of that size must be left with (floor.h); and the growth that was seen
 * of this guest times the measured time until relief.
 *
 * Growth is kept as a histogram of time by speed: four classes per octave (19 % each) from
 * 1 MiB/s up, fading with a time constant of an hour.  So the 99th percentile needs no list
 * of samples.  In the first 100 s it is the maximum, which errs on the safe side.
 *
 * The floor is that of the size which the guest is to have, not of its present size:
 * size = demand + floor(size).  The loop solves this, because floor() rises by at most half as
 * much as its argument.  So what a guest wants does not depend on what it has, and its target
 * does not chase itself.
 */
#include "policy/reserve.h"

#include "policy/constants.h"
#include "policy/floor.h"
#include "policy/numbers.h"

#define CLASS_FACTOR 1.189207115002721 /* the fourth root of 2 */
#define FLOOR_ROUNDS 12		       /* each halves the error: less than 1/4000 is left */

static int growth_class(double bytes_per_s)
{
	double limit = GROWTH_MIN_BYTES_PER_S;
	int class = 0;

	while (class < GROWTH_CLASSES - 1 && bytes_per_s >= limit) {
		limit *= CLASS_FACTOR;
		class ++;
	}
	return class;
}

void growth_record(struct growth *growth, double bytes_per_s, double seconds)
{
	float left = (float)decay_factor(seconds, GROWTH_REMEMBER_S);

	for (int i = 0; i < GROWTH_CLASSES; i++)
		growth->seconds[i] *= left;
	growth->seconds[growth_class(bytes_per_s)] += (float)seconds;
}

void growth_record_relief(struct growth *growth, double seconds)
{
	double old = growth->relief_s > 0 ? growth->relief_s : RELIEF_FIRST_S;

	if (seconds > RELIEF_MAX_S)
		seconds = RELIEF_MAX_S;
	growth->relief_s = old + (seconds - old) * RELIEF_NEW_PART;
}

double growth_exceeded(const struct growth *growth, double part)
{
	double all = 0, above = 0, limit = GROWTH_MIN_BYTES_PER_S;
	int class = GROWTH_CLASSES;

	for (int i = 0; i < GROWTH_CLASSES; i++)
		all += (double)growth->seconds[i];
	while (class > 0 && above <= all * part)
		above += (double)growth->seconds[--class];
	for (int i = 0; i < class; i++)
		limit *= CLASS_FACTOR;
	return class > 0 ? limit : 0;
}

static uint64_t floor_above_demand(uint64_t demand)
{
	uint64_t floor = 0;

	for (int i = 0; i < FLOOR_ROUNDS; i++)
		floor = floor_bytes(demand + floor);
	return floor;
}

uint64_t reserve_for(double demand, const struct growth *growth)
{
	double relief = growth->relief_s > 0 ? growth->relief_s : RELIEF_FIRST_S;
	double burst = growth_exceeded(growth, GROWTH_RARE) * relief;
	uint64_t reserve = max_u64(RESERVE_MIN_BYTES, (uint64_t)(demand * RESERVE_PART));

	reserve = max_u64(reserve, floor_above_demand((uint64_t)demand));
	return max_u64(reserve, (uint64_t)burst);
}
