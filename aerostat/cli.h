/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the verbs of aerostat share: exit codes, the context, argument parsing
 * and output.
 *
 * Each verb is one file that defines one struct verb; verbs.c lists them.  A
 * verb's run() returns an exit code.  When something fails it returns what
 * cli_fail() returns, which has then told the user.
 */
#ifndef AEROSTAT_CLI_H
#define AEROSTAT_CLI_H

#include "hypervisor/hypervisor.h"

#include <jansson.h>

/* Documented in exit_code_table (exit_codes.c), from which help and man page come. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_SHORT = 3,
	EXIT_NO_DRIVER = 4,
	EXIT_UNREACHABLE = 5,
	EXIT_NO_GUEST = 6,
	EXIT_INTERRUPTED = 130,
};

struct exit_code_row {
	enum exit_code code;
	const char *name; /* in JSON */
	const char *meaning;
};
extern const struct exit_code_row exit_code_table[];
extern const size_t exit_code_count;
/* The code for an error of any domain; HV_ERROR's and DAEMON_ERROR's are mapped one by one. */
enum exit_code exit_code_of(const GError *error);
const char *exit_code_name(enum exit_code code);

/* A call to a hypervisor that takes longer has failed. */
#define CALL_MS 5000

struct context {
	struct hv_sources sources;
	bool json;
	bool quiet;
};

struct verb {
	const char *name;
	const char *args;     /* "GUEST SIZE" */
	const char *summary;  /* one line for the list of verbs */
	const char *details;  /* paragraphs for --help */
	const char *examples; /* lines of "  command   # comment" */
	int (*run)(struct context *ctx, const struct verb *verb, int argc, char **argv);
};
extern const struct verb *const verb_table[]; /* NULL-terminated */
const struct verb *verb_find(const char *name);

/*
 * verb_parse - options and words of a verb
 * @entries: the verb's own options, NULL-terminated rows
 * @min, @max: how many words it takes; max -1 for any number
 * @words: receives them (NULL-terminated, freed with g_strfreev)
 *
 * --help is answered here.  False when the caller should return *code.
 */
bool verb_parse(struct context *ctx, const struct verb *verb, const GOptionEntry *entries, int argc,
		char **argv, int min, int max, char ***words, int *code);

/*
 * verb_parse_with_size - the same for "GUEST SIZE"
 *
 * The size may be two words ("512 M") or come by --size (@size_word, one of
 * @entries).  It is never zero.
 */
bool verb_parse_with_size(struct context *ctx, const struct verb *verb, const GOptionEntry *entries,
			  int argc, char **argv, char **size_word, char ***words, uint64_t *bytes,
			  int *code);

/* --live, --config, --current of virsh, for verbs that change settings. */
struct scope_flags {
	gboolean live, config, current;
};
#define SCOPE_ENTRIES(flags)                                                                       \
	{ "live", 'l', 0, G_OPTION_ARG_NONE, &(flags).live, "change the running guest", NULL },    \
		{ "config",                                                                        \
		  'C',                                                                             \
		  0,                                                                               \
		  G_OPTION_ARG_NONE,                                                               \
		  &(flags).config,                                                                 \
		  "change what it starts with next time",                                          \
		  NULL },                                                                          \
	{                                                                                          \
		"current", 0, 0, G_OPTION_ARG_NONE, &(flags).current,                              \
			"the running guest if it runs, else its next start", NULL                  \
	}
/* HV_SCOPE_* bits, @unsaid without any flag; false after a usage error was told. */
bool scope_of_flags(struct context *ctx, const struct verb *verb, const struct scope_flags *flags,
		    unsigned int unsaid, unsigned int *scope, int *code);

/* Where to look for guests: command line, else configuration, else libvirt's default. */
bool context_load_sources(struct context *ctx, char **uris, char **globs, GError **error);
void context_clear(struct context *ctx);

/* Finds the guest and asks for its settings; NULL after *code was set and the user told. */
hv_guest *context_open(struct context *ctx, const char *name, hv_info *info, int *code);

/* Tells @error on stderr (and as JSON on stdout with --json); returns its exit code. */
int cli_fail(struct context *ctx, const GError *error);
/* The same for a code and a text of our own. */
int cli_fail_with(struct context *ctx, enum exit_code code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
/* A wrong command line: the text, and where help is. */
int cli_usage(struct context *ctx, const struct verb *verb, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
/* "warning: …" on stderr; not with --quiet. */
void cli_warn(const struct context *ctx, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Prints @value on stdout and drops the reference. */
void cli_print_json(json_t *value);
/* JSON's view of a size: an integer, or null when HV_UNSET. */
json_t *cli_json_bytes(uint64_t bytes);
/* A string, or null. */
json_t *cli_json_string(const char *text);

#endif
