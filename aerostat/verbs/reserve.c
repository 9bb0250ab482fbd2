/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat reserve: memory for a guest that is about to start.
 *
 * The daemon promises the memory at once, or refuses.  What it promised becomes free as other
 * guests shrink, and this waits for that.  The reservation outlives the wait, however it ends.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/progress_bar.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/size.h"

#define POLL_MS 250 /* the daemon samples the host every second */
#define SECONDS_MAX 86400

struct reserve_options {
	gboolean no_wait;
	unsigned int ttl_s;
	unsigned int timeout_s;
	char *note;
	char *cancel; /* the number of a reservation */
	char *socket;
};

static volatile sig_atomic_t wait_interrupted;

static void on_wait_interrupt(int signal_number)
{
	(void)signal_number;
	wait_interrupted = 1;
}

static bool is_all_free(const struct daemon_reservation *reservation)
{
	return reservation->free_bytes != HV_UNSET && reservation->free_bytes >= reservation->bytes;
}

/* Until all of *@reservation is free, the time is over or Ctrl-C; NULL with an error in it: lost.
 */
static void wait_until_free(struct daemon_client *daemon, struct daemon_reservation **reservation,
			    unsigned int timeout_s, bool silent, GError **error)
{
	uint64_t id = (*reservation)->id;
	g_autofree char *title = g_strdup_printf("reservation %" G_GUINT64_FORMAT, id);
	int64_t now = g_get_monotonic_time();
	struct progress_bar progress;
	struct balloon_wait wait;

	balloon_wait_start(&wait, 0, (*reservation)->bytes, now, G_MAXINT64, G_MAXINT64);
	progress_bar_start(&progress, silent);
	while (*reservation && !is_all_free(*reservation) && !wait_interrupted &&
	       now < wait.started_us + (int64_t)timeout_s * G_USEC_PER_SEC) {
		wait.actual_bytes = (*reservation)->free_bytes;
		progress_bar_update(&progress, title, &wait, g_get_monotonic_time());
		poll(NULL, 0, POLL_MS);
		daemon_free_reservation(*reservation);
		*reservation = daemon_get_reservation(daemon, id, error);
		now = g_get_monotonic_time();
	}
	progress_bar_clear(&progress);
}

static enum exit_code code_of_reservation(const struct daemon_reservation *reservation, bool waited)
{
	if (!waited || is_all_free(reservation))
		return EXIT_DONE;
	return wait_interrupted ? EXIT_INTERRUPTED : EXIT_SHORT;
}

static void print_reservation(const struct daemon_reservation *reservation, enum exit_code code)
{
	g_autofree char *bytes = format_size_cell(reservation->bytes);
	g_autofree char *free_text = format_size_cell(reservation->free_bytes);

	printf("reservation %" G_GUINT64_FORMAT ": ", reservation->id);
	if (is_all_free(reservation))
		printf("all of %s is free\n", bytes);
	else
		printf("%s of %s is free%s; more becomes free as guests shrink\n", free_text, bytes,
		       code == EXIT_INTERRUPTED ? ", interrupted, but it stays"
		       : code == EXIT_SHORT	? " after the timeout"
						: "");
	printf("  ends:   in %" G_GUINT64_FORMAT " s by itself\n", reservation->seconds_left);
	printf("  cancel: aerostat reserve --cancel %" G_GUINT64_FORMAT "\n", reservation->id);
}

static int request_reservation(struct context *ctx, uint64_t bytes,
			       const struct reserve_options *options)
{
	g_autoptr(daemon_client) daemon = daemon_client_new(options->socket, DAEMON_TIMEOUT_MS);
	g_autoptr(daemon_reservation) reservation = NULL;
	g_autoptr(GError) error = NULL;
	enum exit_code code;

	signal(SIGINT, on_wait_interrupt);
	reservation = daemon_reserve(daemon, bytes, options->ttl_s, options->note, &error);
	if (!reservation)
		return cli_fail(ctx, error);
	if (!options->no_wait)
		wait_until_free(daemon, &reservation, options->timeout_s, ctx->quiet || ctx->json,
				&error);
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
		return cli_fail_with(ctx, EXIT_REFUSED,
				     "the reservation ended before all of it was free: %s",
				     error->message);
	if (!reservation)
		return cli_fail(ctx, error);
	code = code_of_reservation(reservation, !options->no_wait);
	if (ctx->json)
		cli_print_json(json_incref(reservation->json));
	else
		print_reservation(reservation, code);
	return code;
}

static int cancel_reservation(struct context *ctx, const struct verb *verb,
			      const struct reserve_options *options)
{
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(GError) error = NULL;
	guint64 id;

	if (!g_ascii_string_to_unsigned(options->cancel, 10, 1, G_MAXINT64, &id, NULL))
		return cli_usage(ctx, verb,
				 "'%s' is not the number of a reservation; aerostat status lists "
				 "them",
				 options->cancel);
	daemon = daemon_client_new(options->socket, DAEMON_TIMEOUT_MS);
	if (!daemon_end_reservation(daemon, id, &error)) {
		/* The exit code for a guest that is not found would be wrong. */
		if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
			return cli_fail_with(ctx, EXIT_REFUSED, "%s", error->message);
		return cli_fail(ctx, error);
	}
	if (ctx->json)
		cli_print_json(json_pack("{s:I}", "cancelled", (json_int_t)id));
	else
		printf("reservation %" G_GUINT64_FORMAT ": cancelled\n", id);
	return EXIT_DONE;
}

static bool check_reserve_options(struct context *ctx, const struct verb *verb,
				  const struct reserve_options *options, char **words, int *code)
{
	if (options->cancel && (words[0] || options->no_wait || options->note))
		*code = cli_usage(ctx, verb, "--cancel excludes SIZE, --no-wait and --note");
	else if (!options->cancel && !words[0])
		*code = cli_usage(ctx, verb, "reserve needs SIZE, or --cancel ID");
	else if (options->note && !g_utf8_validate(options->note, -1, NULL))
		*code = cli_usage(ctx, verb, "--note is not valid UTF-8");
	else
		return true;
	return false;
}

static int run_reserve(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct reserve_options options = { .ttl_s = 300, .timeout_s = 120 };
	g_autofree char *note = NULL, *cancel = NULL, *socket = NULL, *size = NULL;
	g_autofree char *ttl = NULL, *timeout = NULL;
	const GOptionEntry entries[] = {
		{ "ttl", 0, 0, G_OPTION_ARG_STRING, &ttl, "end it after S seconds (300)", "S" },
		{ "note", 0, 0, G_OPTION_ARG_STRING, &note, "the guest that it is for, or any text",
		  "TEXT" },
		{ "no-wait", 0, 0, G_OPTION_ARG_NONE, &options.no_wait,
		  "do not wait until all of it is free", NULL },
		{ "timeout", 't', 0, G_OPTION_ARG_STRING, &timeout, "wait at most S seconds (120)",
		  "S" },
		{ "cancel", 0, 0, G_OPTION_ARG_STRING, &cancel, "end reservation ID", "ID" },
		{ NULL }
	};
	GOptionContext *parser = verb_options_new(verb, entries);
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) words = NULL;
	uint64_t bytes;
	int code;

	g_option_context_add_group(parser, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, parser, argc, argv, 0, 2, &words, &code) ||
	    !verb_parse_number(ctx, verb, "ttl", ttl, 1, SECONDS_MAX, &options.ttl_s, &code) ||
	    !verb_parse_number(ctx, verb, "timeout", timeout, 1, SECONDS_MAX, &options.timeout_s,
			       &code))
		return code;
	options.note = note;
	options.cancel = cancel;
	options.socket = socket;
	if (!check_reserve_options(ctx, verb, &options, words, &code))
		return code;
	if (options.cancel)
		return cancel_reservation(ctx, verb, &options);
	size = g_strjoinv(" ", words);
	if (!size_parse(size, &bytes, &error))
		return cli_usage(ctx, verb, "%s", error->message);
	if (!bytes)
		return cli_usage(ctx, verb, "size '%s' is zero: there is nothing to reserve", size);
	return request_reservation(ctx, bytes, &options);
}

const struct verb verb_reserve = {
	.name = "reserve",
	.args = "SIZE",
	.summary = "make room for a guest about to start",
	.details = "Has aerostatd reserve SIZE (" SIZE_FORMS ") for a guest that\n"
		   "is about to start, and waits until all of it is really free, since other "
		   "guests give up what they\n"
		   "do not need. Exits with 1 if they cannot give up enough. If that takes longer "
		   "than --timeout, exits\n"
		   "with 3, and the reservation stays. It ends by --cancel, after --ttl, or when "
		   "the guest named by\n"
		   "--note has started, whose memory then counts as its own.",
	.examples = "  aerostat reserve 4G --note db && virsh start db\n"
		    "  aerostat reserve 4G --no-wait --json | jq .id\n"
		    "  aerostat reserve --cancel 3\n",
	.run = run_reserve,
};
