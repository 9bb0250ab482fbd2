/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/recorder.h"

#include <stdio.h>
#include <stdlib.h>

#include "recording/recording.h"

struct recorder {
	recorder_line_fn line; /* NULL: no recording */
	void *data;
	/* The line that is being written. */
	FILE *file;
	char *text;
	size_t length;
};

struct recorder *recorder_new(void)
{
	return g_new0(struct recorder, 1);
}

void recorder_free(struct recorder *recorder)
{
	g_free(recorder);
}

bool recorder_is_active(const struct recorder *recorder)
{
	return recorder->line;
}

static FILE *begin_record(struct recorder *recorder)
{
	recorder->text = NULL;
	recorder->file = open_memstream(&recorder->text, &recorder->length);
	if (!recorder->file)
		g_error("out of memory");
	return recorder->file;
}

static void finish_record(struct recorder *recorder)
{
	fclose(recorder->file);
	recorder->line(recorder->text, recorder->length, recorder->data);
	free(recorder->text);
}

void recorder_start(struct recorder *recorder, const char *policy,
		    const struct policy_settings *settings, recorder_line_fn line, void *data)
{
	recorder->line = line;
	recorder->data = data;
	recording_write_start(begin_record(recorder), policy, settings);
	finish_record(recorder);
}

void recorder_add_settings(struct recorder *recorder, const struct policy_settings *settings)
{
	if (!recorder->line)
		return;
	recording_write_settings(begin_record(recorder), settings);
	finish_record(recorder);
}

void recorder_add_step(struct recorder *recorder, const struct policy_host *host,
		       const struct policy_guest *guests, size_t count,
		       const struct policy_decision *decisions)
{
	if (!recorder->line)
		return;
	recording_write_step(begin_record(recorder), host, guests, count, decisions);
	finish_record(recorder);
}

void recorder_stop(struct recorder *recorder)
{
	recorder_line_fn line = recorder->line;

	recorder->line = NULL;
	if (line)
		line(NULL, 0, recorder->data);
}
