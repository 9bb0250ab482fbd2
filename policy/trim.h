/* SPDX-License-Identifier: BSD-3-Clause */
/* How much page cache a guest is asked to give up. */
#ifndef AEROSTAT_TRIM_H
#define AEROSTAT_TRIM_H

#include <stdint.h>

struct view;
struct round;

/* What trim.c keeps of a guest between steps.  Starts as all zeros. */
struct trim {
	int64_t taken_us; /* of the last statistics that it was judged by; 0: none */
	int64_t asked_us; /* when it was last asked; 0: never */
	double enough;	  /* the least cache, in bytes, that it got along with */
	double settled;	  /* follows its cache down at once, and up slowly */
};

/* The bytes that the guest is to give up now, in whole MiB; 0: none. */
uint64_t trim_bytes(const struct view *view, const struct round *round);

#endif
