/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat domstats: print the balloon figures of many guests, for scripts. */
#include <stdio.h>
#include <string.h>

#include "aerostat/guest_query.h"
#include "aerostat/stats_output.h"
#include "aerostat/verbs.h"
#include "common/size.h"

static void print_domstats_text(const struct guest_reply *one, bool has_namesake)
{
	const struct hv_stats *stats = &one->stats;

	printf("Domain: '%s'\n", one->info.name);
	if (has_namesake && !strcmp(one->guest->source, "qmp"))
		printf("  address=%s\n", one->guest->address);
	else if (has_namesake)
		printf("  uuid=%s\n", one->info.uuid);
	if (one->info.actual_bytes != HV_UNSET)
		printf("  balloon.current=%" G_GUINT64_FORMAT "\n",
		       one->info.actual_bytes / SIZE_KIB);
	printf("  balloon.maximum=%" G_GUINT64_FORMAT "\n", one->info.max_bytes / SIZE_KIB);
	if (one->has_stats) {
		for (int i = HV_STAT_ACTUAL + 1; i < HV_STAT_COUNT; i++)
			if (stats->value[i] != HV_UNSET)
				printf("  balloon.%s=%" G_GUINT64_FORMAT "\n",
				       hv_stat_table[i].name, stats_virsh_value(stats, i));
		printf("  balloon.last-update=%" G_GINT64_FORMAT "\n", stats->last_update_s);
		if (hv_stats_age_s(stats) >= 0)
			printf("  balloon.age=%" G_GINT64_FORMAT "\n", hv_stats_age_s(stats));
	}
	putchar('\n');
}

static json_t *domstats_json(const struct guest_reply *one)
{
	json_t *root;

	if (one->error)
		return json_pack("{s:s, s:s}", "guest", one->guest->address, "error",
				 one->error->message);
	root = json_pack("{s:s, s:s, s:o, s:o}", "guest", one->info.name, "address",
			 one->guest->address, "current", cli_json_bytes(one->info.actual_bytes),
			 "maximum", cli_json_bytes(one->info.max_bytes));
	if (one->has_stats)
		stats_add_json(&one->stats, root);
	return root;
}

/* Prints one guest's figures, or adds them to @rows; returns the guest's exit code. */
static int print_domstats(struct context *ctx, const GPtrArray *guests,
			  const struct guest_reply *one, json_t *rows)
{
	if (ctx->json)
		json_array_append_new(rows, domstats_json(one));
	else if (!one->error)
		print_domstats_text(one, has_guest_namesake(guests, one));
	if (!one->error)
		return EXIT_DONE;
	if (!ctx->json)
		return cli_fail(ctx, one->error);
	return (int)exit_code_of(one->error);
}

static int run_domstats(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	gboolean balloon = FALSE;
	const GOptionEntry entries[] = { { "balloon", 0, 0, G_OPTION_ARG_NONE, &balloon,
					   "print balloon figures, the only kind there is", NULL },
					 { NULL } };
	g_autoptr(GPtrArray) guests = NULL;
	g_auto(GStrv) args = NULL;
	json_t *rows;
	int code = EXIT_DONE;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, -1, &args, &code))
		return code;
	guests = query_guests(ctx, args, false, true, &code);
	if (!guests)
		return code;
	rows = json_array();
	code = EXIT_DONE;
	for (guint i = 0; i < guests->len; i++) {
		int one = print_domstats(ctx, guests, guests->pdata[i], rows);

		code = one ? one : code;
	}
	if (ctx->json)
		cli_print_json(json_incref(rows));
	json_decref(rows);
	return code;
}

const struct verb verb_domstats = {
	.name = "domstats",
	.args = "[GUEST...]",
	.summary = "show the balloon figures of many guests",
	.details = "Prints virsh's balloon.* figures of the named guests, or of all that are "
		   "running: sizes in KiB,\n"
		   "and counts. balloon.age is how many seconds ago the guest last answered. With "
		   "--json, sizes are\n"
		   "in bytes.",
	.examples = "  aerostat domstats --balloon\n"
		    "  aerostat domstats --balloon alpha beta\n"
		    "  aerostat domstats --json | jq '.[] | {guest, current}'\n",
	.run = run_domstats,
};
