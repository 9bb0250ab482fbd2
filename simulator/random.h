/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo-random numbers from a seed, the same on every machine (SplitMix64). */
#ifndef AEROSTAT_RANDOM_H
#define AEROSTAT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

/* 0 ≤ x < 2^64 */
static inline uint64_t sim_random_next(struct sim_random *random)
{
	uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* 0 ≤ x < 1 */
static inline double sim_random_unit(struct sim_random *random)
{
	return (double)(sim_random_next(random) >> 11) * 0x1p-53;
}

/* low ≤ x < high */
static inline double sim_random_between(struct sim_random *random, double low, double high)
{
	return low + (high - low) * sim_random_unit(random);
}

/* True with this probability, 0…1. */
static inline bool sim_random_chance(struct sim_random *random, double probability)
{
	return sim_random_unit(random) < probability;
}

/* 0 ≤ i < count */
static inline uint32_t sim_random_pick(struct sim_random *random, uint32_t count)
{
	return (uint32_t)(sim_random_unit(random) * count);
}

#endif
