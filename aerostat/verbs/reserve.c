/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat reserve: room for a guest that is about to start.
 *
 * The daemon promises the memory at once or refuses; what is promised gets free as other
 * guests shrink, which is waited for here.  A reservation outlives the wait, whatever ends it.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "aerostat/progress.h"
#include "aerostat/verbs.h"
#include "common/size.h"

#define POLL_MS 250 /* the daemon looks at the host every second */
#define SECONDS_MAX 86400

struct reserve_options {
	gboolean no_wait;
	int ttl_s;
	int timeout_s;
	char *note;
	char *cancel;
	char *socket;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

static char *reservation_path(uint64_t id)
{
	return g_strdup_printf("/v1/reservations/%" G_GUINT64_FORMAT, id);
}

static bool all_free(const json_t *reservation)
{
	return answer_bytes(reservation, "free_bytes") != HV_UNSET &&
	       answer_bytes(reservation, "free_bytes") >= answer_bytes(reservation, "bytes");
}

static void show(struct progress *progress, const json_t *reservation, struct await *await)
{
	g_autofree char *title =
		g_strdup_printf("reservation %.0f", answer_number(reservation, "id"));

	await->actual_bytes = answer_bytes(reservation, "free_bytes");
	progress_show(progress, title, await, g_get_monotonic_time());
}

/* Until all of *@reservation is free, or time is up, or Ctrl-C; NULL in it: lost. */
static void wait_for_it(struct daemon *daemon, json_t **reservation, int timeout_s, bool silent,
			GError **error)
{
	g_autofree char *path = reservation_path(answer_bytes(*reservation, "id"));
	int64_t now = g_get_monotonic_time();
	struct progress progress;
	struct await await;

	await_start(&await, 0, answer_bytes(*reservation, "bytes"), now, G_MAXINT64, G_MAXINT64);
	progress_start(&progress, silent);
	while (*reservation && !all_free(*reservation) && !interrupted &&
	       now < await.started_us + timeout_s * G_USEC_PER_SEC) {
		show(&progress, *reservation, &await);
		poll(NULL, 0, POLL_MS);
		json_decref(*reservation);
		*reservation = daemon_call(daemon, "GET", path, NULL, DAEMON_MS, error);
		now = g_get_monotonic_time();
	}
	progress_end(&progress);
}

static void print_remedies(const json_t *reservation)
{
	double id = answer_number(reservation, "id");

	printf("  ends:   in %.0f s by itself\n", answer_number(reservation, "seconds_left"));
	printf("  cancel: aerostat reserve --cancel %.0f\n", id);
}

static enum exit_code verdict(const json_t *reservation, bool waited)
{
	if (!waited || all_free(reservation))
		return EXIT_DONE;
	return interrupted ? EXIT_INTERRUPTED : EXIT_SHORT;
}

static const char *verdict_words(const json_t *reservation, enum exit_code code)
{
	if (all_free(reservation))
		return "";
	if (code == EXIT_INTERRUPTED)
		return ", interrupted; it stays, and more gets free as guests give";
	return code == EXIT_SHORT ? " when the time was up; more gets free as guests give"
				  : "; more gets free as guests give";
}

/* Says how it stands, and drops @reservation. */
static int report(struct context *ctx, json_t *reservation, bool waited)
{
	enum exit_code code = verdict(reservation, waited);
	g_autofree char *bytes = size_cell(answer_bytes(reservation, "bytes"));
	g_autofree char *free_text = size_cell(answer_bytes(reservation, "free_bytes"));

	if (ctx->json) {
		cli_print_json(reservation);
		return code;
	}
	if (all_free(reservation))
		printf("reservation %.0f: all of %s is free\n", answer_number(reservation, "id"),
		       bytes);
	else
		printf("reservation %.0f: %s of %s are free%s\n", answer_number(reservation, "id"),
		       free_text, bytes, verdict_words(reservation, code));
	print_remedies(reservation);
	json_decref(reservation);
	return code;
}

/* A reservation that was there and is no more. */
static int fail_lost(struct context *ctx, const GError *error)
{
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
		return cli_fail_with(ctx, EXIT_REFUSED,
				     "it ended, or was cancelled, before all of it was free: %s",
				     error->message);
	return cli_fail(ctx, error);
}

static int reserve(struct context *ctx, uint64_t bytes, const struct reserve_options *options)
{
	g_autoptr(daemon_link) daemon = daemon_new(options->socket);
	g_autoptr(GError) error = NULL;
	json_t *body = json_pack("{s:I, s:i}", "bytes", (json_int_t)bytes, "ttl_s", options->ttl_s);
	json_t *reservation;

	if (options->note)
		json_object_set_new(body, "note", json_string(options->note));
	signal(SIGINT, on_interrupt);
	reservation = daemon_call(daemon, "POST", "/v1/reservations", body, DAEMON_MS, &error);
	if (!reservation)
		return cli_fail(ctx, error);
	if (!options->no_wait)
		wait_for_it(daemon, &reservation, options->timeout_s, ctx->quiet || ctx->json,
			    &error);
	return reservation ? report(ctx, reservation, !options->no_wait) : fail_lost(ctx, error);
}

static int cancel(struct context *ctx, const struct verb *verb, const char *word,
		  const char *socket)
{
	g_autoptr(daemon_link) daemon = daemon_new(socket);
	g_autoptr(GError) error = NULL;
	g_autofree char *path = NULL;
	json_t *answer;
	guint64 id;

	if (!g_ascii_string_to_unsigned(word, 10, 1, G_MAXINT64, &id, NULL))
		return cli_usage(ctx, verb, "'%s' is no reservation's number; see: aerostat status",
				 word);
	path = reservation_path(id);
	answer = daemon_call(daemon, "DELETE", path, NULL, DAEMON_MS, &error);
	/* It is no guest that is not there. */
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
		return cli_fail_with(ctx, EXIT_REFUSED, "%s", error->message);
	if (!answer)
		return cli_fail(ctx, error);
	json_decref(answer);
	if (ctx->json)
		cli_print_json(json_pack("{s:I}", "cancelled", (json_int_t)id));
	else
		printf("reservation %" G_GUINT64_FORMAT ": cancelled\n", id);
	return EXIT_DONE;
}

static bool options_valid(struct context *ctx, const struct verb *verb,
			  const struct reserve_options *options, char **words, int *code)
{
	if (options->cancel && (words[0] || options->no_wait || options->note))
		*code = cli_usage(ctx, verb, "--cancel takes a number, and nothing goes with it");
	else if (!options->cancel && !words[0])
		*code = cli_usage(ctx, verb, "reserve needs SIZE, or --cancel ID");
	else if (options->ttl_s < 1 || options->ttl_s > SECONDS_MAX || options->timeout_s < 1 ||
		 options->timeout_s > SECONDS_MAX)
		*code = cli_usage(ctx, verb, "--ttl and --timeout take whole seconds from 1 to %d",
				  SECONDS_MAX);
	else if (options->note && !g_utf8_validate(options->note, -1, NULL))
		*code = cli_usage(ctx, verb, "--note takes text in UTF-8");
	else
		return true;
	return false;
}

static int act(struct context *ctx, const struct verb *verb, char **words,
	       const struct reserve_options *options)
{
	g_autofree char *text = g_strjoinv(" ", words);
	g_autoptr(GError) error = NULL;
	uint64_t bytes;
	int code;

	if (!options_valid(ctx, verb, options, words, &code))
		return code;
	if (options->cancel)
		return cancel(ctx, verb, options->cancel, options->socket);
	if (!size_parse(text, &bytes, &error))
		return cli_usage(ctx, verb, "%s", error->message);
	if (!bytes)
		return cli_usage(ctx, verb, "size '%s' is zero: there is nothing to reserve", text);
	return reserve(ctx, bytes, options);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct reserve_options options = { .ttl_s = 300, .timeout_s = 120 };
	g_autofree char *note = NULL, *cancel_word = NULL, *socket = NULL;
	const GOptionEntry entries[] = { { "ttl", 0, 0, G_OPTION_ARG_INT, &options.ttl_s,
					   "it ends by itself after S seconds (300)", "S" },
					 { "note", 0, 0, G_OPTION_ARG_STRING, &note,
					   "the guest it is for, or other words", "TEXT" },
					 { "no-wait", 0, 0, G_OPTION_ARG_NONE, &options.no_wait,
					   "do not wait until all of it is free", NULL },
					 { "timeout", 't', 0, G_OPTION_ARG_INT, &options.timeout_s,
					   "wait at most S seconds (120)", "S" },
					 { "cancel", 0, 0, G_OPTION_ARG_STRING, &cancel_word,
					   "give reservation ID back", "ID" },
					 SOCKET_ENTRY(socket),
					 { NULL } };
	g_auto(GStrv) words = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 2, &words, &code))
		return code;
	options.note = note;
	options.cancel = cancel_word;
	options.socket = socket;
	return act(ctx, verb, words, &options);
}

const struct verb verb_reserve = {
	.name = "reserve",
	.args = "SIZE",
	.summary = "make room for a guest about to start",
	.details = "Has aerostatd keep SIZE (" SIZE_FORMS ") for a guest\n"
		   "about to start, and waits until all of it is really free: other guests give "
		   "what they do not need.\n"
		   "Refused (1) when they could not. If it takes longer than --timeout, the exit "
		   "code is 3, and the\n"
		   "reservation stays. It ends by --cancel, after --ttl, or when a guest is there "
		   "whose name --note\n"
		   "gave: its memory counts by itself from then on.",
	.examples = "  aerostat reserve 4G --note db && virsh start db\n"
		    "  aerostat reserve 4G --no-wait --json | jq .id\n"
		    "  aerostat reserve --cancel 3\n",
	.run = run,
};
