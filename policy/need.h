/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest cannot do without. */
#ifndef AEROSTAT_NEED_H
#define AEROSTAT_NEED_H

#include "policy/sample.h"

struct need {
	bool known;
	uint64_t bytes; /* size less available, as of the last sample */
	double swapped; /* hidden need: what it put into swap lately and did not take back */
	double cached;	/* hidden need: page cache that it read back after it had to drop it */
	double demand;	/* rises with need and what is hidden at once, falls slowly */
	double held_s;	/* demand does not fall for so long: the guest has killed */
};

/* The first sample, or the first after a reset: what was hidden is forgotten. */
void need_first(struct need *need, uint64_t bytes);
/* A further one; returns by how much need itself grew, bytes per second. */
double need_next(struct need *need, uint64_t bytes, const struct change *change);
/* Its OOM killer worked: it needs @bytes at least. */
void need_killed(struct need *need, uint64_t bytes);
/* It reads back files that it had to drop: the @cache that it has is in use. */
void need_cache(struct need *need, uint64_t cache);
/* Need with all that is hidden, without regard to what it lately needed. */
double need_now(const struct need *need);

#endif
