/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small arithmetic.
 *
 * Our policy uses only +, -, * and / of doubles and none of libm's functions, whose last
 * bit differs between machines.  So a recording replays bit for bit on any machine.
 */
#ifndef AEROSTAT_NUMBERS_H
#define AEROSTAT_NUMBERS_H

#include <stdint.h>

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* @value, but at least @low and at most @high. */
static inline uint64_t clamp_u64(uint64_t value, uint64_t low, uint64_t high)
{
	return min_u64(max_u64(value, low), high);
}

/* a - b, or 0 if that is negative. */
static inline uint64_t saturating_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* a + b, or UINT64_MAX if that overflows. */
static inline uint64_t saturating_add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* The largest multiple of @unit that is at most @value. */
static inline uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value - value % unit;
}

/* The smallest multiple of @unit that is at least @value, which is below 2^64 - @unit. */
static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
	return round_down(value + unit - 1, unit);
}

/*
 * decay_factor - what is left of 1 after a decay
 * @seconds: how long it decays, at least 0
 * @tau: the time constant in seconds
 *
 * Approximates e^-(seconds / tau) by the inverse of the first four terms of its series:
 * within 0.1 % up to tau / 2.5.  Beyond that it falls more slowly than e^-x, but always
 * falls.
 */
static inline double decay_factor(double seconds, double tau)
{
	double x = seconds / tau;

	return 1 / (1 + x * (1 + x / 2 * (1 + x / 3)));
}

#endif
