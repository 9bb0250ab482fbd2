/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recordings: what a policy was shown and what it decided, to be shown to a policy again.
 *
 * Theory of operation
 * -------------------
 * A recording is text, one JSON object a line (docs/recording.md).  The first line says that it is
 * one, and names policy and settings; then each line is a step, or settings that were reloaded.
 * Nothing is lost: every number of policy.h comes back bit for bit.  Doubles are written with 17
 * digits, POLICY_UNSET as null, and what JSON has no number for (an integer above 2^63 − 1, which
 * a forged statistic may well be; what is not finite) as a string.
 *
 * One table a struct, of names and places, drives writing and reading.  A key that is missing or
 * not known is an error: a replay with a number less would decide something else.
 *
 * Replayed decisions are the recorded ones only if the policy's state was new when the recording
 * began.
 */
#ifndef AEROSTAT_RECORDING_H
#define AEROSTAT_RECORDING_H

#include <glib.h>
#include <stdio.h>

#include "policy/policy.h"

#define RECORDING_VERSION 1

#define RECORDING_ERROR recording_error_quark()
GQuark recording_error_quark(void);
enum recording_error {
	RECORDING_ERROR_FILE,	/* not there, not readable */
	RECORDING_ERROR_FORMAT, /* not a recording, or damaged: file, line and reason */
};

/* Each writes a line; false when the file could not be written, errno says why. */
bool recording_write_start(FILE *file, const char *policy, const struct policy_settings *settings);
bool recording_write_settings(FILE *file, const struct policy_settings *settings);
/* @decisions may be NULL. */
bool recording_write_step(FILE *file, const struct policy_host *host,
			  const struct policy_guest *guests, size_t count,
			  const struct policy_decision *decisions);

enum recording_line {
	RECORDING_STEP,
	RECORDING_SETTINGS,
	RECORDING_END,
	RECORDING_FAILED,
};

/* What is read last; it stays until the next line is read. */
struct recording {
	char *path;
	FILE *file;
	unsigned int line;
	char *policy; /* the name in the first line */
	struct policy_settings settings;
	struct policy_host host;
	size_t count;
	struct policy_guest *guests;
	bool has_decisions;
	struct policy_decision *decisions;
};

/* Reads the first line.  NULL with an error. */
struct recording *recording_open(const char *path, GError **error);
enum recording_line recording_next(struct recording *recording, GError **error);
/* Whether two decisions are the same in everything that a recording holds. */
bool recording_same_decision(const struct policy_decision *a, const struct policy_decision *b);
void recording_close(struct recording *recording);
typedef struct recording recording_file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recording_file, recording_close)

#endif
