/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits of what guests use together: the host's, and those of groups. */
#ifndef AEROSTAT_LIMIT_H
#define AEROSTAT_LIMIT_H

#include "policy/view.h"

/* Fills in all limits of the round, from the host's budget and what the guests hold. */
void limit_fill_all(struct round *round, struct budget host);

/*
 * limit_divide_all - divide the budgets, from the innermost groups to the host
 *
 * Fills in the guests' @ideal, @cap and @binding, and what a limit has but @urgent to @givers.
 */
void limit_divide_all(struct round *round);

#endif
