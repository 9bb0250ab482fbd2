/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat auto: returns a guest that a user took over to the mode of the configuration. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/plain_text.h"
#include "common/size.h"
#include "hypervisor/guest_word.h"

/* @undo: what to give to aerostat auto to undo it */
static void print_new_mode(const char *guest, enum daemon_mode mode, const char *undo)
{
	g_autofree char *name = plain_text(guest);

	if (mode == DAEMON_MODE_AUTO)
		printf("%s: the mode of the configuration applies again\n", name);
	else
		printf("%s: %s, until: aerostat auto %s\n", name,
		       mode == DAEMON_MODE_OFF ? "left alone" : "watched, and left at its size",
		       undo);
}

static void print_changed_json(char **names)
{
	json_t *array = json_array();

	for (; *names; names++)
		json_array_append_new(array, cli_json_string(*names));
	cli_print_json(json_pack("{s:o}", "guests", array));
}

struct auto_options {
	gboolean all, observe, off;
	char *own_size, *socket;
	uint64_t own_bytes; /* HV_UNSET: not given */
};

/* What is wrong with the options, to be freed; NULL: nothing. */
static char *check_auto_options(struct auto_options *options, const char *guest)
{
	g_autoptr(GError) error = NULL;

	options->own_bytes = HV_UNSET;
	if (options->observe && options->off)
		return g_strdup("--observe excludes --off");
	if (options->all && guest)
		return g_strdup_printf("--all excludes a guest, but '%s' was given", guest);
	if (!options->all && !guest)
		return g_strdup("auto needs GUEST, or --all");
	if (options->own_size && (options->all || options->observe || options->off))
		return g_strdup("--own-size excludes --all, --observe and --off");
	if (options->own_size && !size_parse(options->own_size, &options->own_bytes, &error))
		return g_strdup(error->message);
	if (!options->own_bytes)
		return g_strdup_printf("own size '%s' is zero: a guest needs some memory",
				       options->own_size);
	return NULL;
}

/* The names of the guests that were changed. */
static char **change_modes(const struct auto_options *options, const char *guest,
			   enum daemon_mode mode, GError **error)
{
	g_autoptr(daemon_client) daemon = daemon_client_new(options->socket, DAEMON_TIMEOUT_MS);
	g_auto(GStrv) named = NULL;

	if (options->own_bytes != HV_UNSET) {
		named = daemon_set_own_size(daemon, guest, options->own_bytes, error);
		if (!named)
			return NULL;
	}
	return daemon_set_mode(daemon, guest, mode, HV_UNSET, false, error);
}

static int auto_guests(struct context *ctx, const struct verb *verb, struct auto_options *options,
		       const char *guest)
{
	enum daemon_mode mode = options->observe ? DAEMON_MODE_OBSERVE
				: options->off	 ? DAEMON_MODE_OFF
						 : DAEMON_MODE_AUTO;
	g_autofree char *wrong = check_auto_options(options, guest);
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) changed = NULL;
	g_autofree char *undo = NULL;

	if (wrong)
		return cli_usage(ctx, verb, "%s", wrong);
	changed = change_modes(options, guest, mode, &error);
	if (!changed)
		return cli_fail(ctx, error);
	if (ctx->json) {
		print_changed_json(changed);
		return EXIT_DONE;
	}
	undo = guest ? guest_word_quote(guest) : g_strdup("--all");
	if (!changed[0])
		puts("no guest was changed");
	for (char **name = changed; *name; name++)
		print_new_mode(*name, mode, undo);
	return EXIT_DONE;
}

static int run_auto(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct auto_options given = { 0 };
	const GOptionEntry entries[] = {
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &given.all, "all guests", NULL },
		{ "observe", 0, 0, G_OPTION_ARG_NONE, &given.observe,
		  "decide and explain, but do not change its size", NULL },
		{ "off", 0, 0, G_OPTION_ARG_NONE, &given.off, "leave it alone", NULL },
		{ "own-size", 0, 0, G_OPTION_ARG_STRING, &given.own_size,
		  "the size to restore when aerostatd ends", "SIZE" },
		{ NULL }
	};
	GOptionContext *options = verb_options_new(verb, entries);
	g_auto(GStrv) guests = NULL;
	int code;

	g_option_context_add_group(options, daemon_option_group(&given.socket));
	if (verb_parse_options(ctx, verb, options, argc, argv, 0, 1, &guests, &code))
		code = auto_guests(ctx, verb, &given, guests[0]);
	g_free(given.own_size);
	g_free(given.socket);
	return code;
}

const struct verb verb_auto = {
	.name = "auto",
	.args = "GUEST",
	.summary = "let aerostatd set a guest's size again",
	.details =
		"Undoes what users decided for a guest, or with --all for all guests: a size held "
		"by setmem,\n"
		"--observe, --off. The mode of the configuration applies again, which is auto by "
		"default. With\n"
		"--observe, aerostatd goes on deciding and explaining, but changes nothing; with "
		"--off, it leaves the\n"
		"guest alone. Both last until the next auto.\n\n"
		"When aerostatd ends, it restores the guest to its own size: the one that it had "
		"before anybody set\n"
		"its size through aerostatd, or the one that --own-size declares.",
	.examples = "  aerostat auto alpha\n"
		    "  aerostat auto --all\n"
		    "  aerostat auto alpha --own-size 2G\n"
		    "  aerostat auto alpha --observe           # explain, but do not change it\n",
	.run = run_auto,
};
