/* SPDX-License-Identifier: BSD-3-Clause */
/* The reason of a decision, for programs and for people. */
#ifndef AEROSTAT_TEXT_H
#define AEROSTAT_TEXT_H

#include "policy/view.h"

/* Fills in the whole decision of a guest whose target is final. */
void text_fill_decision(struct view *view, const struct round *round);

#endif
