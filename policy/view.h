/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the policy works with during one step: a view of each guest, and the round that
 * holds all views.  Sizes are in bytes.
 */
#ifndef AEROSTAT_VIEW_H
#define AEROSTAT_VIEW_H

#include "policy/budget.h"
#include "policy/distress.h"
#include "policy/divide.h"
#include "policy/history.h"
#include "policy/policy.h"

/* What some guests may use together: all of them, number 0, or those of a group. */
struct limit {
	uint64_t parent; /* the number of the next larger one, which is lower */
	struct budget budget;
	uint64_t held;	  /* of its guests' RAM, in the host's memory */
	uint64_t high;	  /* the sum of its guests' largest sizes */
	uint64_t use;	  /* what its guests use */
	uint64_t urgent;  /* what its guests in distress lack */
	uint64_t request; /* what its guests want in this turn of grant.c */
	enum situation situation;
	bool over_budget; /* its guests use more than the budget */
	bool hurry;	  /* a guest in distress waits for memory of its other guests */
	bool givers;	  /* some guest of it can give memory and is not short of it */
};

/* One guest during one step: the input, what follows from it, and the new target. */
struct view {
	/* The caller sets these four. */
	const struct policy_guest *guest;
	struct history *history;
	struct policy_decision *decision;
	struct share *share; /* in the division of the budget */

	uint64_t group; /* its innermost limit */
	uint64_t cap;	/* the most that the limits of its groups leave it */
	/* That of its limits which leaves it least, once the budgets are divided. */
	const struct limit *binding;

	uint64_t floor;	    /* floor_bytes() of its RAM at boot */
	uint64_t low, high; /* the bounds of its target */
	uint64_t actual;    /* its size */
	uint64_t current;   /* its target before this step, or what it has taken back */
	double weight;

	bool movable;	 /* its target may be changed at all */
	bool calls_back; /* it takes memory back before it is short (POLICY_CAN_PULL) */
	bool asks;	 /* and its device lets it do so only up to its credit (POLICY_CAN_GATE) */
	bool silent;	 /* its statistics do not show what is available */
	bool claims;	 /* its statistics cannot be true */
	bool usable;	 /* its statistics are recent and may be true */
	uint64_t demand, reserve, want; /* if history->need.known; else its current target */
	uint64_t burst;			/* the reserve that its own history calls for */
	uint64_t cushion;		/* the reserve that its maximum calls for */
	uint64_t available;		/* at its size now, by the need of its last statistics */
	struct distress distress;

	enum policy_reason protection; /* why it must not be shrunk; NONE: it may be */
	uint64_t protected_low;	       /* its lower bound in the division */
	uint64_t ideal;		       /* its size by the division */
	uint64_t asked;		       /* how much more it wants in this turn of grant.c */
	uint64_t request;	       /* and how much of that it can have */
	double urgency;		       /* how many times its weight counts for that */
	uint64_t target;	       /* its target after this step */
	uint64_t credit, ceiling;      /* what it may take back by itself, and up to which size */
};

/* One step of the policy. */
struct round {
	const struct policy_host *host;
	struct view *views;   /* in the order of the guests' ids */
	struct share *shares; /* one per view */
	struct share *grants; /* one per view, for grant.c to work with */
	size_t count;
	double seconds; /* since the last step, at most STEP_US_MAX; 0 in the first */
	uint64_t owned; /* the host's budget with all of its spare, before that; 0: not lent */
	uint64_t lent;	/* added to the host's budget, as guests do not use it */
	uint64_t pool;	/* kept of the host's budget for what all begin to use at once */
	struct limit *limits; /* the host's, and those of its groups by their numbers */
	size_t limit_count;
};

/* Walks the limits of a view by their numbers, the innermost first, the host's last. */
#define FOR_EACH_LIMIT(number, view, round)                                                        \
	for (uint64_t number = (view)->group, number##_end = 0; !number##_end;                     \
	     number##_end = !number, number = (round)->limits[number].parent)

/*
 * view_fill - work out everything about a guest but @request, @ideal and @target
 * @view: its first four members are set, the rest is zero
 * @round: host and seconds are set
 *
 * Updates the guest's history with the statistics, and fills in its share.
 */
void view_fill(struct view *view, const struct round *round);

/* Its demand in the division, without what it used a while ago and no longer uses. */
uint64_t view_present_demand(const struct view *view);

/*
 * view_forget_peaks - lower the demand in the guest's share to what it needs now
 *
 * Without effect on a guest whose demand is held after an OOM kill, that is hurting,
 * or whose need is not known.
 */
void view_forget_peaks(struct view *view);

/* What it holds of the host's memory, and may still grow by to reach its new target. */
uint64_t view_promised_bytes(const struct view *view);

/* Whether the guest is under the limit of this number. */
bool view_is_inside(const struct view *view, const struct round *round, uint64_t limit);

/* Whether so little of the host is available that guests give up what they may not need. */
bool view_host_is_short(const struct policy_host *host);

/* The part of the budget that the guest uses if its target is @target. */
uint64_t view_used_bytes(const struct view *view, uint64_t target);

#endif
