/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a guest is short of memory now. */
#ifndef AEROSTAT_DISTRESS_H
#define AEROSTAT_DISTRESS_H

#include "policy/sample.h"

/* What the last samples showed of a guest's distress. */
struct signs {
	int64_t killed_us;   /* when its OOM killer was last seen to have worked; 0: never */
	double usual_faults; /* major faults per second; below 0: not learnt yet */
	bool stalling, swapping, faulting, waiting;
};

struct distress {
	bool critical;	/* about to kill, or killing */
	bool pressured; /* short; also set when critical */
	bool hurting;	/* by what it does, whatever it says it has available */
};

void signs_first(struct signs *signs);
void signs_next(struct signs *signs, const struct change *change, int64_t taken_us);
/* Whether it reads back files that it had to drop. */
bool signs_refaulting(const struct signs *signs);
/* @available and @reserve as they are now. */
struct distress distress_judge(const struct signs *signs, uint64_t actual, uint64_t available,
			       uint64_t reserve, int64_t now_us);
/* What a guest of @demand must have available to be surely not critical. */
uint64_t distress_margin(uint64_t demand);

#endif
