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
	COUNTERS
};

/* The last sample that was taken in. */
struct sample {
	int64_t taken_us; /* 0: none yet */
	uint64_t counters[COUNTERS];
};

/* From one sample to the next; 0 where a counter is not known. */
struct change {
	double seconds;
	double counters[COUNTERS];
};

enum sample_news {
	SAMPLE_NONE,  /* nothing new */
	SAMPLE_FIRST, /* the first, or the first after the guest's counters began anew */
	SAMPLE_NEXT,  /* a change from the last is known */
};

/* Whether there is enough in the statistics to know a need. */
bool sample_present(const struct policy_guest *guest);
/* Whether they are present and young enough to be acted on. */
bool sample_fresh(const struct policy_guest *guest, int64_t now_us);
/* Takes in what is new since @last; fills @change for SAMPLE_NEXT. */
enum sample_news sample_take(struct sample *last, const struct policy_guest *guest, int64_t now_us,
			     struct change *change);
/* The memory it cannot do without: its size then, less what it had available. */
uint64_t sample_need(const struct policy_guest *guest);
/* Whether the numbers contradict each other, or what the host sees of the guest's process. */
bool sample_contradicts(const struct policy_guest *guest, const struct policy_host *host);

static inline double change_rate(const struct change *change, enum counter counter)
{
	return change->counters[counter] / change->seconds;
}

#endif
