/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who moves a guest's size?
 *
 * Theory of operation
 * -------------------
 * Neither QEMU nor libvirt reports the target, so who set it last is inferred from the sizes and
 * statistics that are sampled each second.
 *
 * A balloon moves towards our target, or somebody else has set another.  So a guest was resized by
 * somebody else if it had come close to our target, has left it since, and stands still away from
 * it. Any move starts the wait again: one towards the target is never a person's, and one away from
 * it is not over.
 *
 * Between two samples it may pass its target: one that is on the other side has been there.
 *
 * A balloon may empty itself: at a boot, when its driver is loaded again, when the guest suspends.
 * It then fills again, perhaps slowly and with pauses.  Two rules keep that apart from a person:
 *
 * - A boot begins a new generation, in which the guest has not yet come close to its target.  It is
 *   recognized by a counter that went back, a driver that is absent, or a gap in the statistics
 *   after which no counter proves that the same kernel is still running.
 * - Above its target, a guest must stand still for longer (REFILL_US).  Below it AWAY_US suffices,
 *   as nothing but a target fills a balloon.
 *
 * Nothing is concluded while the statistics are old: then the guest is paused, or has no driver.
 * A pause that is too short for that does not count as standing still, either: each report of the
 * statistics counts as one second at most.
 * With deflate-on-oom, a guest above its target may have grown by itself, so nobody is suspected.
 * What it took back is counted once a report of the statistics proves that it has not booted.  A
 * balloon that is empty may be that of a driver which was loaded again, in the same kernel.  Such a
 * driver fills it at once, so all of a balloon counts as taken back only if it stays empty.  A
 * guest that was never set a target takes memory back beyond the size at which it stood still.
 *
 * No I/O and no clock.
 */
#ifndef AEROSTATD_SIZE_WATCH_H
#define AEROSTATD_SIZE_WATCH_H

#include "hypervisor/hypervisor.h"

/* A guest that stands still below its target for this long was resized by somebody else. */
#define AWAY_US (3 * G_USEC_PER_SEC)
/* A balloon that is filled after a boot may pause for this long. */
#define REFILL_US (10 * G_USEC_PER_SEC)
/* Statistics that are older than this say nothing about now. */
#define SILENT_US (2 * G_USEC_PER_SEC)

struct size_watch {
	uint64_t target_bytes;	   /* the last that we set; HV_UNSET: none, or another's since */
	int64_t set_us;		   /* when it was set */
	int64_t course_us;	   /* until then the guest may be on its way to the one before */
	uint64_t actual_bytes;	   /* in the last sample; HV_UNSET: there was none */
	uint64_t from_bytes;	   /* the farthest from the target that the guest was */
	uint64_t closest_bytes;	   /* the closest it has come since; HV_UNSET: no closer yet */
	int side;		   /* of its target: 1 above, -1 below, 0 not known yet */
	int64_t moved_us;	   /* when its size last changed */
	int64_t info_us;	   /* when its maximum was last read */
	bool away;		   /* it had come closer than it is now */
	bool refills;		   /* its balloon has emptied, and may fill again */
	uint64_t pulled_bytes;	   /* what it took back by itself since it was first seen */
	uint64_t pulls_from_bytes; /* where a growth began that is not counted yet; HV_UNSET */
	bool booted;		   /* the same, because it has booted, or may have */
	bool silent;		   /* its last statistics were old */
	bool heard;		   /* it has sent statistics */
	int64_t heard_us;	   /* when it last did */
	uint64_t counters[HV_STAT_COUNT]; /* the last known values */
};

/* What a sample says. */
struct size_sight {
	int64_t now_us;
	int64_t heard_us; /* when statistics last came */
	int64_t info_us;  /* when the maximum was read; it may have moved since */
	uint64_t actual_bytes, max_bytes;
	const struct hv_stats *stats;
	bool driver_absent;
	bool grows_alone; /* deflate-on-oom is on, or may be */
};

/* Begins to watch a guest of which nothing is known. */
void size_watch_init(struct size_watch *watch);

/* The target is @target_bytes from now on.  HV_UNSET: it is unknown. */
void size_watch_set_target(struct size_watch *watch, uint64_t target_bytes, int64_t now_us);

/* The guest's maximum moved by @to_bytes - @from_bytes, and its size with it. */
void size_watch_move_maximum(struct size_watch *watch, uint64_t from_bytes, uint64_t to_bytes);

/* Takes in a sample.  Returns whether somebody else has resized the guest. */
bool size_watch_take(struct size_watch *watch, const struct size_sight *sight);

/* Whether the size is suspected to be somebody else's, so that it must not be changed now. */
bool size_watch_is_suspicious(const struct size_watch *watch);

/* Whether @actual_bytes is the target, as closely as drivers come. */
bool size_watch_has_arrived(const struct size_watch *watch, uint64_t actual_bytes);

/* Whether the size stands still, so that it is the guest's own if no target was ever set.  The
 * statistics must show that, if the guest sends any. */
bool size_watch_is_settled(const struct size_watch *watch, int64_t now_us);

#endif
