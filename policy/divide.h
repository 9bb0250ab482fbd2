/* SPDX-License-Identifier: BSD-3-Clause */
/* How a budget is divided among guests.  Pure: no history, and no constant but the idle tax. */
#ifndef AEROSTAT_DIVIDE_H
#define AEROSTAT_DIVIDE_H

#include <stddef.h>
#include <stdint.h>

/*
 * One guest's share of the budget, in bytes: low <= demand <= want <= high and weight > 0.
 * The division fills in @ideal.
 */
struct share {
	uint64_t low;	 /* it never gets less */
	uint64_t demand; /* what it uses */
	uint64_t want;	 /* demand and a reserve for bursts */
	uint64_t have;	 /* what it has now */
	uint64_t high;	 /* it never gets more */
	double weight;
	uint64_t ideal;
};

/* How the budget compares with what the guests want, from plenty to nothing. */
enum situation {
	SITUATION_PLENTY,   /* all get what they want, and keep what they have */
	SITUATION_IDLE,	    /* all get what they want; idle memory is taken for that */
	SITUATION_SHORT,    /* all get their demand and a part of their reserve */
	SITUATION_TOO_MUCH, /* less than the demand: the budget is shared by weight */
	SITUATION_NOTHING,  /* less than all lower bounds: each gets its lower bound */
};

/*
 * divide_budget - fill in the ideal size of each share
 * @budget: what may be given to all
 * @pool: how much is kept back of what is left after all wants are met
 *
 * The sum of the ideal sizes is at most @budget, unless the sum of the lower bounds is
 * above it.  Moves @have of each share into its bounds.
 */
enum situation divide_budget(struct share *shares, size_t count, uint64_t budget, uint64_t pool);

/* Divides @budget by weight alone: each share gets between its low and its demand. */
void divide_by_weight(struct share *shares, size_t count, uint64_t budget);

#endif
