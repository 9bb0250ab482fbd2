/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat reload: aerostatd reads its configuration again. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/plain_text.h"

static int run_reload(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *file = NULL, *plain = NULL;
	GOptionContext *options = verb_options_new(verb, NULL);
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) words = NULL;
	int code;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 0, 0, &words, &code))
		return code;
	daemon = daemon_client_new(socket, DAEMON_TIMEOUT_MS);
	file = daemon_reload(daemon, &error);
	/* The daemon calls a wrong file invalid, but the command line was right. */
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_INVALID))
		return cli_fail_with(ctx, EXIT_REFUSED, "%s", error->message);
	if (!file)
		return cli_fail(ctx, error);
	plain = plain_text(file);
	if (ctx->json)
		cli_print_json(json_pack("{s:s?}", "reloaded", *file ? file : NULL));
	else
		printf("%s is in effect\n", plain);
	return EXIT_DONE;
}

const struct verb verb_reload = {
	.name = "reload",
	.args = "",
	.summary = "have aerostatd read its configuration again",
	.details = "aerostatd accepts its file as a whole or refuses it as a whole. If it refuses, "
		   "this prints file,\n"
		   "line and reason, exits with 1, and the previous configuration stays in effect. "
		   "What users decided\n"
		   "for guests stays in effect either way.",
	.examples = "  aerostat reload\n"
		    "  aerostat reload && aerostat status\n",
	.run = run_reload,
};
