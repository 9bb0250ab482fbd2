/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest cannot do without. */
#ifndef AEROSTAT_NEED_H
#define AEROSTAT_NEED_H

#include "policy/sample.h"

struct need {
	bool known;
	uint64_t bytes; /* size less available, as of the last sample */
	double swapped; /* hidden need: what it put into swap lately and did not take back */
	double demand;	/* rises with need and swap at once, falls slowly */
	double held_s;	/* demand does not fall for so long: the guest has killed */
};

/* The first sample, or the first after a reset: what was swapped is forgotten. */
void need_first(struct need *need, uint64_t bytes);
/* A further one; returns by how much need itself grew, bytes per second. */
double need_next(struct need *need, uint64_t bytes, const struct change *change);

#endif
