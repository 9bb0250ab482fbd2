/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a guest is short of memory now. */
#ifndef AEROSTAT_DISTRESS_H
#define AEROSTAT_DISTRESS_H

#include "policy/sample.h"

/* Signs of distress in the guest's last statistics. */
struct symptoms {
	int64_t killed_us;   /* when an OOM kill was last seen; 0: never */
	double usual_faults; /* major faults per second, averaged; below 0: not known yet */
	int64_t hurt_us;     /* when tasks last waited for memory, or read files again; 0: never */
	bool stalling, swapping, faulting, waiting;
	bool refaulting; /* the guest reads back files that it had to drop */
};

struct distress {
	bool critical;	/* an OOM kill is near, or has just happened */
	bool pressured; /* short of memory; also set if it is critical */
	bool hurting;	/* shown by what it does, however much it says is available */
};

/* No signs: at the first statistics, and after a reset of the counters. */
void symptoms_reset(struct symptoms *symptoms);

/* Reads the signs off what changed between two samples, the later taken at @taken_us. */
void symptoms_update(struct symptoms *symptoms, const struct change *change, int64_t taken_us);

/*
 * distress_judge - whether a guest is in distress
 * @actual: its size
 * @available: what is available in it at that size
 * @reserve: what should be available for bursts
 *
 * All in bytes.
 */
struct distress distress_judge(const struct symptoms *symptoms, uint64_t actual, uint64_t available,
			       uint64_t reserve, int64_t now_us);

/* How many bytes beyond a demand of @demand bytes keep a guest safely from being critical. */
uint64_t distress_margin(uint64_t demand);

#endif
