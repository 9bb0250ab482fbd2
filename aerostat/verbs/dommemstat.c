/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat dommemstat: a guest's own memory statistics, and how old they are. */
#include <stdio.h>

#include "aerostat/stats_output.h"
#include "aerostat/verbs.h"

static void warn_of_old_stats(struct context *ctx, const hv_info *info,
			      const struct hv_stats *stats)
{
	int64_t age = hv_stats_age_s(stats);

	if (!info->has_balloon)
		cli_warn(ctx, "%s has no balloon device, so it reports no statistics", info->name);
	else if (age < 0 && stats->period_s <= 0)
		cli_warn(ctx,
			 "%s has never been asked for statistics; --period 1 asks it every second",
			 info->name);
	else if (age < 0)
		cli_warn(ctx, "%s has not answered yet: no balloon driver is at work in it",
			 info->name);
	else if (hv_stats_early(stats))
		cli_warn(ctx,
			 "statistics of %s are dated in the future, so nobody knows how old they "
			 "are; --period 1 asks for new ones",
			 info->name);
	else if (hv_stats_stale(stats))
		cli_warn(ctx, "statistics of %s are %" G_GINT64_FORMAT " s old%s", info->name, age,
			 stats->period_s > 0 ? ": the guest does not answer"
					     : "; --period 1 keeps them fresh");
}

static void print_dommemstat_text(const struct hv_stats *stats)
{
	for (int i = 0; i < HV_STAT_COUNT; i++)
		if (stats->value[i] != HV_UNSET)
			printf("%s %" G_GUINT64_FORMAT "\n", hv_stat_table[i].name,
			       stats_virsh_value(stats, i));
	printf("last_update %" G_GINT64_FORMAT "\n", stats->last_update_s);
	if (hv_stats_age_s(stats) >= 0) {
		printf("age %" G_GINT64_FORMAT "\n", hv_stats_age_s(stats));
		printf("stale %d\n", hv_stats_stale(stats));
	}
}

static void print_dommemstat_json(const hv_info *info, const struct hv_stats *stats)
{
	json_t *root = json_pack("{s:s}", "guest", info->name);

	stats_add_json(stats, root);
	cli_print_json(root);
}

static int show_dommemstat(struct context *ctx, hv_guest *guest, const hv_info *info)
{
	struct hv_stats stats;
	g_autoptr(GError) error = NULL;

	if (!hv_guest_stats_get(guest, hv_deadline_ms(CALL_MS), &stats, &error))
		return cli_fail(ctx, error);
	warn_of_old_stats(ctx, info, &stats);
	if (ctx->json)
		print_dommemstat_json(info, &stats);
	else
		print_dommemstat_text(&stats);
	return EXIT_DONE;
}

static int set_stats_period(struct context *ctx, hv_guest *guest, const hv_info *info, int period_s,
			    unsigned int scope)
{
	g_autoptr(GError) error = NULL;

	if (!hv_guest_stats_period_set(guest, hv_deadline_ms(CALL_MS), period_s, scope, &error))
		return cli_fail(ctx, error);
	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:i}", "guest", info->name, "period_s", period_s));
	else if (period_s)
		printf("%s: will be asked for statistics every %d s\n", info->name, period_s);
	else
		printf("%s: will no longer be asked for statistics\n", info->name);
	return EXIT_DONE;
}

static int run_dommemstat(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct scope_flags flags = { 0 };
	g_autofree char *period_text = NULL;
	const GOptionEntry entries[] = {
		{ "period", 'p', 0, G_OPTION_ARG_STRING, &period_text,
		  "ask the guest every S seconds from now on; 0: no longer ask", "S" },
		{ NULL }
	};
	GOptionContext *options = verb_options_new(verb, entries);
	g_auto(GStrv) args = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	unsigned int period_s = 0;
	unsigned int scope;
	int code;

	g_option_context_add_group(options, scope_option_group(&flags));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 1, 1, &args, &code) ||
	    !scope_from_flags(ctx, verb, &flags, HV_SCOPE_CURRENT, &scope, &code))
		return code;
	if (!verb_parse_number(ctx, verb, "period", period_text, 0, 86400, &period_s, &code))
		return code;
	guest = context_open_guest(ctx, args[0], &info, &code);
	if (!guest)
		return code;
	if (period_text)
		return set_stats_period(ctx, guest, &info, (int)period_s, scope);
	if (info.state == HV_STATE_SHUTOFF)
		return cli_fail_with(ctx, EXIT_NO_GUEST,
				     "%s is not running, so it reports no statistics", info.name);
	return show_dommemstat(ctx, guest, &info);
}

const struct verb verb_dommemstat = {
	.name = "dommemstat",
	.args = "GUEST",
	.summary = "show a guest's own memory statistics and their age",
	.details =
		"Prints what the guest's balloon driver last reported: sizes in KiB, and counts. "
		"The names are\n"
		"virsh's: available is the guest's MemTotal, unused its MemFree, usable its "
		"MemAvailable. age is\n"
		"how many seconds ago that was; stale is 1 if that is too long ago to rely on.",
	.examples = "  aerostat dommemstat alpha --period 1    # ask it every second from now on\n"
		    "  aerostat dommemstat alpha\n"
		    "  aerostat dommemstat alpha --json | jq .usable\n",
	.run = run_dommemstat,
};
