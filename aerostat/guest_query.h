/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking many guests in parallel, so that one that does not answer delays no other. */
#ifndef AEROSTAT_GUEST_QUERY_H
#define AEROSTAT_GUEST_QUERY_H

#include "aerostat/cli.h"

/* What one guest answered. */
struct guest_reply {
	hv_guest *guest;       /* owned */
	hv_info info;	       /* empty if error is set */
	struct hv_stats stats; /* valid if has_stats */
	bool has_stats;
	GError *error; /* why it did not answer; owned */
};

/*
 * query_guests - ask guests for their settings, and for statistics if wanted
 * @names: the guests; NULL or empty for all
 * @all: of all guests, include those that are shut off
 * @with_stats: ask for statistics, too
 *
 * Takes CALL_MS at most for a guest.  A source that cannot be asked causes a warning.
 *
 * Returns an array of struct guest_reply *, in the order found, which the caller unrefs; NULL
 * after an error was printed, with the exit code in *code.
 */
GPtrArray *query_guests(struct context *ctx, char **names, bool all, bool with_stats, int *code);

/* Whether another of @guests, of query_guests(), has the name of @one. */
bool has_guest_namesake(const GPtrArray *guests, const struct guest_reply *one);

#endif
