/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes that people set through the API: one job per guest, in a thread of its own.
 *
 * A job is resize_guest() of resize/, so the API refuses and reports what `aerostat setmem` does.
 * Then the guest is held at its new size, unless its mode is observe or off.
 */
#ifndef AEROSTATD_RESIZING_H
#define AEROSTATD_RESIZING_H

#include "aerostatd/guests.h"
#include "resize/resize.h"

struct resizings;

struct resizings *resizings_new(struct guests *guests, struct events *events);

/* Cancels all jobs; waits for them at most RESIZINGS_END_MS, for what they restore. */
#define RESIZINGS_END_MS 3000
void resizings_free(struct resizings *resizings);

/*
 * resizings_start - change the size of a guest that has answered
 *
 * Refuses at once what is known to be harmful (resize_check_view()); the rest is asked of the
 * guest in the job.  A newer request replaces one that is under way.
 */
bool resizings_start(struct resizings *resizings, struct managed *guest, uint64_t bytes, bool force,
		     GError **error);

/* Whether @guest may be held at @bytes, by what is known of it now. */
bool resizings_check(const struct managed *guest, uint64_t bytes, bool force, GError **error);

/* The hypervisor took a target of @guest, or with @error did not. */
void resizings_note_target(struct resizings *resizings, const struct managed *guest,
			   const GError *error);

/* @guest is no longer managed: as resizings_cancel(), and its latest request is forgotten. */
void resizings_forget(struct resizings *resizings, const struct managed *guest);

/* Cancels the job of @guest, if there is one, because a person has chosen something else.  What it
 * asked of the guest stays in effect. */
void resizings_cancel(struct resizings *resizings, const struct managed *guest);

/* Cancels all jobs, for good: none starts any more. */
void resizings_stop(struct resizings *resizings);

/* The latest request for @guest; NULL if there was none since it was found. */
const struct managed_resize *resizings_find(const struct resizings *resizings,
					    const struct managed *guest);

#endif
