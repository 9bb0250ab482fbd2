/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resize/resize.h on the command line: what setmem and edit have in common.
 */
#ifndef AEROSTAT_RESIZE_CLI_H
#define AEROSTAT_RESIZE_CLI_H

#include "aerostat/cli.h"
#include "resize/resize.h"

struct resize_options {
	gboolean no_wait;
	gboolean force;		/* below the guest's floor, too */
	gboolean keep_target;	/* do not raise the target of a guest that stopped short */
	unsigned int timeout_s; /* wait at most this long */
	unsigned int stall_s;	/* give up after this long without progress */
	char *timeout, *stall;	/* the same as they were given, until resize_check_options() */
	const char *socket;	/* where aerostatd listens; NULL: the usual place */
};
#define RESIZE_DEFAULTS                                                                            \
	{                                                                                          \
		.timeout_s = 120, .stall_s = 10                                                    \
	}

/* The options that set *options, except socket. */
GOptionGroup *resize_option_group(struct resize_options *options);

/* Reads their numbers; false after a usage error was printed, with the exit code in *code. */
bool resize_check_options(struct context *ctx, const struct verb *verb,
			  struct resize_options *options, int *code);

/* What a resize on the command line came to. */
struct resize_outcome {
	struct resize_result result;
	uint64_t held_bytes; /* the size at which aerostatd now holds the guest; HV_UNSET */
};
/* Frees the texts in *outcome. */
void resize_outcome_clear(struct resize_outcome *outcome);

/*
 * resize_live - resize_guest(), with a progress bar and aerostatd's consent
 * @info: the guest's settings before
 * @outcome: clear it even after an error
 *
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT end it early.
 */
bool resize_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t target_bytes,
		 const struct resize_options *options, struct resize_outcome *outcome,
		 GError **error);

/* Prints the outcome as text or JSON; returns its exit code. */
int resize_report(struct context *ctx, const hv_info *info, const struct resize_outcome *outcome);

#endif
