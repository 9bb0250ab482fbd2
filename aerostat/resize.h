/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing a running guest's memory and waiting for the result: what setmem and edit have in
 * common.
 */
#ifndef AEROSTAT_RESIZE_H
#define AEROSTAT_RESIZE_H

#include "aerostat/cli.h"

struct resize_options {
	gboolean no_wait;
	gboolean force;	      /* below the guest's floor, too */
	gboolean keep_target; /* do not raise the target of a guest that stopped short */
	int timeout_s;	      /* wait at most this long */
	int stall_s;	      /* give up after this long without progress */
	const char *socket;   /* where aerostatd listens; NULL: the usual place */
};
#define RESIZE_DEFAULTS                                                                            \
	{                                                                                          \
		.timeout_s = 120, .stall_s = 10                                                    \
	}

/* The options that set *options, except socket. */
GOptionGroup *resize_option_group(struct resize_options *options);

/* Checks their ranges; false after a usage error was printed, with the exit code in *code. */
bool resize_check_options(struct context *ctx, const struct verb *verb,
			  const struct resize_options *options, int *code);

/* How a resize ended.  Sizes that are not known, or do not apply, are HV_UNSET. */
struct resize_result {
	enum exit_code code;
	uint64_t target_bytes;
	uint64_t before_bytes, after_bytes;	      /* the guest's size */
	uint64_t host_before_bytes, host_after_bytes; /* what it cost the host */
	uint64_t eased_bytes; /* the target that a guest which stopped short was left with */
	uint64_t held_bytes;  /* the size at which aerostatd now holds it */
	double first_move_s;  /* from the request to the first change of size; < 0: never */
	double seconds;
	char *reason; /* why it stopped short; NULL if it did not */
	char *remedy;
};
/* Frees the texts in *result. */
void resize_result_clear(struct resize_result *result);

/*
 * resize_check_target - whether a guest may be set to @target_bytes
 * @name: the guest's, for the error
 * @max_bytes: its maximum now, or at its next start
 * @force: accept a size below its floor
 */
bool resize_check_target(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
			 GError **error);

/*
 * resize_live - ask a running guest for @target_bytes, and wait as @options say
 * @info: the guest's settings before
 * @result: receives the outcome, including the exit code; clear it even after an error
 *
 * Returns false if the guest could not be asked or contact with it was lost; a request that
 * was made may still take effect.
 */
bool resize_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t target_bytes,
		 const struct resize_options *options, struct resize_result *result,
		 GError **error);

/* Prints the result as text or JSON; returns its exit code.  @waited: without --no-wait. */
int resize_report(struct context *ctx, const hv_info *info, const struct resize_result *result,
		  bool waited);

#endif
