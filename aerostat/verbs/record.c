/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat record: what the policy of aerostatd is shown and decides, into a file.
 *
 * The daemon's policy begins anew with a recording, so all that can fail is tried before: the
 * file is made or opened first, and emptied only when the first line has come.  Each line is
 * looked at and written through at once, so that whatever ends the recording, the file holds whole
 * lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat/daemon.h"
#include "aerostat/verbs.h"

#define SECONDS_MAX 10000000

struct record {
	const char *path;
	FILE *file;
	bool made;   /* the file was not there */
	bool begun;  /* the first line is in it */
	bool failed; /* error_number says why; 0: a line that is none of a recording's */
	int error_number;
	uint64_t steps;
};

static bool open_file(struct record *record, bool force, GError **error)
{
	int fd = open(record->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	record->made = fd >= 0;
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

/* What was there before goes only now.  Not everything that is written to can be emptied. */
static bool begin(struct record *record)
{
	record->begun = true;
	return !ftruncate(fileno(record->file), 0) || errno == EINVAL;
}

static bool write_line(struct record *record, const char *text)
{
	if ((record->begun || begin(record)) && fputs(text, record->file) >= 0 &&
	    fputc('\n', record->file) != EOF && !fflush(record->file))
		return true;
	record->failed = true;
	record->error_number = errno;
	return false;
}

static bool on_line(const char *text, void *data)
{
	struct record *record = data;
	json_t *line = json_loads(text, 0, NULL);
	bool known = json_object_get(line, record->begun ? "host" : "aerostat-recording") ||
		     (record->begun && json_object_get(line, "settings"));
	bool step = json_object_get(line, "host") != NULL;

	json_decref(line);
	if (!known) {
		record->failed = true;
		return false;
	}
	if (!write_line(record, text))
		return false;
	record->steps += step;
	return true;
}

static void close_file(struct record *record)
{
	if (fclose(record->file) && !record->failed) {
		record->failed = true;
		record->error_number = errno;
	}
	if (record->made && !record->begun)
		unlink(record->path);
}

static int report(struct context *ctx, const struct record *record, const GError *error)
{
	g_autofree char *kept =
		g_strdup_printf("%" G_GUINT64_FORMAT " %s in %s", record->steps,
				record->steps == 1 ? "step is" : "steps are", record->path);

	if (record->failed && record->error_number)
		return cli_fail_with(ctx, EXIT_REFUSED, "%s cannot be written: %s", record->path,
				     g_strerror(record->error_number));
	if (record->failed)
		return cli_fail_with(ctx, EXIT_UNREACHABLE,
				     "what aerostatd sent is no line of a recording; %s", kept);
	if (error && record->begun)
		return cli_fail_with(ctx, exit_code_of(error), "%s; %s", error->message, kept);
	if (error)
		return cli_fail(ctx, error);
	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:I}", "file", record->path, "steps",
					 (json_int_t)record->steps));
	else
		printf("%s\n  replay: aerostat simulate --recording %s\n", kept, record->path);
	return EXIT_DONE;
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *seconds_word = NULL;
	gboolean force = FALSE;
	const GOptionEntry entries[] = { { "seconds", 's', 0, G_OPTION_ARG_STRING, &seconds_word,
					   "end after S seconds, not at Ctrl-C", "S" },
					 { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
					   "replace FILE if it exists", NULL },
					 SOCKET_ENTRY(socket),
					 { NULL } };
	g_autoptr(daemon_link) daemon = NULL;
	g_autoptr(GError) error = NULL;
	struct record record = { 0 };
	g_auto(GStrv) words = NULL;
	int64_t end_us = G_MAXINT64;
	guint64 seconds = 0;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 1, 1, &words, &code))
		return code;
	if (seconds_word &&
	    !g_ascii_string_to_unsigned(seconds_word, 10, 1, SECONDS_MAX, &seconds, NULL))
		return cli_usage(ctx, verb, "seconds '%s' is not a number from 1 to %d",
				 seconds_word, SECONDS_MAX);
	record.path = words[0];
	if (!open_file(&record, force, &error))
		return cli_fail(ctx, error);
	if (seconds)
		end_us = g_get_monotonic_time() + (int64_t)seconds * G_USEC_PER_SEC;
	daemon = daemon_new(socket);
	daemon_stream_until(daemon, "POST", "/v1/recording", end_us, on_line, &record, &error);
	close_file(&record);
	return report(ctx, &record, error);
}

const struct verb verb_record = {
	.name = "record",
	.args = "FILE",
	.summary = "record what aerostatd sees and decides",
	.details =
		"Writes each step of the policy to FILE, a line a step, about one a second, "
		"until Ctrl-C or for\n"
		"--seconds: what it is shown and what it decides. Simulate replays that, with "
		"this or another policy.\n"
		"So that a replay can decide the same, the policy begins anew: for half a minute "
		"nothing is taken from\n"
		"anybody. One recording at a time.",
	.examples = "  aerostat record night.jsonl --seconds 3600\n"
		    "  aerostat simulate --recording night.jsonl\n",
	.run = run,
};
