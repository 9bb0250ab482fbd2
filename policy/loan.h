/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guests may use beyond what the host has, as they do not use all that they may. */
#ifndef AEROSTAT_LOAN_H
#define AEROSTAT_LOAN_H

#include "policy/pool.h"
#include "policy/view.h"

/* Notes how the memory of guests that report free pages has grown since the last step. */
void loan_follow_growth(struct pool *pool, struct round *round);

/* Adds to the host's budget what can be lent.  The views are filled in. */
void loan_widen_budget(struct budget *budget, const struct pool *pool, struct round *round);

/*
 * loan_set_credits - divide what is left of the budget among guests with a gate
 *
 * Fills in their credits and ceilings.  Call it when the targets are chosen.
 */
void loan_set_credits(struct round *round);

#endif
