/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling aerostatd that a user sets a guest's size, so that its policy does not set another.
 *
 * None of these functions can fail: without a daemon, or with one that does not manage the guest,
 * they do nothing; when the daemon refuses, or does not answer, they print a warning.
 */
#ifndef AEROSTAT_HOLD_H
#define AEROSTAT_HOLD_H

#include "aerostat/cli.h"

struct daemon_client;
struct hold {
	struct context *ctx;
	const char *name;	      /* of the guest, borrowed */
	struct daemon_client *daemon; /* NULL: there is none */
	char *key;     /* what the daemon finds the guest by; NULL: it does not set it */
	bool was_held; /* by a user, before this command */
	uint64_t held_before_bytes; /* then, where; HV_UNSET when unknown */
	uint64_t bytes;		    /* where it is held now; HV_UNSET: hold_at() had no effect */
};

/*
 * hold_prepare - find out whether a daemon sets the size of this guest
 * @hold: filled in here; clear it with hold_clear()
 * @socket: the daemon's; NULL for the usual place
 * @guest, @info: need not outlive the call, but for @info's name
 *
 * Waits at most 2 s for each of the three names that it asks the daemon by.
 */
void hold_prepare(struct hold *hold, struct context *ctx, const char *socket, const hv_guest *guest,
		  const hv_info *info);
/* Has the daemon hold the guest at @bytes; call it before asking the guest for that size. */
void hold_at(struct hold *hold, uint64_t bytes);
/* Restores the mode from before the first hold_at(): the guest was not asked after all. */
void hold_undo(struct hold *hold);
/* Frees what @hold owns; the guest stays held. */
void hold_clear(struct hold *hold);

#endif
