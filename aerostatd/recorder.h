/* SPDX-License-Identifier: BSD-3-Clause */
/* The recording that one client may have running (docs/recording.md). */
#ifndef AEROSTATD_RECORDER_H
#define AEROSTATD_RECORDER_H

#include <glib.h>
#include <stdbool.h>

#include "policy/policy.h"

/* Called with each line; once with NULL when the recording ends. */
typedef void (*recorder_line_fn)(const char *text, gsize length, void *data);

struct recorder;

/* Records nothing until it is started. */
struct recorder *recorder_new(void);
/* Frees it; the function that takes the lines is not called again. */
void recorder_free(struct recorder *recorder);

/* Whether a recording is running. */
bool recorder_is_active(const struct recorder *recorder);

/* Starts a recording with its first line: the policy's name and settings. */
void recorder_start(struct recorder *recorder, const char *policy,
		    const struct policy_settings *settings, recorder_line_fn line, void *data);

/* Adds settings that were reloaded; nothing without a recording. */
void recorder_add_settings(struct recorder *recorder, const struct policy_settings *settings);

/* Adds one step of the policy; nothing without a recording. */
void recorder_add_step(struct recorder *recorder, const struct policy_host *host,
		       const struct policy_guest *guests, size_t count,
		       const struct policy_decision *decisions);

/* Ends the recording, if there is one. */
void recorder_stop(struct recorder *recorder);

#endif
