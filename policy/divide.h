/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is to have how much of a budget.  Pure: no history, no constants but the idle tax. */
#ifndef AEROSTAT_DIVIDE_H
#define AEROSTAT_DIVIDE_H

#include <stddef.h>
#include <stdint.h>

/* One guest's part; low <= demand <= want <= high, and weight > 0. */
struct part {
	uint64_t low;	 /* never less */
	uint64_t demand; /* what it uses */
	uint64_t want;	 /* and has for bursts */
	uint64_t have;	 /* now */
	uint64_t high;	 /* never more */
	double weight;
	uint64_t ideal; /* the answer */
};

enum situation {
	SITUATION_PLENTY,   /* all have what they want, and keep what they have */
	SITUATION_IDLE,	    /* idle memory is taken for those who want */
	SITUATION_SHORT,    /* all have what they use, and a part of what they want beyond */
	SITUATION_TOO_MUCH, /* less is there than is used: shares by weight */
	SITUATION_NOTHING,  /* not even the least: everybody has his low */
};

/*
 * Fills in the ideals.  Their sum is at most @budget, unless that of the lows
 * exceeds it.  @pool is left undivided as far as nobody wants it.
 */
enum situation divide(struct part *parts, size_t count, uint64_t budget, uint64_t pool);
/* Fills in the ideals by weight alone, each from its low to its demand. */
void divide_shares(struct part *parts, size_t count, uint64_t budget);

#endif
