/* SPDX-License-Identifier: BSD-3-Clause */
/* When a guest's statistics were true, and what it had then. */
#ifndef AEROSTAT_PAIRING_H
#define AEROSTAT_PAIRING_H

#include "hypervisor/hypervisor.h"

/* What is known of the statistics that were believed last, and what is needed to date the next. */
struct pairing {
	struct hv_stats stats;	    /* believed */
	int64_t stats_us;	    /* when the guest answered with them; 0: none yet */
	uint64_t actual_then_bytes; /* its size then */

	int64_t heard_us; /* when new ones came last, believed or not; 0: never */
	int64_t read_us;  /* when statistics were last read, believed or not */
	uint64_t read_actual_bytes;
	int64_t read_update_s;	    /* the wall clock's second of those */
	uint64_t quiet_total_bytes; /* MemTotal and size of a moment when the size stood still */
	uint64_t quiet_actual_bytes;
	unsigned int skipped; /* in a row */
};

void pairing_init(struct pairing *pairing);

/*
 * pairing_take - statistics just read
 * @now_us: monotonic
 * @deflates: deflate-on-oom is on, or may be: MemTotal does not follow the balloon
 *
 * Returns whether they are new and were believed.
 */
bool pairing_take(struct pairing *pairing, const struct hv_stats *stats, int64_t now_us,
		  bool deflates);

#endif
