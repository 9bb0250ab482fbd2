/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a guest uses and cannot free.  Sizes are in bytes, times in seconds. */
#ifndef AEROSTAT_NEED_H
#define AEROSTAT_NEED_H

#include "policy/sample.h"

struct need {
	bool known;	/* a plausible sample has been seen; the rest is valid */
	uint64_t bytes; /* size less available memory, at the last sample */
	double swapped; /* hidden need: what it swapped out lately and did not read back */
	double cached;	/* hidden need: page cache that it had to drop and read back */
	double demand;	/* follows need and hidden need up at once, and down slowly */
	double held_s;	/* for how long demand does not fall, after an OOM kill */
};

/*
 * need_start - the first sample, or the first after a reset of the counters
 *
 * Clears the hidden need.  Demand is kept if it is above @bytes.
 */
void need_start(struct need *need, uint64_t bytes);

/*
 * need_update - a further sample
 * @bytes: the need by this sample
 * @change: what changed since the last sample
 * @fall_s: the time constant with which demand falls
 *
 * Returns by how many bytes per second need grew, without the hidden need; at least 0.
 */
double need_update(struct need *need, uint64_t bytes, const struct change *change, double fall_s);

/* The guest showed that it needs @bytes: its OOM killer ran, or it took memory back. */
void need_note_proof(struct need *need, uint64_t bytes);

/* The guest reads back files that it dropped: counts its @cache bytes as in use. */
void need_note_hot_cache(struct need *need, uint64_t cache);

/* Need and hidden need now, whatever they were before. */
double need_current(const struct need *need);

#endif
