/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat reload: aerostatd reads its configuration again. */
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"

/* A file that is wrong is no mistake in the command line, however the daemon calls it. */
static int fail(struct context *ctx, const GError *error)
{
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_INVALID))
		return cli_fail_with(ctx, EXIT_REFUSED, "%s", error->message);
	return cli_fail(ctx, error);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *file = NULL;
	const GOptionEntry entries[] = { SOCKET_ENTRY(socket), { NULL } };
	g_autoptr(daemon_link) daemon = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) words = NULL;
	json_t *answer;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 0, &words, &code))
		return code;
	daemon = daemon_new(socket);
	answer = daemon_call(daemon, "POST", "/v1/reload", NULL, DAEMON_MS, &error);
	if (!answer)
		return fail(ctx, error);
	file = plain_text(answer_text(answer, "reloaded"));
	if (ctx->json) {
		cli_print_json(answer);
		return EXIT_DONE;
	}
	printf("%s is in force\n", file);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb verb_reload = {
	.name = "reload",
	.args = "",
	.summary = "have aerostatd read its configuration again",
	.details =
		"aerostatd takes its file whole or refuses it whole: then file, line and reason "
		"are told, the exit\n"
		"code is 1, and what was in force stays so. What people decided of guests stays, "
		"too.",
	.examples = "  aerostat reload\n"
		    "  aerostat reload && aerostat status\n",
	.run = run,
};
