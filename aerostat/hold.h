/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling aerostatd that a person sets a guest's size, so that its policy does not set another.
 *
 * Nothing of this can fail: without a daemon, or with one that does not manage the guest, nothing
 * happens, and one that refuses is warned of.
 */
#ifndef AEROSTAT_HOLD_H
#define AEROSTAT_HOLD_H

#include "aerostat/cli.h"

struct daemon;
struct hold {
	struct context *ctx;
	const char *name;
	struct daemon *daemon; /* NULL: none manages the guest */
	char *path;	       /* of the guest's mode */
	json_t *before;	       /* the mode that a person had set before; NULL: none */
	uint64_t bytes;	       /* at which it is held; HV_UNSET: it is not */
};

/* Looks for a daemon that sets the size of this guest.  @socket: NULL for the usual place. */
void hold_look(struct hold *hold, struct context *ctx, const char *socket, const hv_guest *guest,
	       const hv_info *info);
/* Before the guest is asked for @bytes: the policy lets go, and the size is the person's. */
void hold_at(struct hold *hold, uint64_t bytes);
/* The guest could not be asked: all is as it was. */
void hold_undo(struct hold *hold);
void hold_clear(struct hold *hold);

#endif
