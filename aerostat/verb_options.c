/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a verb's command line.
 *
 * Theory of operation: a verb's own options are GLib's entries; options that verbs have in
 * common are a GOptionGroup with a heading of its own in --help.  GLib's built-in --help would
 * show only the former, so we answer --help ourselves.
 */
#include "aerostat/cli.h"

#include <stdio.h>
#include <string.h>

#include "common/size.h"

GOptionContext *verb_options_new(const struct verb *verb, const GOptionEntry *entries)
{
	g_autofree char *title = g_strdup_printf("%s - %s", verb->args, verb->summary);
	g_autofree char *examples = g_strdup_printf("Examples:\n%s", verb->examples);
	GOptionContext *options = g_option_context_new(title);

	g_option_context_set_summary(options, verb->details);
	g_option_context_set_description(options, examples);
	g_option_context_set_help_enabled(options, FALSE);
	/* A size such as -1 must reach size_parse(), whose error is clearer. */
	g_option_context_set_ignore_unknown_options(options, TRUE);
	if (entries)
		g_option_context_add_main_entries(options, entries, NULL);
	return options;
}

/* The first argument that looks like an option, but is not a negative number. */
static const char *find_unknown_option(char **args)
{
	for (; *args && strcmp(*args, "--"); args++)
		if ((*args)[0] == '-' && (*args)[1] && !strchr(".0123456789", (*args)[1]))
			return *args;
	return NULL;
}

/* The arguments after the verb's name, without a "--", preceded by @domain if given. */
static char **collect_arguments(int argc, char **argv, const char *domain)
{
	g_autoptr(GStrvBuilder) args = g_strv_builder_new();

	if (domain)
		g_strv_builder_add(args, domain);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--"))
			g_strv_builder_add(args, argv[i]);
	return g_strv_builder_end(args);
}

/* Prints a verb's --help. */
static void print_verb_help(GOptionContext *options)
{
	g_autofree char *help = g_option_context_get_help(options, FALSE, NULL);

	fputs(help, stdout);
}

bool verb_parse_options(struct context *ctx, const struct verb *verb, GOptionContext *options,
			int argc, char **argv, int min, int max, char ***args, int *code)
{
	g_autoptr(GOptionContext) owned = options;
	g_autofree char *program = g_strdup_printf("aerostat %s", verb->name);
	g_autofree char *domain = NULL;
	gboolean help = FALSE;
	const GOptionEntry common[] = {
		{ "domain", 0, 0, G_OPTION_ARG_STRING, &domain,
		  "the guest, instead of the first argument", "GUEST" },
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &ctx->json, "print JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &ctx->quiet,
		  "print no progress and no warnings", NULL },
		{ "help", 'h', 0, G_OPTION_ARG_NONE, &help, "print this help", NULL },
		{ "help-all", '?', G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &help, NULL, NULL },
		{ NULL }
	};
	g_autoptr(GError) error = NULL;
	const char *unknown;
	int count;

	g_option_context_add_main_entries(options, common, NULL);
	g_set_prgname(program);
	if (!g_option_context_parse(options, &argc, &argv, &error)) {
		*code = cli_usage(ctx, verb, "%s", error->message);
		return false;
	}
	if (help) {
		print_verb_help(options);
		*code = EXIT_DONE;
		return false;
	}
	*args = collect_arguments(argc, argv, domain);
	count = (int)g_strv_length(*args);
	unknown = find_unknown_option(argv + 1);
	if (unknown)
		*code = cli_usage(ctx, verb, "unknown option '%s'", unknown);
	else if (count < min)
		*code = cli_usage(ctx, verb, "%s needs %s", verb->name, verb->args);
	else if (max >= 0 && count > max)
		*code = cli_usage(ctx, verb, "unexpected argument '%s': %s takes %s", (*args)[max],
				  verb->name, *verb->args ? verb->args : "no arguments");
	else
		return true;
	g_clear_pointer(args, g_strfreev);
	return false;
}

bool verb_parse(struct context *ctx, const struct verb *verb, const GOptionEntry *entries, int argc,
		char **argv, int min, int max, char ***args, int *code)
{
	return verb_parse_options(ctx, verb, verb_options_new(verb, entries), argc, argv, min, max,
				  args, code);
}

bool verb_parse_with_size(struct context *ctx, const struct verb *verb, GOptionContext *options,
			  int argc, char **argv, char ***args, uint64_t *bytes, int *code)
{
	g_autofree char *size_option = NULL;
	const GOptionEntry entries[] = { { "size", 0, 0, G_OPTION_ARG_STRING, &size_option,
					   "the size, instead of the second argument", "SIZE" },
					 { NULL } };
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;

	g_option_context_add_main_entries(options, entries, NULL);
	if (!verb_parse_options(ctx, verb, options, argc, argv, 1, 3, args, code))
		return false;
	if (size_option && (*args)[1])
		*code = cli_usage(ctx, verb,
				  "unexpected argument '%s': the size was given by --size",
				  (*args)[1]);
	else if (!size_option && !(*args)[1])
		*code = cli_usage(ctx, verb, "%s needs %s", verb->name, verb->args);
	else {
		text = size_option ? g_strdup(size_option) : g_strjoinv(" ", *args + 1);
		if (!size_parse(text, bytes, &error))
			*code = cli_usage(ctx, verb, "%s", error->message);
		else if (!*bytes)
			*code = cli_usage(ctx, verb, "size '%s' is zero: a guest needs some memory",
					  text);
		else
			return true;
	}
	g_clear_pointer(args, g_strfreev);
	return false;
}

bool verb_parse_number(struct context *ctx, const struct verb *verb, const char *what,
		       const char *text, unsigned int min, unsigned int max, unsigned int *number,
		       int *code)
{
	guint64 value;

	if (!text)
		return true;
	/* Not GLib's G_OPTION_ARG_INT, for which 010 is 8. */
	if (g_ascii_string_to_unsigned(text, 10, min, max, &value, NULL)) {
		*number = (unsigned int)value;
		return true;
	}
	*code = cli_usage(ctx, verb, "%s '%s' is not a number from %u to %u", what, text, min, max);
	return false;
}

GOptionGroup *scope_option_group(struct scope_flags *flags)
{
	const GOptionEntry entries[] = { { "live", 'l', 0, G_OPTION_ARG_NONE, &flags->live,
					   "change the running guest", NULL },
					 { "config", 'C', 0, G_OPTION_ARG_NONE, &flags->config,
					   "change what the guest starts with next time", NULL },
					 { "current", 0, 0, G_OPTION_ARG_NONE, &flags->current,
					   "--live if the guest is running, otherwise --config",
					   NULL },
					 { NULL } };
	GOptionGroup *group = g_option_group_new("scope", "What to change:", "", NULL, NULL);

	g_option_group_add_entries(group, entries);
	return group;
}

bool scope_from_flags(struct context *ctx, const struct verb *verb, const struct scope_flags *flags,
		      unsigned int unsaid, unsigned int *scope, int *code)
{
	if (flags->current && (flags->live || flags->config)) {
		*code = cli_usage(ctx, verb,
				  "--current excludes --live and --config: it stands for the one "
				  "that applies");
		return false;
	}
	*scope = (flags->live ? HV_SCOPE_LIVE : 0) | (flags->config ? HV_SCOPE_CONFIG : 0);
	if (!*scope && !flags->current)
		*scope = unsaid;
	return true;
}

GOptionGroup *daemon_option_group(char **socket)
{
	const GOptionEntry entries[] = { { "socket", 0, 0, G_OPTION_ARG_FILENAME, socket,
					   "the socket that aerostatd listens on", "PATH" },
					 { NULL } };
	GOptionGroup *group =
		g_option_group_new("aerostatd", "How to reach aerostatd:", "", NULL, NULL);

	g_option_group_add_entries(group, entries);
	return group;
}
