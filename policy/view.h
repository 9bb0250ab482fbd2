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

/* One guest during one step: the input, what follows from it, and the new target. */
struct view {
	/* The caller sets these four. */
	const struct policy_guest *guest;
	struct history *history;
	struct policy_decision *decision;
	struct share *share; /* in the division of the budget */

	uint64_t floor;	    /* floor_bytes() of its RAM at boot */
	uint64_t low, high; /* the bounds of its target */
	uint64_t actual;    /* its size */
	uint64_t current;   /* its target before this step */
	double weight;

	bool movable;			/* its target may be changed at all */
	bool silent;			/* its statistics do not show what is available */
	bool claims;			/* its statistics cannot be true */
	bool usable;			/* its statistics are recent and may be true */
	uint64_t demand, reserve, want; /* if history->need.known; else its current target */
	uint64_t burst;			/* the reserve that its own history calls for */
	uint64_t cushion;		/* the reserve that its maximum calls for */
	uint64_t available;		/* at its size now, by the need of its last statistics */
	struct distress distress;

	enum policy_reason protection; /* why it must not be shrunk; NONE: it may be */
	uint64_t protected_low;	       /* its lower bound in the division */
	uint64_t ideal;		       /* its size by the division */
	uint64_t request;	       /* how much more it wants in this turn of grant.c */
	uint64_t target;	       /* its target after this step */
};

/* One step of the policy. */
struct round {
	const struct policy_host *host;
	struct view *views;   /* in the order of the guests' ids */
	struct share *shares; /* one per view */
	struct share *grants; /* one per view, for grant.c to work with */
	size_t count;
	double seconds; /* since the last step, at most STEP_US_MAX; 0 in the first */
	struct budget budget;
	enum situation situation; /* of the last step until the budget is divided */
	bool over_budget;	  /* guests use more than the budget */
	bool urgent;		  /* a guest in distress waits for memory of other guests */
	bool givers;		  /* some guest can give memory and is not short of it */
};

/*
 * view_fill - work out everything about a guest but @request, @ideal and @target
 * @view: its first four members are set, the rest is zero
 * @round: host, seconds and situation are set
 *
 * Updates the guest's history with the statistics, and fills in its share.
 */
void view_fill(struct view *view, const struct round *round);

/*
 * view_forget_peaks - lower the demand in the guest's share to what it needs now
 *
 * Without effect on a guest whose demand is held after an OOM kill, that is hurting,
 * or whose need is not known.
 */
void view_forget_peaks(struct view *view);

/* The part of the budget that the guest uses if its target is @target. */
uint64_t view_used_bytes(const struct view *view, uint64_t target);

#endif
