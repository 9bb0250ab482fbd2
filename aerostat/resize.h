/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing a running guest's memory and waiting for it: what setmem and edit
 * have in common.
 */
#ifndef AEROSTAT_RESIZE_H
#define AEROSTAT_RESIZE_H

#include "aerostat/cli.h"

struct resize_options {
	gboolean no_wait;
	gboolean force;	      /* below the floor, too */
	gboolean keep_target; /* do not ease the target of a guest that stopped short */
	int timeout_s;	      /* at most this long */
	int stall_s;	      /* give up after so long without progress */
	const char *socket;   /* where aerostatd listens; NULL: the usual place */
};
#define RESIZE_DEFAULTS                                                                            \
	{                                                                                          \
		.timeout_s = 120, .stall_s = 10                                                    \
	}
#define RESIZE_ENTRIES(options)                                                                    \
	{ "no-wait",                                                                               \
	  0,                                                                                       \
	  0,                                                                                       \
	  G_OPTION_ARG_NONE,                                                                       \
	  &(options).no_wait,                                                                      \
	  "ask and return at once, as virsh does",                                                 \
	  NULL },                                                                                  \
		{ "force",                                                                         \
		  'f',                                                                             \
		  0,                                                                               \
		  G_OPTION_ARG_NONE,                                                               \
		  &(options).force,                                                                \
		  "make the guest swap or kill, and go below its floor",                           \
		  NULL },                                                                          \
		{ "keep-target",                                                                   \
		  0,                                                                               \
		  0,                                                                               \
		  G_OPTION_ARG_NONE,                                                               \
		  &(options).keep_target,                                                          \
		  "leave the target as asked when the guest stops short",                          \
		  NULL },                                                                          \
		{ "timeout",                                                                       \
		  't',                                                                             \
		  0,                                                                               \
		  G_OPTION_ARG_INT,                                                                \
		  &(options).timeout_s,                                                            \
		  "wait at most S seconds (120)",                                                  \
		  "S" },                                                                           \
	{                                                                                          \
		"stall", 0, 0, G_OPTION_ARG_INT, &(options).stall_s,                               \
			"stopped short = no progress for S seconds (10)", "S"                      \
	}

/* False after a usage error was told. */
bool resize_options_valid(struct context *ctx, const struct verb *verb,
			  const struct resize_options *options, int *code);

struct resize_result {
	enum exit_code code;
	uint64_t target_bytes;
	uint64_t before_bytes, after_bytes; /* what the guest had, and has */
	uint64_t host_before_bytes,
		host_after_bytes; /* what it cost the host; HV_UNSET when not measured */
	uint64_t eased_bytes;	  /* the target a guest that stopped short was left with */
	uint64_t held_bytes;	  /* where aerostatd holds it now; HV_UNSET: it does not */
	double first_move_s;	  /* from the command to the driver's first page; < 0 never */
	double seconds;
	char *reason; /* why it stopped short, NULL when it did not */
	char *remedy;
};
void resize_result_clear(struct resize_result *result);

/*
 * Whether @target may be asked of guest @name whose maximum is @max_bytes, now
 * or at its next start; false with the reason.
 */
bool resize_check(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
		  GError **error);

/*
 * resize_live - ask for @target_bytes and wait as @options say
 *
 * False: the guest could not be asked or was lost; whatever was asked may
 * still happen.  True: *result says how it ended, result->code included.
 */
bool resize_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t target_bytes,
		 const struct resize_options *options, struct resize_result *result,
		 GError **error);

/* Tells the result, as lines or as JSON; returns its exit code.  @waited: not --no-wait. */
int resize_report(struct context *ctx, const hv_info *info, const struct resize_result *result,
		  bool waited);

#endif
