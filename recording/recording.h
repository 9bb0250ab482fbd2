/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recordings: the input and the decisions of a policy, to replay them later.
 *
 * Theory of operation
 * -------------------
 * A recording is text, one JSON object per line (docs/recording.md).  The first line identifies
 * the format and names the policy and its settings.  Each further line is a step, or settings
 * that were reloaded.  Nothing is lost: each number of policy.h comes back bit for bit.  Doubles
 * are written with 17 digits and POLICY_UNSET as null.  A number that JSON does not have is
 * written as a string: an integer above 2^63 − 1, which a forged statistic may be, or a double
 * that is not finite.
 *
 * One table per struct, with the names and offsets of its members, drives writing and reading.
 * A missing or unknown key is an error, because a replay without a number would decide
 * something else.
 *
 * A replay gives the recorded decisions only if the policy's state was new when the recording
 * began.
 */
#ifndef AEROSTAT_RECORDING_H
#define AEROSTAT_RECORDING_H

#include <glib.h>
#include <stdio.h>

#include "policy/policy.h"

/*
 * Version 1 has no groups and no ram_bytes, versions 1 and 2 have no limit_group, and versions 1 to
 * 3 have no abilities and what belongs to them.  All of them can still be read.
 */
#define RECORDING_VERSION 4

#define RECORDING_ERROR recording_error_quark()

/* The domain of enum recording_error. */
GQuark recording_error_quark(void);

enum recording_error {
	RECORDING_ERROR_FILE,	/* it cannot be opened */
	RECORDING_ERROR_FORMAT, /* it cannot be read or understood; names file, line and reason */
};

/* Writes the first line.  Returns false with errno set if that fails. */
bool recording_write_start(FILE *file, const char *policy, const struct policy_settings *settings);

/* Writes settings that were reloaded.  Returns false with errno set if that fails. */
bool recording_write_settings(FILE *file, const struct policy_settings *settings);

/* Writes a step; @decisions may be NULL.  Returns false with errno set if that fails. */
bool recording_write_step(FILE *file, const struct policy_host *host,
			  const struct policy_guest *guests, size_t count,
			  const struct policy_decision *decisions);

enum recording_line {
	RECORDING_STEP,
	RECORDING_SETTINGS,
	RECORDING_END,
	RECORDING_FAILED,
};

/* An open recording, and what was read last, which is valid until the next line is read. */
struct recording {
	char *path;
	FILE *file;
	unsigned int line;
	int version;
	char *policy; /* the name in the first line */
	struct policy_settings settings;
	struct policy_host host;
	struct policy_group *groups; /* of the host */
	size_t count;
	struct policy_guest *guests;
	bool has_decisions;
	struct policy_decision *decisions;
};

/*
 * recording_open - open a recording and read its first line
 *
 * Sets @policy and @settings.  Returns NULL with a RECORDING_ERROR; the caller closes it.
 */
struct recording *recording_open(const char *path, GError **error);

/*
 * recording_next - read the next line
 *
 * RECORDING_STEP sets host, guests and decisions, RECORDING_SETTINGS the settings.
 * RECORDING_FAILED comes with a RECORDING_ERROR.
 */
enum recording_line recording_next(struct recording *recording, GError **error);

/* Whether two decisions are equal in everything that a recording holds. */
bool recording_same_decision(const struct policy_decision *a, const struct policy_decision *b);

/* Closes the file and frees everything; @recording may be NULL. */
void recording_close(struct recording *recording);
typedef struct recording recording_file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recording_file, recording_close)

#endif
