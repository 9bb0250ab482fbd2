/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest has beyond its demand, for bursts. */
#ifndef AEROSTAT_RESERVE_H
#define AEROSTAT_RESERVE_H

#include <stdint.h>

#define GROWTH_CLASSES 64

/* How fast a guest's need grew, and how long relief takes. */
struct growth {
	float seconds[GROWTH_CLASSES]; /* spent growing that fast, fading */
	double relief_s;	       /* from a sample to relief; 0: not measured yet */
};

void growth_note(struct growth *growth, double bytes_per_s, double seconds);
void growth_note_relief(struct growth *growth, double seconds);
/* Bytes per second that it exceeds 1 % of the time. */
double growth_p99(const struct growth *growth);
/* The reserve for a guest of @demand. */
uint64_t reserve_for(double demand, const struct growth *growth);

#endif
