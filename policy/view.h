/* SPDX-License-Identifier: BSD-3-Clause */
/* One guest as it is seen during one step, and the step itself. */
#ifndef AEROSTAT_VIEW_H
#define AEROSTAT_VIEW_H

#include "policy/budget.h"
#include "policy/distress.h"
#include "policy/divide.h"
#include "policy/past.h"
#include "policy/policy.h"

struct view {
	const struct policy_guest *guest;
	struct past *past;
	struct policy_decision *decision;
	struct part *part; /* in the division */

	uint64_t floor, low, high; /* bounds of its target */
	uint64_t actual;	   /* what it has */
	uint64_t present;	   /* its target before this step */
	double weight;

	bool movable;			/* its target may be changed at all */
	bool claims;			/* its statistics contradict what is known */
	bool usable;			/* its statistics are fresh and may be true */
	uint64_t demand, reserve, want; /* within its bounds; when past->need.known */
	uint64_t burst;			/* of the reserve, what it needs by what was seen of it */
	uint64_t cushion;		/* and what it may need, as large as it is */
	uint64_t available;		/* now, which is not when its statistics were taken */
	struct distress distress;

	enum policy_reason kept; /* why it is not taken from; NONE: it may be */
	uint64_t kept_low;	 /* its least in the division */
	uint64_t ideal;		 /* what it is to have in the end */
	uint64_t ask;		 /* what it is to get in the present turn of grants */
	uint64_t target;	 /* the answer */
};

/* One step. */
struct round {
	const struct policy_host *host;
	struct view *views;  /* by id */
	struct part *parts;  /* the same guests' */
	struct part *shares; /* as many again, for grant.c */
	size_t count;
	double seconds; /* since the last step */
	struct budget budget;
	enum situation situation; /* while guests are looked at: the last step's */
	bool over;		  /* more is in use than the budget */
	bool hurry;		  /* a guest in distress waits for memory of others */
	bool givers;		  /* there are guests that give without being short of memory */
};

/* Fills in all but @ask and @target, of a guest whose first four fields are set. */
void view_look(struct view *view, const struct round *round);
/* Makes its part in the division what it needs now, without regard to what it lately needed. */
void view_tighten(struct view *view);
/* What of the budget it takes when its target is @target. */
uint64_t view_use(const struct view *view, uint64_t target);

#endif
