/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strays: guests of the state file that are not managed.
 *
 * Theory of operation
 * -------------------
 * An entry of the state file becomes a stray when the daemon starts, and when the source of its
 * guest is removed.  If the guest is found again, it claims its entry, but not while an attempt to
 * restore it is under way: a call in flight might take effect after a newer target.  So the attempt
 * is cancelled, and the claim waits for its end.  A guest that is not found again, the daemon
 * restores at the address where it was seen last, at once or after STRAY_WAIT_S, and after a
 * failure again and again, with pauses that double.  An entry goes only when its guest was restored
 * or has provably ended.
 *
 * All functions, and the callback, are for the thread of the default main context.
 */
#ifndef AEROSTATD_STRAYS_H
#define AEROSTATD_STRAYS_H

#include "aerostatd/state_file.h"
#include "aerostatd/worker.h"

/* Guests of an earlier daemon are expected to be found within this time. */
#define STRAY_WAIT_S 30
/* The pause after the first failure, and the longest one. */
#define STRAY_PAUSE_S 2
#define STRAY_PAUSE_MAX_S 60

struct strays;

/*
 * strays_new - the strays of a daemon that starts
 * @entries: struct saved_guest *, which are copied
 * @changed: called when the state file is out of date, or the last attempt has ended
 */
struct strays *strays_new(const GPtrArray *entries, void (*changed)(void *data), void *data);
/* Cancels all attempts. */
void strays_free(struct strays *strays);

/*
 * strays_add - a guest whose source was removed; it is restored now
 * @entry: copied
 * @worker: the guest's own, which is taken over, so that what it is doing comes first
 */
void strays_add(struct strays *strays, const struct saved_guest *entry, struct worker *worker);

/* Whether the entry of a guest that was found (state_file_find()) cannot be claimed yet, as it is
 * being restored.  The attempt is cancelled. */
bool strays_delay_claim(struct strays *strays, const struct saved_guest *guest);

/* Takes the entry of a guest that was found out, which must not be delayed.  NULL if there is none;
 * otherwise the caller frees it. */
struct saved_guest *strays_claim(struct strays *strays, const struct saved_guest *guest);

/* Tries once more to restore those that have to be, and no more after that. */
void strays_finish(struct strays *strays);

/* Those of which an attempt is in progress. */
unsigned int strays_count_restoring(const struct strays *strays);

/* Those that still have to be restored; after strays_finish(), without those that are moving. */
unsigned int strays_count_missing(const struct strays *strays);

/* Adds all entries, whose texts remain the strays', to an array of struct saved_guest.  Forgets
 * those whose guests have ended. */
void strays_collect(struct strays *strays, GArray *entries);

#endif
