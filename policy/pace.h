/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast, and when not: calm, regret, drivers that do not follow, steps. */
#ifndef AEROSTAT_PACE_H
#define AEROSTAT_PACE_H

#include "policy/policy.h"

struct view;
struct round;

/* What pace remembers of a guest.  All times are of the policy's clock; 0: never. */
struct pace {
	int64_t calm_us;    /* since when it has been calm */
	double calm_demand; /* the least demand since */
	int64_t trusted_us; /* since when its statistics run on without a reset */

	int64_t shrunk_us;     /* its last shrink, */
	int64_t before_us;     /* when the shrinks of that minute began, */
	uint64_t before_bytes; /* and its target before them */

	int64_t alone_until_us;	  /* not taken from until then */
	int64_t backoff_us;	  /* for so long the last time */
	enum policy_reason alone; /* because of this */
	uint64_t back_bytes;	  /* and it is to have this again */

	int64_t window_us;     /* an inflation is watched since then */
	uint64_t window_bytes; /* its size then */

	int64_t grew_us;     /* the sample that a growth under way goes back to */
	uint64_t grew_bytes; /* the target that it is under way to */
};

/* Follows what became of the last answers; @view knows its distress already. */
void pace_follow(struct view *view, const struct round *round);
/* Why the guest is not taken from, whatever the division says; NONE: it may be. */
enum policy_reason pace_kept(const struct view *view, const struct round *round);
/* The difference from its present size that is not worth an operation. */
uint64_t pace_band(const struct view *view);
/* Whether it has more than it is to have, by enough, and is not short of memory. */
bool pace_gives(const struct view *view, const struct round *round);
/* The target of a guest that is to have less; its present one when it is not to move yet. */
uint64_t pace_down(const struct view *view, const struct round *round);
/* Why pace_down() does not move it. */
enum policy_reason pace_refusal(const struct view *view, const struct round *round);
/* Takes note of the target that was decided. */
void pace_decided(struct view *view, const struct round *round);

#endif
