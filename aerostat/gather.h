/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking many guests at once, so that one that does not answer delays no other. */
#ifndef AEROSTAT_GATHER_H
#define AEROSTAT_GATHER_H

#include "aerostat/cli.h"

struct gathered {
	hv_guest *guest;       /* owned */
	hv_info info;	       /* empty when error is set */
	struct hv_stats stats; /* asked for on request */
	bool has_stats;
	GError *error; /* why it did not answer; owned */
};

/*
 * gather_guests - settings (and statistics) of guests, asked in parallel
 * @names: the guests wanted; NULL or empty for all
 *
 * Returns an array of struct gathered *, in the order found; NULL after *code
 * was set and the user told.  Sources that cannot be asked are warned of.
 */
GPtrArray *gather_guests(struct context *ctx, char **names, bool all, bool with_stats, int *code);

#endif
