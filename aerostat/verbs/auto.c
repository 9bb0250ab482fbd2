/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat auto: a guest that a person took over goes back to what the configuration says. */
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"

static void print_mode(const char *name, const char *mode)
{
	if (g_str_equal(mode, "auto"))
		printf("%s: what people set is taken back; the configuration's mode applies\n",
		       name);
	else
		printf("%s: %s, until: aerostat auto %s\n", name,
		       g_str_equal(mode, "off") ? "left alone" : "watched, and left at its size",
		       name);
}

static void print_names(const json_t *answer, const char *mode)
{
	const json_t *names = json_object_get(answer, "guests");
	const json_t *name;
	size_t i;

	if (!json_array_size(names))
		puts("no guest has changed");
	json_array_foreach (names, i, name) {
		const char *text = json_string_value(name);
		g_autofree char *plain = plain_text(text ? text : "");

		print_mode(plain, mode);
	}
}

static int set_mode(struct context *ctx, const char *socket, const char *name, const char *mode)
{
	g_autoptr(daemon_link) daemon = daemon_new(socket);
	g_autofree char *path = name ? daemon_guest_path(name, "/mode") : g_strdup("/v1/mode");
	g_autoptr(GError) error = NULL;
	json_t *answer = daemon_call(daemon, "PUT", path, json_pack("{s:s}", "mode", mode),
				     DAEMON_MS, &error);

	if (!answer)
		return cli_fail(ctx, error);
	if (ctx->json) {
		cli_print_json(answer);
		return EXIT_DONE;
	}
	print_names(answer, mode);
	json_decref(answer);
	return EXIT_DONE;
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	gboolean all = FALSE, observe = FALSE, off = FALSE;
	g_autofree char *socket = NULL;
	const GOptionEntry entries[] = {
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &all, "every guest", NULL },
		{ "observe", 0, 0, G_OPTION_ARG_NONE, &observe,
		  "decide for it, but leave its size to people", NULL },
		{ "off", 0, 0, G_OPTION_ARG_NONE, &off, "leave it alone", NULL },
		SOCKET_ENTRY(socket),
		{ NULL }
	};
	g_auto(GStrv) words = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 1, &words, &code))
		return code;
	if (observe && off)
		return cli_usage(ctx, verb, "--observe excludes --off: it is one or the other");
	if (all && words[0])
		return cli_usage(ctx, verb, "--all excludes a guest: '%s' is one word too many",
				 words[0]);
	if (!all && !words[0])
		return cli_usage(ctx, verb, "auto needs GUEST, or --all");
	return set_mode(ctx, socket, words[0], observe ? "observe" : off ? "off" : "auto");
}

const struct verb verb_auto = {
	.name = "auto",
	.args = "GUEST",
	.summary = "let aerostatd set a guest's size again",
	.details =
		"Takes back what people decided of a guest, or with --all of every guest: a size "
		"that setmem holds,\n"
		"--observe, --off. Then the mode of the configuration applies again, which is "
		"auto where it names none.\n"
		"With --observe aerostatd goes on deciding, and explains, but changes nothing; "
		"with --off it leaves\n"
		"the guest alone. Both last until the next auto.",
	.examples = "  aerostat auto alpha\n"
		    "  aerostat auto --all\n"
		    "  aerostat auto alpha --observe           # hands off, but look\n",
	.run = run,
};
