/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat help: all verbs and exit codes, or one verb. */
#include <stdio.h>

#include "aerostat/verbs.h"

static void print_help_overview(void)
{
	puts("aerostat gives RAM to running virtual machines and takes it back.\n\n"
	     "Usage: aerostat [-c URI] [--qmp GLOB] [--json] [--quiet] VERB [ARGUMENTS]\n\nVerbs:");
	for (const struct verb *const *verb = verb_table; *verb; verb++) {
		g_autofree char *usage = g_strdup_printf("%s %s", (*verb)->name, (*verb)->args);

		printf("  %-22s %s\n", usage, (*verb)->summary);
	}
	puts("\nWhere to look for guests (both options may be repeated):\n"
	     "  -c, --connect URI      a libvirt connection, such as qemu:///system\n"
	     "  --qmp GLOB             QEMU monitor sockets, such as '/run/vms/*.qmp'\n"
	     "Without them, [discover] in /etc/aerostat/aerostat.conf applies, or else libvirt's "
	     "default.\n"
	     "A GUEST is a name, a UUID, a libvirt id, uuid:UUID or qmp:PATH.\n\n"
	     "Output:\n"
	     "  -j, --json             print JSON\n"
	     "  -q, --quiet            print no progress and no warnings\n"
	     "  -V, --version          print the version\n\n"
	     "Exit codes:");
	for (size_t i = 0; i < exit_code_count; i++)
		printf("  %3d  %s\n", (int)exit_code_table[i].code, exit_code_table[i].meaning);
	puts("\nFor more: aerostat help VERB, man aerostat");
}

/* For tests and tools that check the documents against the tables. */
static void print_help_json(void)
{
	json_t *verbs = json_array();
	json_t *codes = json_array();

	for (const struct verb *const *verb = verb_table; *verb; verb++)
		json_array_append_new(verbs,
				      json_pack("{s:s, s:s, s:s}", "name", (*verb)->name, "args",
						(*verb)->args, "summary", (*verb)->summary));
	for (size_t i = 0; i < exit_code_count; i++)
		json_array_append_new(codes, json_pack("{s:i, s:s, s:s}", "code",
						       (int)exit_code_table[i].code, "name",
						       exit_code_table[i].name, "meaning",
						       exit_code_table[i].meaning));
	cli_print_json(json_pack("{s:o, s:o}", "verbs", verbs, "exit_codes", codes));
}

static int run_help_verb(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_auto(GStrv) args = NULL;
	const struct verb *topic;
	int code;

	if (!verb_parse(ctx, verb, NULL, argc, argv, 0, 1, &args, &code))
		return code;
	if (args[0]) {
		topic = verb_find(args[0]);
		if (!topic)
			return cli_usage(ctx, verb, "there is no verb '%s'", args[0]);
		return topic->run(ctx, topic, 2, (char *[]){ (char *)topic->name, "--help", NULL });
	}
	if (ctx->json)
		print_help_json();
	else
		print_help_overview();
	return EXIT_DONE;
}

const struct verb verb_help = {
	.name = "help",
	.args = "[VERB]",
	.summary = "list the verbs, or describe one",
	.details = "Without a verb: all verbs, where to look for guests, and the exit codes.",
	.examples = "  aerostat help setmem\n",
	.run = run_help_verb,
};
