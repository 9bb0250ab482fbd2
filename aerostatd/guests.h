/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All guests of the daemon, and the state file that outlives it.
 *
 * Theory of operation
 * -------------------
 * A guest is in one of three lists.  Those that are managed are sampled, shown to the policy and
 * reported.  Those that leave are no longer found by any source, but still run and are being
 * restored.  Those that are unclaimed are only entries of the state file: saved by an earlier
 * daemon and not found yet, or left by a restore that failed.
 *
 * All three are in the state file.  An entry goes only when its guest was restored or has provably
 * ended.  A guest that is found again claims its entry, and so keeps the size from before it was
 * first managed.
 */
#ifndef AEROSTATD_GUESTS_H
#define AEROSTATD_GUESTS_H

#include "aerostatd/managed.h"

struct guests;

/* Reads the state file in @folder; NULL with an error if it cannot be understood. */
struct guests *guests_new(const char *folder, GError **error);
/* Frees all guests; none is restored. */
void guests_free(struct guests *guests);

/* The managed guests, struct managed *, sorted by name and address once they have answered. */
const GPtrArray *guests_list(const struct guests *guests);

/* Adds a guest that was found, and owns it from now on. */
void guests_add(struct guests *guests, struct managed *guest);

/* Takes out a managed guest whose end is proven, or that never answered; the caller frees it. */
void guests_remove(struct guests *guests, struct managed *guest);

/* The managed guest at an address; NULL if there is none. */
struct managed *guests_find_address(const struct guests *guests, const char *source,
				    const char *address);

/* A managed guest by name, UUID or address; NULL with a MANAGER_ERROR. */
struct managed *guests_find_name(const struct guests *guests, const char *name, GError **error);

/*
 * guests_claim - what is saved of a managed guest that has answered for the first time
 *
 * Applies it to the guest.  Returns whether there was any.
 */
bool guests_claim(struct guests *guests, struct managed *guest);

/* Moves a managed guest to those that leave and starts its restore. */
void guests_start_leaving(struct guests *guests, struct managed *guest);

/*
 * guests_finish_restore - note the outcome of the restore of any guest
 *
 * Frees the guest unless it is managed and still runs.
 */
void guests_finish_restore(struct guests *guests, struct managed *guest,
			   enum restore_outcome outcome);

/* Starts the restore of all managed guests that have answered. */
void guests_start_restore(struct guests *guests);

/* How many are being restored. */
unsigned int guests_count_restoring(const struct guests *guests);

/* How many are being restored, or have to be at the next opportunity. */
unsigned int guests_count_missing(const struct guests *guests);

/* The state file is out of date. */
void guests_touch(struct guests *guests);

/*
 * guests_save - write the state file if it is out of date
 *
 * Returns whether it is up to date: if not, no guest may be changed.  The first failure in a row is
 * logged.
 */
bool guests_save(struct guests *guests);

#endif
