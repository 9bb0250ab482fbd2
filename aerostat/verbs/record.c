/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat record: writes what the policy of aerostatd is given and decides to a file.
 *
 * The daemon's policy starts with a new state for a recording, so everything that can fail is
 * tried before: the file is created or opened first, and truncated only when the first line has
 * come.  Each line is written through at once, so that the file holds whole lines however the
 * recording ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "aerostat/verbs.h"
#include "api_client/client.h"

#define SECONDS_MAX 10000000

struct record {
	const char *path;
	FILE *file;
	bool created;	  /* by us */
	bool started;	  /* the first line has come */
	bool failed;	  /* the file could not be written */
	int error_number; /* why */
	uint64_t steps;
};

static bool open_record_file(struct record *record, bool force, GError **error)
{
	int fd = open(record->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	record->created = fd >= 0;
	if (fd < 0 && errno == EEXIST && force)
		fd = open(record->path, O_WRONLY | O_CLOEXEC);
	record->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (record->file)
		return true;
	if (errno == EEXIST)
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
			    "%s exists; --force replaces it", record->path);
	else
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s cannot be written: %s",
			    record->path, g_strerror(errno));
	return false;
}

static bool write_record_line(const char *text, enum daemon_line line, void *data)
{
	struct record *record = data;
	/* What was in the file goes only now.  EINVAL: one that cannot be truncated, as a pipe. */
	bool ready = record->started || !ftruncate(fileno(record->file), 0) || errno == EINVAL;

	record->started = true;
	if (ready && fputs(text, record->file) >= 0 && fputc('\n', record->file) != EOF &&
	    !fflush(record->file)) {
		record->steps += line == DAEMON_LINE_STEP;
		return true;
	}
	record->failed = true;
	record->error_number = errno;
	return false;
}

static void close_record_file(struct record *record)
{
	if (fclose(record->file) && !record->failed) {
		record->failed = true;
		record->error_number = errno;
	}
	if (record->created && !record->started)
		unlink(record->path);
}

static int report_recording(struct context *ctx, const struct record *record, const GError *error)
{
	g_autofree char *kept =
		g_strdup_printf("%" G_GUINT64_FORMAT " step%s recorded in %s", record->steps,
				record->steps == 1 ? "" : "s", record->path);

	if (record->failed)
		return cli_fail_with(ctx, EXIT_REFUSED, "%s cannot be written: %s", record->path,
				     g_strerror(record->error_number));
	if (error && record->started)
		return cli_fail_with(ctx, exit_code_of(error), "%s; %s", error->message, kept);
	if (error)
		return cli_fail(ctx, error);
	if (ctx->json)
		cli_print_json(json_pack("{s:o, s:I}", "file", cli_json_string(record->path),
					 "steps", (json_int_t)record->steps));
	else
		printf("%s\n  replay: aerostat simulate --recording %s\n", kept, record->path);
	return EXIT_DONE;
}

static int run_record(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *seconds_text = NULL;
	gboolean force = FALSE;
	const GOptionEntry entries[] = { { "seconds", 's', 0, G_OPTION_ARG_STRING, &seconds_text,
					   "end after S seconds", "S" },
					 { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
					   "replace FILE if it exists", NULL },
					 { NULL } };
	GOptionContext *options = verb_options_new(verb, entries);
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(GError) error = NULL;
	struct record record = { 0 };
	g_auto(GStrv) words = NULL;
	int64_t end_us = G_MAXINT64;
	unsigned int seconds = 0;
	int code;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 1, 1, &words, &code))
		return code;
	if (!verb_parse_number(ctx, verb, "seconds", seconds_text, 1, SECONDS_MAX, &seconds, &code))
		return code;
	record.path = words[0];
	if (!open_record_file(&record, force, &error))
		return cli_fail(ctx, error);
	if (seconds)
		end_us = g_get_monotonic_time() + (int64_t)seconds * G_USEC_PER_SEC;
	daemon = daemon_client_new(socket, DAEMON_TIMEOUT_MS);
	daemon_record(daemon, end_us, write_record_line, &record, &error);
	close_record_file(&record);
	return report_recording(ctx, &record, error);
}

const struct verb verb_record = {
	.name = "record",
	.args = "FILE",
	.summary = "record what aerostatd sees and decides",
	.details =
		"Writes each step of the policy to FILE, one line per step, about one per second, "
		"until Ctrl-C or for\n"
		"--seconds: what the policy is given and what it decides. aerostat simulate "
		"replays it, with this or\n"
		"another policy. So that a replay can decide the same, the policy starts with a "
		"new state, and takes\n"
		"no memory from any guest for half a minute. There is one recording at a time.",
	.examples = "  aerostat record night.jsonl --seconds 3600\n"
		    "  aerostat simulate --recording night.jsonl\n",
	.run = run_record,
};
