/* SPDX-License-Identifier: BSD-3-Clause */
/* How a guest stands, by its own account, while its memory is changed. */
#ifndef AEROSTAT_VITALS_H
#define AEROSTAT_VITALS_H

#include "hypervisor/hypervisor.h"

struct vitals {
	hv_guest *guest;
	const hv_info *info;
	struct hv_stats stats;
	bool known;	      /* stats holds an answer, however old */
	int restore_period_s; /* what vitals_end() sets again; -1: nothing */
};

/*
 * vitals_start - get a sample of now, and keep samples coming
 *
 * Waits a second and a half at most for a guest that does not answer.  What
 * was learned is only good if the functions below say so.
 */
void vitals_start(struct vitals *vitals, hv_guest *guest, const hv_info *info);
void vitals_read(struct vitals *vitals);
/* Has the statistics' period again as it was. */
void vitals_end(struct vitals *vitals);

/* The guest answers: a driver is at work in it. */
bool vitals_fresh(const struct vitals *vitals);

/* Memory the guest cannot give without swapping or killing; HV_UNSET when nobody knows. */
uint64_t vitals_need(const struct vitals *vitals);

/*
 * The least size that needs neither swapping nor killing: what the guest cannot
 * drop, and air.  HV_UNSET when nobody knows.  True only right after
 * vitals_start(), before the balloon moves.
 */
uint64_t vitals_least(const struct vitals *vitals);

/* What a guest needs to breathe: the larger of 64 MiB and 3 % of its maximum. */
uint64_t vitals_air(const hv_info *info);

#endif
