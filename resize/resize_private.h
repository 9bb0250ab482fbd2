/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One resize while it lasts.  resize.c calls resize_ask.c, which calls resize_text.c.
 */
#ifndef AEROSTAT_RESIZE_RESIZE_PRIVATE_H
#define AEROSTAT_RESIZE_RESIZE_PRIVATE_H

#include "resize/guest_stats.h"
#include "resize/resize.h"
#include "resize/resize_text.h"
#include "resize/target_file.h"

struct resize {
	hv_guest *guest;
	const hv_info *info;
	const struct resize_request *request;
	const struct resize_ops *ops;
	void *data;
	struct resize_result *result;
	int64_t started_us;
	bool is_set;	      /* the target was set, or may have been */
	uint64_t first_bytes; /* a part of what is asked for, which was reached; 0: none */
	struct balloon_wait wait;
	struct target_file target_file;
	struct guest_stats stats;
};

enum resize_step {
	RESIZE_GO_ON,
	RESIZE_ENDED,  /* the result says why */
	RESIZE_FAILED, /* the error says why */
};

/* Before a guest is made smaller: whether it may be, and what it can give. */
enum resize_step resize_ask_guest(struct resize *r, GError **error);

/* How long a guest may take to report before it counts as silent. */
#define RESIZE_SILENT_MS 4000

/* The least that a guest is asked for of which nobody knows what it can give. */
uint64_t resize_careful_bytes(uint64_t max_bytes);

/* Whether no driver has started yet in a guest that has not been running for long. */
bool resize_is_booting(const struct resize *r);

/* Whether to end early: cancelled, or replaced by a newer request.  The result then says so. */
bool resize_is_given_up(struct resize *r);

/* Sets the reason and its texts. */
void resize_conclude(struct resize *r, enum resize_reason reason);

#endif
