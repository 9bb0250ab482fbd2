/* SPDX-License-Identifier: BSD-3-Clause */
/* What the policy keeps of each guest between steps. */
#ifndef AEROSTAT_HISTORY_H
#define AEROSTAT_HISTORY_H

#include "policy/cost.h"
#include "policy/distress.h"
#include "policy/divide.h"
#include "policy/need.h"
#include "policy/pace.h"
#include "policy/policy.h"
#include "policy/reserve.h"
#include "policy/sample.h"
#include "policy/trim.h"

/* One guest.  Each member belongs to the file that declares its type. */
struct history {
	uint64_t id;
	struct sample sample;
	struct need need;
	struct growth growth;
	struct symptoms symptoms;
	struct pace pace;
	struct cost cost;
	struct trim trim;
	int64_t pulled_us;	  /* when it last took memory back by itself; 0: never */
	uint64_t pulled;	  /* how much of that was kept */
	uint64_t ceiling;	  /* up to which it may do so since the last step; 0: not bounded */
	uint64_t counted;	  /* its pulled_bytes in the last step; or POLICY_UNSET */
	uint64_t resident;	  /* in the last step; POLICY_UNSET: not known, or no last step */
	double climb;		  /* what that grew by lately, bytes/s */
	enum situation situation; /* of the last step, where memory is shortest for it */
};

/* Where a guest of this step stands in the caller's array. */
struct place {
	uint64_t id;
	size_t index;
};

/* All guests of a step, in the order of their ids.  Starts as all zeros. */
struct histories {
	struct history *list;
	struct place *places; /* places[k] belongs to list[k] */
	size_t count, room;
};

/*
 * histories_match - make list[k] and places[k] those of the guest with the k-th lowest id
 *
 * Drops the histories of guests that are not among @guests and adds empty ones for new
 * guests.  Returns 0, or -ENOMEM and then leaves every history as it was.
 */
int histories_match(struct histories *histories, const struct policy_guest *guests, size_t count);

/* Frees both arrays; @histories can be used again. */
void histories_free(struct histories *histories);

#endif
