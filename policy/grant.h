/* SPDX-License-Identifier: BSD-3-Clause */
/* Which guests get the memory that is free now. */
#ifndef AEROSTAT_GRANT_H
#define AEROSTAT_GRANT_H

#include "policy/view.h"

/* How many bytes a guest in distress lacks of its ideal size; 0 if it is in no distress. */
uint64_t grant_urgent_bytes(const struct view *view, const struct round *round);

/* Raises targets as far as the budget exceeds what all guests use. */
void grant_free_memory(struct round *round);

/* Divides what is then left as credits, up to the guests' ceilings; POLICY_UNSET: none. */
void grant_credits(struct round *round);

#endif
