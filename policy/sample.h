/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's statistics: how old, whether new, what changed, whether they can be true. */
#ifndef AEROSTAT_SAMPLE_H
#define AEROSTAT_SAMPLE_H

#include "policy/policy.h"

enum counter {
	COUNTER_SWAP_IN,  /* bytes */
	COUNTER_SWAP_OUT, /* bytes */
	COUNTER_MAJOR_FAULTS,
	COUNTER_OOM_KILLS,
	COUNTER_ALLOC_STALLS,
	COUNTER_DIRECT_SCAN, /* bytes */
	COUNTER_PSI_SOME,    /* microseconds */
	COUNTER_REFAULT,     /* bytes */
	COUNTERS
};

enum level { LEVEL_AVAILABLE, LEVEL_FREE, LEVEL_TOTAL, LEVEL_CACHE, LEVELS };

/* The last statistics that were used.  Starts as all zeros. */
struct sample {
	int64_t taken_us; /* 0: none yet */
	uint64_t counters[COUNTERS];
	uint64_t levels[LEVELS]; /* bytes */
	uint64_t same_actual;	 /* the guest's size when all of these first had these values */
	bool frozen;		 /* its size has changed since by more than they can ignore */
};

/* The difference between two samples; a counter that either does not have did not change. */
struct change {
	double seconds;
	double counters[COUNTERS];
};

enum sample_news {
	SAMPLE_NONE,  /* nothing new */
	SAMPLE_FIRST, /* the first, or the first after the guest's counters were reset */
	SAMPLE_NEXT,  /* a further one: the change is known */
};

/* Whether the guest reports, in whatever way, what is available in it. */
bool sample_shows_available(const struct policy_guest *guest);

/* What is available by its statistics, or the part of it that it reports: floor.h. */
uint64_t sample_available(const struct policy_guest *guest);

/* Whether the statistics have what is needed to work out a need. */
bool sample_is_complete(const struct policy_guest *guest);

/* Whether they are complete and recent enough to act on. */
bool sample_is_fresh(const struct policy_guest *guest, int64_t now_us);

/*
 * sample_update - replace @last by the guest's statistics, if those are newer
 * @change: filled in if SAMPLE_NEXT is returned
 *
 * Statistics from the future, or too soon after the last, are ignored.
 */
enum sample_news sample_update(struct sample *last, const struct policy_guest *guest,
			       int64_t now_us, struct change *change);

/* The guest's size less what was available, both when the statistics were taken, in bytes. */
uint64_t sample_need(const struct policy_guest *guest);

/* Whether complete statistics contradict each other or the memory of the guest's process. */
bool sample_contradicts(const struct policy_guest *guest, const struct policy_host *host);

/* The counter's increase per second. */
static inline double change_rate(const struct change *change, enum counter counter)
{
	return change->counters[counter] / change->seconds;
}

#endif
