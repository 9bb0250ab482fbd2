/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rounds: sample all guests, let the policy decide, carry the decisions out.
 *
 * Theory of operation
 * -------------------
 * A tick every ROUND_US opens a round, which requests a sample of every guest that is not still
 * busy with an earlier request.  It closes when all have answered, and ROUND_WAIT_US later at the
 * latest.  The state file is written before the first target of a round is sent; if that fails,
 * none is.
 *
 * The round owns the policy's state and the host's numbers.  It writes the part of struct
 * manager_status that is marked as its own.
 */
#ifndef AEROSTATD_ROUND_H
#define AEROSTATD_ROUND_H

#include "aerostatd/guests.h"
#include "aerostatd/recorder.h"
#include "aerostatd/reservations.h"

/* What a round works on; all of it outlives the round. */
struct round_context {
	const char *proc;	   /* host.h */
	unsigned int policy_clock; /* manager.h */
	struct manager_status *status;
	struct guests *guests;
	struct reservations *reservations;
	struct recorder *recorder;
};

struct round;

/* Starts rounds with the policy and settings of @context->status->config. */
struct round *round_new(const struct round_context *context);
/* Stops the rounds, and frees the policy. */
void round_free(struct round *round);

/* Opens no more rounds, and sends no more targets. */
void round_stop(struct round *round);

/* Opens a round now, or as soon as none is open and the last one was 250 ms ago. */
void round_hurry(struct round *round);

/* @guest has answered, or is about to go: the open round does not wait for it any longer.  This
 * may close the round, and so change any guest. */
void round_note_answer(struct round *round, const struct managed *guest);

/* The configuration in status was replaced: applies its settings.  Another policy begins with no
 * memory, which ends a recording. */
void round_reconfigure(struct round *round);

/* Lets the policy begin with no memory, as a recording requires. */
void round_restart_policy(struct round *round);

#endif
