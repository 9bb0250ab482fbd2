/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast a guest is shrunk, and when not at all.  Sizes are in bytes. */
#ifndef AEROSTAT_PACE_H
#define AEROSTAT_PACE_H

#include "policy/policy.h"

struct view;
struct round;

/* What pace.c keeps of a guest between steps.  Times are on the policy's clock; 0: never. */
struct pace {
	int64_t calm_us;    /* since when it has neither been short nor grown */
	double calm_demand; /* its lowest demand since then */
	int64_t trusted_us; /* since when its counters have run without a reset */

	int64_t shrunk_us;     /* its last shrink */
	int64_t before_us;     /* when the shrinks of the last REGRET_US began */
	uint64_t before_bytes; /* its target before those shrinks */

	int64_t backoff_until_us;	   /* it is not shrunk before this time */
	int64_t backoff_us;		   /* how long the last back-off was */
	enum policy_reason backoff_reason; /* INACTIVE or REGRET */
	uint64_t restore_bytes;		   /* the size that it is to have again */

	int64_t inflation_us;	   /* since when an inflation is being watched */
	uint64_t inflation_bytes;  /* its size at that time */
	uint64_t slow_bytes_per_s; /* how fast its balloon grew, if that was slow; 0: it was not */

	int64_t grew_us;     /* the statistics that caused a growth still in progress */
	uint64_t grew_bytes; /* the target of that growth */
};

/*
 * pace_update - note what became of the last decisions
 *
 * Call it after the guest's distress is known.  May begin a back-off.
 */
void pace_update(struct view *view, const struct round *round);

/* Why the guest must not be shrunk whatever the division says; NONE: it may be. */
enum policy_reason pace_protection(const struct view *view, const struct round *round);

/* A change of the target by no more than this is not worth an operation. */
uint64_t pace_dead_band(const struct view *view);

/* Whether the guest has enough above its ideal to be worth taking, and is not short. */
bool pace_can_give(const struct view *view);

/* How fast its balloon follows the target, in bytes per second, if it is slow and still
 * follows; otherwise 0. */
uint64_t pace_slow_rate(const struct view *view);

/* The next target on the way down to the ideal; the current one if it must wait. */
uint64_t pace_shrink_target(const struct view *view, const struct round *round);

/* Why a guest above its ideal is not shrunk in this step; NONE: it is, or it has nothing to give.
 */
enum policy_reason pace_refusal(const struct view *view, const struct round *round);

/* Notes the target that was decided in this step. */
void pace_record_decision(struct view *view, const struct round *round);

#endif
