/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's own statistics while its memory is changed, and how much memory it needs by them.
 */
#ifndef AEROSTAT_RESIZE_GUEST_STATS_H
#define AEROSTAT_RESIZE_GUEST_STATS_H

#include "hypervisor/hypervisor.h"

struct guest_stats {
	hv_guest *guest;
	const hv_info *info;
	struct hv_stats latest;
	bool known;		/* latest holds an answer, however old */
	struct hv_stats before; /* what was reported before guest_stats_start() */
	bool is_polled;		/* samples go on coming, as far as QEMU is concerned */
	int restore_period_s;	/* what guest_stats_stop() sets again; -1: nothing */
};

/*
 * guest_stats_start - get a current sample, and have QEMU poll every second from now on
 * @guest, @info: must stay valid until guest_stats_stop()
 * @keep_period: somebody else has QEMU poll, and may end that at any time: change nothing
 * @is_shrinking: memory will be taken by this sample, so it must be of now; without it, or with
 *	@keep_period, one that came a moment ago serves
 *
 * Waits at most 1.5 s for a guest that does not answer.  Cannot fail: the functions below
 * report what is not known.
 */
void guest_stats_start(struct guest_stats *stats, hv_guest *guest, const hv_info *info,
		       bool keep_period, bool is_shrinking);
/* Waits for a current sample, at most @ms; afterwards guest_stats_are_fresh() says if it came. */
void guest_stats_wait(struct guest_stats *stats, unsigned int ms);
/* Reads the latest sample into stats->latest. */
void guest_stats_read(struct guest_stats *stats);
/*
 * guest_stats_have_changed - whether the guest reports anything else than in @before
 *
 * Asks the guest, and waits at most @ms for a sample that was taken from now on.  Returns as soon
 * as one differs.
 */
bool guest_stats_have_changed(struct guest_stats *stats, const struct hv_stats *before,
			      unsigned int ms);
/* Restores the guest's own polling period. */
void guest_stats_stop(struct guest_stats *stats);

/* Whether a sample was taken since guest_stats_start(): a driver is at work in the guest now. */
bool guest_stats_have_answered(const struct guest_stats *stats);

/* Whether the guest answers, or did a moment ago, which proves that a balloon driver is at work in
 * it. */
bool guest_stats_are_fresh(const struct guest_stats *stats);

/*
 * Bytes in use that the guest cannot give up without swapping or killing processes; HV_UNSET
 * if not known.
 */
uint64_t guest_stats_used_bytes(const struct guest_stats *stats);

/*
 * The smallest size of the guest that needs neither swapping nor killing: the memory that it
 * cannot free, and headroom_bytes() of policy/floor.h.  HV_UNSET if not known.  Valid only right
 * after guest_stats_start(), before the balloon moves.
 */
uint64_t guest_stats_least_bytes(const struct guest_stats *stats);

#endif
