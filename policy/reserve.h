/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a guest is given beyond its demand, for bursts. */
#ifndef AEROSTAT_RESERVE_H
#define AEROSTAT_RESERVE_H

#include <stdint.h>

#define GROWTH_CLASSES 64

/* How fast a guest's need grew, and how long relief takes.  Starts as all zeros. */
struct growth {
	float seconds[GROWTH_CLASSES]; /* time spent growing at each class of speed, fading */
	double relief_s;	       /* from a sample to relief; 0: not measured yet */
};

/* Adds @seconds in which need grew by @bytes_per_s, and fades what was recorded before. */
void growth_record(struct growth *growth, double bytes_per_s, double seconds);

/* Adds a measured time from the sample that showed the need until the guest had it. */
void growth_record_relief(struct growth *growth, double seconds);

/* The growth, in bytes per second, that is exceeded for this part of the time; 0: none seen. */
double growth_exceeded(const struct growth *growth, double part);

/* The reserve, in bytes, of a guest with a demand of @demand bytes. */
uint64_t reserve_for(double demand, const struct growth *growth);

#endif
