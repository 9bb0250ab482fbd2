/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small arithmetic.
 *
 * Only +, -, * and / of doubles are used here and in all of our policy, none of
 * libm's functions, whose last bit differs between machines: so a recording is
 * replayed bit for bit anywhere.
 */
#ifndef AEROSTAT_NUMBERS_H
#define AEROSTAT_NUMBERS_H

#include <stdint.h>

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t within(uint64_t value, uint64_t low, uint64_t high)
{
	return least(most(value, low), high);
}

/* a - b, or 0 */
static inline uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* a + b, or the largest number */
static inline uint64_t plus(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static inline uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value - value % unit;
}

static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
	return round_down(value + unit - 1, unit);
}

/*
 * What is left of 1 after @seconds of a decay with time constant @tau: e^-x, by
 * 1 / (the series' first four terms), which is within 0.1 % up to x = 0.4 and
 * above it falls more slowly than e^-x, but always falls.
 */
static inline double decay(double seconds, double tau)
{
	double x = seconds / tau;

	return 1 / (1 + x * (1 + x / 2 * (1 + x / 3)));
}

#endif
