/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of verbs, and how each one's command line is read. */
#include "aerostat/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aerostat/verbs.h"
#include "common/size.h"

const struct verb *const verb_table[] = {
	&verb_list,	&verb_dominfo, &verb_setmem,   &verb_setmaxmem, &verb_dommemstat,
	&verb_domstats, &verb_event,   &verb_edit,     &verb_adopt,	&verb_unadopt,
	&verb_status,	&verb_top,     &verb_explain,  &verb_auto,	&verb_reserve,
	&verb_reload,	&verb_record,  &verb_simulate, &verb_help,	NULL,
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *verb = verb_table; *verb; verb++)
		if (!strcmp((*verb)->name, name))
			return *verb;
	return NULL;
}

static GOptionContext *option_context(struct context *ctx, const struct verb *verb,
				      const GOptionEntry *entries, char **domain)
{
	const GOptionEntry common[] = { { "domain", 0, 0, G_OPTION_ARG_STRING, domain,
					  "the guest, instead of the first word", "GUEST" },
					{ "json", 'j', 0, G_OPTION_ARG_NONE, &ctx->json,
					  "answer in JSON", NULL },
					{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &ctx->quiet,
					  "no progress, no warnings", NULL },
					{ NULL } };
	g_autofree char *title = g_strdup_printf("%s - %s", verb->args, verb->summary);
	g_autofree char *examples = g_strdup_printf("Examples:\n%s", verb->examples);
	GOptionContext *options = g_option_context_new(title);

	g_option_context_add_main_entries(options, common, NULL);
	if (entries)
		g_option_context_add_main_entries(options, entries, NULL);
	g_option_context_set_summary(options, verb->details);
	g_option_context_set_description(options, examples);
	/* A size like -1 must reach size_parse(), which explains it better. */
	g_option_context_set_ignore_unknown_options(options, TRUE);
	return options;
}

/* The first word that looks like an option, but is not a negative number. */
static const char *unknown_option(char **words)
{
	bool only_words = false;

	for (; *words; words++) {
		if (!strcmp(*words, "--"))
			only_words = true;
		else if (!only_words && (*words)[0] == '-' && (*words)[1] &&
			 !strchr(".0123456789", (*words)[1]))
			return *words;
	}
	return NULL;
}

/* Words of @argv behind the verb's name, without a "--", led by @domain if given. */
static char **collect_words(int argc, char **argv, const char *domain)
{
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();

	if (domain)
		g_strv_builder_add(words, domain);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--"))
			g_strv_builder_add(words, argv[i]);
	return g_strv_builder_end(words);
}

bool verb_parse(struct context *ctx, const struct verb *verb, const GOptionEntry *entries, int argc,
		char **argv, int min, int max, char ***words, int *code)
{
	g_autofree char *domain = NULL;
	g_autoptr(GOptionContext) options = option_context(ctx, verb, entries, &domain);
	g_autofree char *program = g_strdup_printf("aerostat %s", verb->name);
	g_autoptr(GError) error = NULL;
	const char *unknown;
	int count;

	g_set_prgname(program);
	if (!g_option_context_parse(options, &argc, &argv, &error)) {
		*code = cli_usage(ctx, verb, "%s", error->message);
		return false;
	}
	*words = collect_words(argc, argv, domain);
	count = (int)g_strv_length(*words);
	unknown = unknown_option(argv + 1);
	if (unknown)
		*code = cli_usage(ctx, verb, "unknown option '%s'", unknown);
	else if (count < min)
		*code = cli_usage(ctx, verb, "%s needs %s", verb->name, verb->args);
	else if (max >= 0 && count > max)
		*code = cli_usage(ctx, verb, "'%s' is one word too many; %s takes %s",
				  (*words)[max], verb->name, *verb->args ? verb->args : "none");
	else
		return true;
	g_clear_pointer(words, g_strfreev);
	return false;
}

bool verb_parse_with_size(struct context *ctx, const struct verb *verb, const GOptionEntry *entries,
			  int argc, char **argv, char **size_word, char ***words, uint64_t *bytes,
			  int *code)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;

	if (!verb_parse(ctx, verb, entries, argc, argv, 1, 3, words, code))
		return false;
	if (*size_word && (*words)[1])
		*code = cli_usage(ctx, verb, "'%s' is one word too many: --size gave the size",
				  (*words)[1]);
	else if (!*size_word && !(*words)[1])
		*code = cli_usage(ctx, verb, "%s needs %s", verb->name, verb->args);
	else {
		text = *size_word ? g_strdup(*size_word) : g_strjoinv(" ", *words + 1);
		if (!size_parse(text, bytes, &error))
			*code = cli_usage(ctx, verb, "%s", error->message);
		else if (!*bytes)
			*code = cli_usage(ctx, verb,
					  "size '%s' is zero: a guest cannot do without memory",
					  text);
		else
			return true;
	}
	g_clear_pointer(words, g_strfreev);
	return false;
}

bool scope_of_flags(struct context *ctx, const struct verb *verb, const struct scope_flags *flags,
		    unsigned int unsaid, unsigned int *scope, int *code)
{
	if (flags->current && (flags->live || flags->config)) {
		*code = cli_usage(
			ctx, verb,
			"--current excludes --live and --config: it means whichever applies");
		return false;
	}
	*scope = (flags->live ? HV_SCOPE_LIVE : 0) | (flags->config ? HV_SCOPE_CONFIG : 0);
	if (!*scope && !flags->current)
		*scope = unsaid;
	return true;
}
