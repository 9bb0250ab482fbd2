/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets what is free now. */
#ifndef AEROSTAT_GRANT_H
#define AEROSTAT_GRANT_H

#include "policy/view.h"

/* What guests in distress are short of, by the division. */
uint64_t grant_urgent(const struct round *round);
/* Raises targets as far as memory is free: what the budget has above everybody's use. */
void grant(struct round *round);

#endif
