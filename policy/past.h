/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered of each guest between steps. */
#ifndef AEROSTAT_PAST_H
#define AEROSTAT_PAST_H

#include "policy/distress.h"
#include "policy/need.h"
#include "policy/pace.h"
#include "policy/policy.h"
#include "policy/reserve.h"
#include "policy/sample.h"

struct past {
	uint64_t id;
	struct sample sample;
	struct need need;
	struct growth growth;
	struct signs signs;
	struct pace pace;
};

/* One guest of this step: where it stands in the caller's list. */
struct place {
	uint64_t id;
	size_t index;
};

struct pasts {
	struct past *pasts;   /* by id, those of the last step */
	struct place *places; /* of this step, by id */
	size_t count, room;
};

/*
 * pasts_match - makes pasts[k] and places[k] those of the same guest, in order of ids
 *
 * Guests that are not among @guests are forgotten; those that are new begin with
 * a past of zeros.  Returns 0 or -ENOMEM, and then has forgotten nothing.
 */
int pasts_match(struct pasts *pasts, const struct policy_guest *guests, size_t count);
void pasts_free(struct pasts *pasts);

#endif
