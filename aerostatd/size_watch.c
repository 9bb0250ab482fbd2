/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/size_watch.h"

#include "aerostatd/restore.h"
#include "aerostatd/state_file.h"

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
	};
	for (int i = 0; i < HV_STAT_COUNT; i++)
		watch->counters[i] = HV_UNSET;
}

static uint64_t distance_to_target(const struct size_watch *watch, uint64_t actual)
{
	return actual > watch->target_bytes ? actual - watch->target_bytes
					    : watch->target_bytes - actual;
}

/* The guest has to come close to its target from where it is. */
static void start_approach(struct size_watch *watch)
{
	watch->from_bytes = 0;
	watch->closest_bytes = HV_UNSET;
	watch->away_us = 0;
}

void size_watch_set_target(struct size_watch *watch, uint64_t target_bytes)
{
	watch->target_bytes = target_bytes;
	start_approach(watch);
}

void size_watch_move_maximum(struct size_watch *watch, uint64_t from_bytes, uint64_t to_bytes)
{
	if (watch->target_bytes != HV_UNSET)
		watch->target_bytes = size_at_maximum(watch->target_bytes, from_bytes, to_bytes);
	watch->away_us = 0;
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

/* Notices boots.  Returns whether the statistics are fresh. */
static bool follow_generation(struct size_watch *watch, const struct size_sight *sight)
{
	bool fresh = sight->now_us - sight->heard_us <= SILENT_US;
	bool continued, back = take_counters(watch, sight->stats, &continued);
	bool gap_ends = fresh && watch->silent && watch->heard;

	if (back || sight->driver_absent || (gap_ends && !continued)) {
		start_approach(watch);
		watch->booted = true;
	}
	/* Until now its size was nobody's choice. */
	if (gap_ends)
		watch->moved_us = sight->now_us;
	watch->silent = !fresh;
	watch->heard |= fresh;
	return fresh;
}

/*
 * Sizes
 */

/* Follows how close it has come.  Returns whether it has left that again. */
static bool has_left_target(struct size_watch *watch, uint64_t distance)
{
	if (distance <= ARRIVED_BYTES) {
		watch->closest_bytes = 0;
		return false;
	}
	if (watch->closest_bytes == HV_UNSET) {
		/* It may still be moving towards the target before this one. */
		watch->from_bytes = MAX(watch->from_bytes, distance);
		if (distance + ARRIVED_BYTES < watch->from_bytes)
			watch->closest_bytes = distance;
		return false;
	}
	watch->closest_bytes = MIN(watch->closest_bytes, distance);
	return distance > watch->closest_bytes + ARRIVED_BYTES;
}

bool size_watch_take(struct size_watch *watch, const struct size_sight *sight)
{
	uint64_t actual = sight->actual_bytes, last = watch->actual_bytes, distance;
	bool fresh = follow_generation(watch, sight), left;
	bool above = actual > watch->target_bytes;

	if (actual != last)
		watch->moved_us = sight->now_us;
	watch->actual_bytes = actual;
	if (size_watch_is_settled(watch, sight->now_us))
		watch->booted = false;
	if (watch->target_bytes == HV_UNSET)
		return false;
	distance = distance_to_target(watch, actual);
	left = has_left_target(watch, distance);
	if (!fresh || !left || (above && sight->grows_alone)) {
		watch->away_us = 0;
		return false;
	}
	if (!watch->away_us || distance < distance_to_target(watch, last))
		watch->away_us = sight->now_us;
	return sight->now_us - watch->away_us >= (above ? REFILL_US : AWAY_US) &&
	       sight->info_us > watch->away_us;
}

bool size_watch_is_suspicious(const struct size_watch *watch)
{
	return watch->away_us;
}

bool size_watch_is_settled(const struct size_watch *watch, int64_t now_us)
{
	return now_us - watch->moved_us >= (watch->booted ? REFILL_US : AWAY_US);
}
