/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat: give RAM to running virtual machines and take it back. */
#include "aerostat/cli.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "aerostat/verbs.h"
#include "common/standard_streams.h"
#include "hypervisor/shortage.h"

/* A value that a shell has expanded to nothing must not mean "no guests". */
static bool has_empty_source(char **list)
{
	return list && g_strv_contains((const char *const *)list, "");
}

/* Reads the options before the verb; false if the command is to end with *code. */
static bool parse_global_options(struct context *ctx, int *argc, char ***argv, int *code)
{
	g_auto(GStrv) uris = NULL;
	g_auto(GStrv) globs = NULL;
	gboolean help = FALSE, version = FALSE;
	const GOptionEntry entries[] = {
		{ "connect", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &uris, NULL, NULL },
		{ "qmp", 0, 0, G_OPTION_ARG_STRING_ARRAY, &globs, NULL, NULL },
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &ctx->json, NULL, NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &ctx->quiet, NULL, NULL },
		{ "help", 'h', 0, G_OPTION_ARG_NONE, &help, NULL, NULL },
		{ "version", 'V', 0, G_OPTION_ARG_NONE, &version, NULL, NULL },
		{ NULL }
	};
	g_autoptr(GOptionContext) options = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_set_strict_posix(options, TRUE);
	g_option_context_set_help_enabled(options, FALSE);
	g_option_context_add_main_entries(options, entries, NULL);
	if (!g_option_context_parse(options, argc, argv, &error)) {
		*code = cli_usage(ctx, NULL, "%s", error->message);
		return false;
	}
	if (version)
		puts("aerostat " AEROSTAT_VERSION);
	if (help || version) {
		*code = help ? verb_help.run(ctx, &verb_help, 1, (char *[]){ "help", NULL })
			     : EXIT_DONE;
		return false;
	}
	if (has_empty_source(uris) || has_empty_source(globs)) {
		*code = cli_usage(ctx, NULL,
				  "%s has an empty value; give it one, or leave the option out",
				  has_empty_source(uris) ? "--connect" : "--qmp");
		return false;
	}
	if (context_load_sources(ctx, uris, globs, &error))
		return true;
	*code = cli_fail(ctx, error);
	return false;
}

static int run_verb(struct context *ctx, int argc, char **argv)
{
	const struct verb *verb;
	int code;

	if (!parse_global_options(ctx, &argc, &argv, &code))
		return code;
	if (argc > 1 && !strcmp(argv[1], "--")) {
		argc--;
		argv++;
	}
	if (argc < 2)
		return cli_usage(ctx, NULL, "no verb given: aerostat VERB …");
	verb = verb_find(argv[1]);
	if (!verb)
		return cli_usage(ctx, NULL, "there is no verb '%s'", argv[1]);
	return verb->run(ctx, verb, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	struct context ctx = { 0 };
	int code, lost;

	standard_streams_open();
	setlocale(LC_CTYPE, "");
	/* If the reader of our output ends (| head), writes fail instead. */
	signal(SIGPIPE, SIG_IGN);
	/* Beyond the limit of file sizes (ulimit -f), too. */
	signal(SIGXFSZ, SIG_IGN);
	shortage_raise_limit();
	/* Without memory the process ends, as with GLib, rather than send half a request. */
	shortage_ends_process();
	code = run_verb(&ctx, argc, argv);
	lost = standard_streams_finish();
	if (lost && code == EXIT_DONE)
		code = cli_fail_with(&ctx, EXIT_REFUSED, "cannot write the output: %s",
				     g_strerror(-lost));
	context_clear(&ctx);
	return code;
}
