/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairing: at what time a guest's statistics were true, and what size the guest had then.
 *
 * Theory of operation
 * -------------------
 * A guest's need is its size less what it had available, both at the same time.  The size is read
 * now; the statistics are from some time since they were last read, and carry a wall clock time in
 * whole seconds.  A balloon moves hundreds of MiB per second, so the size of now would be wrong by
 * that much just when it matters: a guest that grew would seem to need more, and be given more for
 * it.
 *
 * While the size stands still there is nothing to pair.  While it moves, MemTotal gives the size
 * at the time of the statistics, as it follows the balloon exactly: its difference from that of a
 * moment when the size stood still is the difference in size.  It does not follow with
 * deflate-on-oom, and with some drivers never (Windows): that shows once the size stands still
 * again, and until then a MemTotal that has not changed proves nothing.  Without that measure the
 * middle of a small move is taken, and statistics during a large move are skipped, at most twice
 * in a row.
 *
 * The wall clock may jump.  It is used only to see whether statistics are new, and how old they are
 * within the time since they were last read.
 *
 * No I/O and no clock; for one thread at a time.
 */
#ifndef AEROSTATD_PAIRING_H
#define AEROSTATD_PAIRING_H

#include "hypervisor/hypervisor.h"

struct pairing {
	/* The last statistics that were accepted. */
	struct hv_stats stats;
	int64_t stats_us;	    /* monotonic: when they were true; 0: there are none yet */
	uint64_t actual_then_bytes; /* the guest's size at that time */

	int64_t heard_us; /* when new statistics last came, accepted or not; 0: never */

	/* The last statistics that were read, and what is needed to date the next. */
	int64_t read_us; /* monotonic */
	uint64_t read_actual_bytes;
	int64_t read_update_s;	    /* their wall clock time */
	uint64_t quiet_total_bytes; /* MemTotal and size when the size last stood still */
	uint64_t quiet_actual_bytes;
	enum { TOTAL_UNKNOWN, TOTAL_FOLLOWS, TOTAL_STAYS } total; /* when the size changes */
	unsigned int skipped; /* how many were skipped in a row */
};

/* Makes an empty @pairing; nothing has to be freed. */
void pairing_init(struct pairing *pairing);

/*
 * pairing_take - take in statistics that were just read
 * @now_us: monotonic
 * @deflates: deflate-on-oom is on, or may be, so that MemTotal does not follow the balloon
 *
 * Returns whether they are new and were accepted.
 */
bool pairing_take(struct pairing *pairing, const struct hv_stats *stats, int64_t now_us,
		  bool deflates);

#endif
