/* SPDX-License-Identifier: BSD-3-Clause */
/* One guest: from what it told to what the policy is shown.  No I/O; private to the manager. */
#ifndef AEROSTAT_MANAGED_H
#define AEROSTAT_MANAGED_H

#include "aerostatd/keep.h"
#include "aerostatd/manager.h"
#include "aerostatd/reach.h"

/* What is within this much of its target has arrived: drivers may work in huge pages. */
#define ARRIVED_BYTES (UINT64_C(4) << 20)
/* A guest that stands still short of its target is told it again after so long. */
#define REMIND_US (5 * G_USEC_PER_SEC)
/* A guest that moved away from its target by itself for so long was moved by somebody. */
#define AWAY_US (3 * G_USEC_PER_SEC)
/* One whose statistics are older may have lost its driver. */
#define SILENT_US (2 * G_USEC_PER_SEC)
/* One whose last answer is older does not answer. */
#define ANSWER_US (3 * G_USEC_PER_SEC)

struct managed_private {
	struct manager *manager;
	struct reach *reach;
	struct policy_rules rules; /* of the file */
	int person_mode;	   /* enum policy_mode; -1: no person said anything */
	uint64_t asked_in;	   /* the number of the round in which it was asked last */
	int64_t answered_us;	   /* monotonic; 0: never */

	uint64_t start_ticks; /* of its process, when it was met: a pid may be used again */
	bool changed;	      /* we set its target since before_bytes, so it has to be put back */
	int before_period_s;
	bool releasing;

	uint64_t target_bytes; /* the last that we set; HV_UNSET: none, or somebody else's since */
	int64_t set_us;	       /* when */
	uint64_t actual_bytes; /* in the sample before */
	bool arrived;	       /* it has had its target since it was set */
	int64_t moved_us;      /* when its size changed last */
	int64_t away_us;       /* since when it is away from a target it had; 0: it is not */
	uint64_t away_faults;  /* its count of faults then, to tell a reboot */
};

struct managed *managed_new(struct manager *manager, uint64_t id, const hv_guest *guest);
void managed_free(gpointer guest);
/* Of the file's and the person's mode, the one that applies. */
enum policy_mode managed_mode(const struct managed *guest);

enum managed_news {
	MANAGED_SAME,
	MANAGED_MET,	     /* it answered for the first time */
	MANAGED_ANOTHER,     /* it is another guest under the same address, or started anew */
	MANAGED_BY_SOMEBODY, /* somebody else changed its size */
};
/* Takes in an answer.  MANAGED_ANOTHER leaves it as it was. */
enum managed_news managed_take(struct managed *guest, const struct reach_sample *sample);
/* It did not answer. */
void managed_fail(struct managed *guest, const char *problem);
/* Writes guest->seen as it is now. */
void managed_show(struct managed *guest, int64_t now_us);
/* A target was passed on. */
void managed_was_told(struct managed *guest, uint64_t target_bytes, int64_t now_us);
/* Whether it stands still short of its target and should be told it once more. */
bool managed_needs_reminder(const struct managed *guest, int64_t now_us);
/* Remembers the decision, with what it was before. */
void managed_remember(struct managed *guest);

/* To and from what outlives the daemon. */
void managed_keep(const struct managed *guest, struct keep_guest *kept);
void managed_resume(struct managed *guest, const struct keep_guest *kept);

#endif
