/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/size_watch.h"

#include "aerostatd/restore.h"
#include "aerostatd/state_file.h"
#include "common/size.h"

/* A guest takes a new course within this time after it was set a target. */
#define COURSE_US (2 * G_USEC_PER_SEC)
/* A driver that was loaded again begins to fill its balloon within this time; one that has given
 * memory back rests for longer. */
#define EMPTY_US (4 * G_USEC_PER_SEC)
/* A guest reports its statistics this often. */
#define REPORT_US (MANAGED_STATS_PERIOD_S * G_USEC_PER_SEC)

/* These only grow while one kernel runs. */
static const enum hv_stat counter_stats[] = {
	HV_STAT_SWAP_IN,     HV_STAT_SWAP_OUT,	      HV_STAT_MAJOR_FAULT,
	HV_STAT_MINOR_FAULT, HV_STAT_HUGETLB_PGALLOC, HV_STAT_HUGETLB_PGFAIL,
};

void size_watch_init(struct size_watch *watch)
{
	*watch = (struct size_watch){
		.target_bytes = HV_UNSET,
		.actual_bytes = HV_UNSET,
		.closest_bytes = HV_UNSET,
		.pulls_from_bytes = HV_UNSET,
	};
	for (int i = 0; i < HV_STAT_COUNT; i++)
		watch->counters[i] = HV_UNSET;
}

static uint64_t distance_to_target(const struct size_watch *watch, uint64_t actual)
{
	return size_difference(actual, watch->target_bytes);
}

/* The guest has to come close to its target from where it is. */
static void start_approach(struct size_watch *watch)
{
	watch->from_bytes = 0;
	watch->closest_bytes = HV_UNSET;
	watch->side = 0;
	watch->away = false;
}

void size_watch_set_target(struct size_watch *watch, uint64_t target_bytes, int64_t now_us)
{
	/* Without a target it still has the course of the one before, and may have another.  So has
	 * a balloon that a boot has emptied, wherever it rests. */
	bool is_on_course =
		watch->booted ||
		(watch->target_bytes == HV_UNSET
			 ? now_us < watch->course_us || now_us - watch->moved_us < COURSE_US
			 : watch->closest_bytes ||
				   !size_watch_has_arrived(watch, watch->actual_bytes));

	/* A target that is sent again is no new course, except after a boot. */
	if (target_bytes != watch->target_bytes || watch->booted)
		watch->course_us = is_on_course ? now_us + COURSE_US : 0;
	watch->target_bytes = target_bytes;
	watch->set_us = now_us;
	start_approach(watch);
}

void size_watch_move_maximum(struct size_watch *watch, uint64_t from_bytes, uint64_t to_bytes)
{
	/* How close it came while the maximum was on the move means nothing. */
	size_watch_set_target(watch, size_at_maximum(watch->target_bytes, from_bytes, to_bytes),
			      watch->set_us);
}

/*
 * Generations
 */

/* Compares the counters with the last known ones.  @continued: at least one shows that the kernel
 * is the same.  Returns whether one went back. */
static bool take_counters(struct size_watch *watch, const struct hv_stats *stats, bool *continued)
{
	bool back = false;

	*continued = false;
	for (size_t i = 0; i < G_N_ELEMENTS(counter_stats); i++) {
		uint64_t *last = &watch->counters[counter_stats[i]];
		uint64_t value = stats->value[counter_stats[i]];

		if (value == HV_UNSET)
			continue;
		back |= *last != HV_UNSET && value < *last;
		/* A counter that stays 0 proves nothing. */
		*continued |= *last != HV_UNSET && *last && value >= *last;
		*last = value;
	}
	return back;
}

/* A report shows that the size stood still for a second.  What passed beyond that since the report
 * before, nobody has seen: the guest may have been paused. */
static void skip_unseen_time(struct size_watch *watch, int64_t heard_us)
{
	int64_t still_us = heard_us - MAX(watch->moved_us, watch->heard_us);

	if (watch->heard && heard_us > watch->heard_us && still_us > REPORT_US)
		watch->moved_us += still_us - REPORT_US;
}

/* Notices boots.  @continued: the counters prove that the kernel is the same. */
static void follow_generation(struct size_watch *watch, const struct size_sight *sight,
			      bool *continued)
{
	bool fresh = sight->now_us - sight->heard_us <= SILENT_US;
	bool back = take_counters(watch, sight->stats, continued);
	bool gap_ends = fresh && watch->silent && watch->heard;

	if (back || sight->driver_absent || (gap_ends && !*continued)) {
		start_approach(watch);
		watch->pulls_from_bytes = HV_UNSET;
	}
	/* Until now its size was nobody's choice. */
	if (back || sight->driver_absent || gap_ends) {
		watch->refills = watch->booted = true;
		watch->moved_us = sight->now_us;
	}
	skip_unseen_time(watch, sight->heard_us);
	watch->silent = !fresh;
	watch->heard |= fresh;
	watch->heard_us = sight->heard_us;
}

/*
 * Sizes
 */

/* Follows how close it has come.  Returns whether it has left that again. */
static bool has_left_target(struct size_watch *watch, uint64_t actual, int64_t now_us)
{
	uint64_t distance = distance_to_target(watch, actual);
	int side = actual > watch->target_bytes ? 1 : -1;

	/* It may still be moving towards the target before this one. */
	if (now_us < watch->course_us)
		return false;
	if (side == -watch->side)
		watch->closest_bytes = 0;
	watch->side = side;
	if (distance <= ARRIVED_BYTES) {
		watch->closest_bytes = 0;
		return false;
	}
	if (watch->closest_bytes == HV_UNSET) {
		watch->from_bytes = MAX(watch->from_bytes, distance);
		if (distance + ARRIVED_BYTES < watch->from_bytes)
			watch->closest_bytes = distance;
		return false;
	}
	watch->closest_bytes = MIN(watch->closest_bytes, distance);
	return distance > watch->closest_bytes + ARRIVED_BYTES;
}

/* Where a growth from @before counts as taken back; HV_UNSET: it does not.  @rested: @before was
 * its size for a while, which is taken for the target where none is known. */
static uint64_t find_pull(const struct size_watch *watch, const struct size_sight *sight,
			  uint64_t before, bool rested)
{
	uint64_t actual = sight->actual_bytes;

	if (!sight->grows_alone || before == HV_UNSET || actual <= before ||
	    sight->now_us < watch->course_us)
		return HV_UNSET;
	if (watch->target_bytes == HV_UNSET)
		return rested ? before : HV_UNSET;
	return actual > watch->target_bytes ? MAX(before, watch->target_bytes) : HV_UNSET;
}

/* Counts what the guest, which had @before, took back beyond its target.  @continued as above. */
static void follow_pulls(struct size_watch *watch, const struct size_sight *sight, uint64_t before,
			 bool rested, bool continued)
{
	uint64_t actual = sight->actual_bytes;

	if (watch->pulls_from_bytes == HV_UNSET)
		watch->pulls_from_bytes = find_pull(watch, sight, before, rested);
	/* Its balloon was empty, and fills again: that was its driver, not a need. */
	if (before != HV_UNSET && before >= sight->max_bytes && actual < before)
		watch->pulls_from_bytes = HV_UNSET;
	/* A guest that is booting has grown, too, and has not reported since. */
	if (watch->pulls_from_bytes == HV_UNSET || !continued || sight->heard_us < watch->moved_us)
		return;
	if (actual >= sight->max_bytes && sight->heard_us - watch->moved_us < EMPTY_US)
		return;
	watch->pulled_bytes += actual - MIN(actual, watch->pulls_from_bytes);
	watch->pulls_from_bytes = HV_UNSET;
}

/* Whether the size has been the same for @us before @until_us, and the maximum is known, too. */
static bool stands_still(const struct size_watch *watch, int64_t until_us, int64_t us)
{
	return watch->info_us >= watch->moved_us && until_us - watch->moved_us >= us;
}

bool size_watch_take(struct size_watch *watch, const struct size_sight *sight)
{
	uint64_t actual = sight->actual_bytes, before = watch->actual_bytes;
	bool above = actual > watch->target_bytes;
	bool rested = size_watch_is_settled(watch, sight->now_us), continued;

	follow_generation(watch, sight, &continued);
	if (watch->actual_bytes == HV_UNSET)
		watch->moved_us = sight->info_us;
	else if (actual != watch->actual_bytes)
		watch->moved_us = sight->now_us;
	watch->refills |= watch->actual_bytes != HV_UNSET && actual > watch->actual_bytes;
	watch->actual_bytes = actual;
	watch->info_us = sight->info_us;
	follow_pulls(watch, sight, before, rested, continued && !sight->driver_absent);
	if (size_watch_is_settled(watch, sight->now_us))
		watch->refills = watch->booted = false;
	watch->away = watch->target_bytes != HV_UNSET &&
		      has_left_target(watch, actual, sight->now_us) &&
		      !(above && sight->grows_alone);
	/* A guest that was just paused, or has just begun to boot, has sent none since. */
	return watch->away && stands_still(watch, sight->heard_us, above ? REFILL_US : AWAY_US);
}

bool size_watch_is_suspicious(const struct size_watch *watch)
{
	return watch->away;
}

bool size_watch_is_settled(const struct size_watch *watch, int64_t now_us)
{
	return stands_still(watch, watch->heard ? watch->heard_us : now_us,
			    watch->refills ? REFILL_US : AWAY_US);
}

bool size_watch_has_arrived(const struct size_watch *watch, uint64_t actual_bytes)
{
	return watch->target_bytes != HV_UNSET &&
	       distance_to_target(watch, actual_bytes) <= ARRIVED_BYTES;
}
