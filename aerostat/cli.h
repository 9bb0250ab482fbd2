/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the verbs of aerostat share: exit codes, the context, argument parsing and output.
 *
 * Each verb is one file that defines one struct verb; verbs.c lists them.  A verb's run()
 * returns an exit code.  If something fails it returns what cli_fail() returns, which has
 * printed the error.
 */
#ifndef AEROSTAT_CLI_H
#define AEROSTAT_CLI_H

#include "hypervisor/hypervisor.h"

#include <jansson.h>

/* Described in exit_code_table (exit_codes.c), from which help and man page are made. */
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
/* The exit code for an error of any domain; HV_ERROR and DAEMON_ERROR have one for each code. */
enum exit_code exit_code_of(const GError *error);
/* The name in JSON, such as "no-guest". */
const char *exit_code_name(enum exit_code code);

/* How long one call to a hypervisor may take. */
#define CALL_MS 5000

/* What the options before the verb, or after it, say for all verbs. */
struct context {
	struct hv_sources sources;
	gboolean json;
	gboolean quiet;
	const char *guest_word; /* by which context_open_guest() found the guest, for hints */
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
/* The verb called @name, or NULL. */
const struct verb *verb_find(const char *name);

/*
 * verb_parse - read a verb's command line
 * @entries: the verb's own options, terminated by an empty row; NULL for none
 * @argv: begins with the verb's name
 * @min, @max: how many arguments it takes; @max -1 for any number
 * @args: receives the arguments without options (NULL-terminated, freed with g_strfreev)
 *
 * Answers --help.  Returns false if the verb should return *code: after --help, or after a
 * usage error was printed.
 */
bool verb_parse(struct context *ctx, const struct verb *verb, const GOptionEntry *entries, int argc,
		char **argv, int min, int max, char ***args, int *code);

/*
 * verb_options_new - a verb's options, to which groups of common options can be added
 * @entries: the verb's own options, as for verb_parse()
 */
GOptionContext *verb_options_new(const struct verb *verb, const GOptionEntry *entries);

/* As verb_parse(), for @options of verb_options_new(), which it frees. */
bool verb_parse_options(struct context *ctx, const struct verb *verb, GOptionContext *options,
			int argc, char **argv, int min, int max, char ***args, int *code);

/*
 * verb_parse_with_size - as verb_parse_options(), for a verb that takes GUEST SIZE
 * @bytes: receives the size, which is never zero
 *
 * The size may be two arguments ("512 M"), or be given by --size.
 */
bool verb_parse_with_size(struct context *ctx, const struct verb *verb, GOptionContext *options,
			  int argc, char **argv, char ***args, uint64_t *bytes, int *code);

/*
 * verb_parse_number - set *@number from the value of an option
 * @what: its name, for the error
 * @text: its value; NULL: it was not given, and *@number stays
 *
 * Whole decimal numbers without a sign, from @min to @max.  Returns false after a usage error was
 * printed, with the exit code in *@code.
 */
bool verb_parse_number(struct context *ctx, const struct verb *verb, const char *what,
		       const char *text, unsigned int min, unsigned int max, unsigned int *number,
		       int *code);

/* virsh's --live, --config and --current, for verbs that change settings. */
struct scope_flags {
	gboolean live, config, current;
};
/* The options that set *flags. */
GOptionGroup *scope_option_group(struct scope_flags *flags);
/*
 * scope_from_flags - HV_SCOPE_* bits from what the user gave
 * @unsaid: the scope if none of the options was given
 *
 * Returns false after a usage error was printed, with the exit code in *code.
 */
bool scope_from_flags(struct context *ctx, const struct verb *verb, const struct scope_flags *flags,
		      unsigned int unsaid, unsigned int *scope, int *code);

/* --socket, for verbs that ask aerostatd; sets *socket, which the caller frees. */
GOptionGroup *daemon_option_group(char **socket);

/*
 * context_load_sources - set where to look for guests
 * @uris, @globs: from the command line; if both are NULL the configuration decides, and without
 *                that libvirt's default connection is used
 *
 * Fails if the configuration cannot be read or is invalid.
 */
bool context_load_sources(struct context *ctx, char **uris, char **globs, GError **error);
/* Frees what *ctx holds. */
void context_clear(struct context *ctx);

/*
 * context_open_guest - find the guest called @name and ask for its settings
 * @info: receives them (hv_info_clear)
 *
 * Returns NULL after the error was printed, with the exit code in *code.
 */
hv_guest *context_open_guest(struct context *ctx, const char *name, hv_info *info, int *code);

/* Prints @error on stderr (and as JSON on stdout with --json); returns its exit code. */
int cli_fail(struct context *ctx, const GError *error);
/* The same for an exit code and a text. */
int cli_fail_with(struct context *ctx, enum exit_code code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
/* Prints what is wrong with the command line, and where to find help; returns EXIT_USAGE. */
int cli_usage(struct context *ctx, const struct verb *verb, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
/* Prints "warning: …" on stderr, unless --quiet was given. */
void cli_warn(const struct context *ctx, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Prints @value on stdout and drops the reference. */
void cli_print_json(json_t *value);
/* A size in JSON: an integer, or null for HV_UNSET. */
json_t *cli_json_bytes(uint64_t bytes);
/* A string in JSON, printed by plain_text(), or null for NULL. */
json_t *cli_json_string(const char *text);

#endif
