/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat auto: returns a guest that a user took over to the mode of the configuration. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/plain_text.h"

static void print_new_mode(const char *guest, enum daemon_mode mode)
{
	g_autofree char *name = plain_text(guest);

	if (mode == DAEMON_MODE_AUTO)
		printf("%s: the mode of the configuration applies again\n", name);
	else
		printf("%s: %s, until: aerostat auto %s\n", name,
		       mode == DAEMON_MODE_OFF ? "left alone" : "watched, and left at its size",
		       name);
}

static void print_changed_json(char **names)
{
	json_t *array = json_array();

	for (; *names; names++)
		json_array_append_new(array, cli_json_string(*names));
	cli_print_json(json_pack("{s:o}", "guests", array));
}

static int run_auto(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	gboolean all = FALSE, observe = FALSE, off = FALSE;
	g_autofree char *socket = NULL;
	const GOptionEntry entries[] = {
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &all, "all guests", NULL },
		{ "observe", 0, 0, G_OPTION_ARG_NONE, &observe,
		  "decide and explain, but do not change its size", NULL },
		{ "off", 0, 0, G_OPTION_ARG_NONE, &off, "leave it alone", NULL },
		{ NULL }
	};
	GOptionContext *options = verb_options_new(verb, entries);
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) guests = NULL, changed = NULL;
	enum daemon_mode mode;
	int code;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 0, 1, &guests, &code))
		return code;
	if (observe && off)
		return cli_usage(ctx, verb, "--observe excludes --off");
	if (all && guests[0])
		return cli_usage(ctx, verb, "--all excludes a guest, but '%s' was given",
				 guests[0]);
	if (!all && !guests[0])
		return cli_usage(ctx, verb, "auto needs GUEST, or --all");
	mode = observe ? DAEMON_MODE_OBSERVE : off ? DAEMON_MODE_OFF : DAEMON_MODE_AUTO;
	daemon = daemon_client_new(socket, DAEMON_TIMEOUT_MS);
	changed = daemon_set_mode(daemon, guests[0], mode, HV_UNSET, false, &error);
	if (!changed)
		return cli_fail(ctx, error);
	if (ctx->json) {
		print_changed_json(changed);
		return EXIT_DONE;
	}
	if (!changed[0])
		puts("no guest was changed");
	for (char **name = changed; *name; name++)
		print_new_mode(*name, mode);
	return EXIT_DONE;
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
		"guest alone. Both last until the next auto.",
	.examples = "  aerostat auto alpha\n"
		    "  aerostat auto --all\n"
		    "  aerostat auto alpha --observe           # explain, but do not change it\n",
	.run = run_auto,
};
