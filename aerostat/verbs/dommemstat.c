/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat dommemstat: what the guest says of its memory, and when it said it. */
#include <stdio.h>

#include "aerostat/stats.h"
#include "aerostat/verbs.h"

#define PERIOD_UNSET (-1)

static void warn_of_age(struct context *ctx, const hv_info *info, const struct hv_stats *stats)
{
	int64_t age = hv_stats_age_s(stats);

	if (!info->has_balloon)
		cli_warn(ctx, "%s has no balloon device, so it tells no statistics", info->name);
	else if (age < 0 && stats->period_s <= 0)
		cli_warn(ctx,
			 "%s has never been asked for statistics; --period 1 asks it every second",
			 info->name);
	else if (age < 0)
		cli_warn(ctx, "%s has not answered yet: no balloon driver is at work in it",
			 info->name);
	else if (hv_stats_stale(stats))
		cli_warn(ctx, "statistics of %s are %" G_GINT64_FORMAT " s old%s", info->name, age,
			 stats->period_s > 0 ? ": the guest does not answer"
					     : "; --period 1 keeps them fresh");
}

static void print_people(const struct hv_stats *stats)
{
	for (int i = 0; i < HV_STAT_COUNT; i++)
		if (stats->value[i] != HV_UNSET)
			printf("%s %" G_GUINT64_FORMAT "\n", hv_stat_table[i].name,
			       stat_for_virsh(stats, i));
	printf("last_update %" G_GINT64_FORMAT "\n", stats->last_update_s);
	if (hv_stats_age_s(stats) >= 0) {
		printf("age %" G_GINT64_FORMAT "\n", hv_stats_age_s(stats));
		printf("stale %d\n", hv_stats_stale(stats));
	}
}

static void print_json(const hv_info *info, const struct hv_stats *stats)
{
	json_t *root = json_pack("{s:s}", "guest", info->name);

	stats_to_json(stats, root);
	cli_print_json(root);
}

static int show(struct context *ctx, hv_guest *guest, const hv_info *info)
{
	struct hv_stats stats;
	g_autoptr(GError) error = NULL;

	if (!hv_guest_stats_get(guest, hv_deadline_ms(CALL_MS), &stats, &error))
		return cli_fail(ctx, error);
	warn_of_age(ctx, info, &stats);
	if (ctx->json)
		print_json(info, &stats);
	else
		print_people(&stats);
	return EXIT_DONE;
}

static int set_period(struct context *ctx, hv_guest *guest, const hv_info *info, int period_s,
		      unsigned int scope)
{
	g_autoptr(GError) error = NULL;

	if (!hv_guest_stats_period_set(guest, hv_deadline_ms(CALL_MS), period_s, scope, &error))
		return cli_fail(ctx, error);
	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:i}", "guest", info->name, "period_s", period_s));
	else if (period_s)
		printf("%s: asked for statistics every %d s\n", info->name, period_s);
	else
		printf("%s: no longer asked for statistics\n", info->name);
	return EXIT_DONE;
}

static bool parse_period(const char *word, int *period_s)
{
	guint64 value;

	if (!g_ascii_string_to_unsigned(word, 10, 0, 86400, &value, NULL))
		return false;
	*period_s = (int)value;
	return true;
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct scope_flags flags = { 0 };
	g_autofree char *period_word = NULL;
	const GOptionEntry entries[] = {
		{ "period", 'p', 0, G_OPTION_ARG_STRING, &period_word,
		  "ask the guest every S seconds from now on; 0 stops that", "S" },
		SCOPE_ENTRIES(flags),
		{ NULL }
	};
	g_auto(GStrv) words = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	int period_s = PERIOD_UNSET;
	unsigned int scope;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 1, 1, &words, &code) ||
	    !scope_of_flags(ctx, verb, &flags, HV_SCOPE_CURRENT, &scope, &code))
		return code;
	if (period_word && !parse_period(period_word, &period_s))
		return cli_usage(ctx, verb,
				 "period '%s' is not a number of seconds from 0 to 86400",
				 period_word);
	guest = context_open(ctx, words[0], &info, &code);
	if (!guest)
		return code;
	if (period_s != PERIOD_UNSET)
		return set_period(ctx, guest, &info, period_s, scope);
	if (info.state == HV_STATE_SHUTOFF)
		return cli_fail_with(ctx, EXIT_NO_GUEST,
				     "%s is not running, so it tells no statistics", info.name);
	return show(ctx, guest, &info);
}

const struct verb verb_dommemstat = {
	.name = "dommemstat",
	.args = "GUEST",
	.summary = "show a guest's own memory statistics and their age",
	.details = "Prints what the guest's balloon driver last said, in KiB but for counts, by "
		   "virsh's names:\n"
		   "available is the guest's MemTotal, unused its MemFree, usable its "
		   "MemAvailable. age is how many\n"
		   "seconds ago that was; stale 1 marks what is too old to be believed.",
	.examples = "  aerostat dommemstat alpha --period 1    # ask it every second from now on\n"
		    "  aerostat dommemstat alpha\n"
		    "  aerostat dommemstat alpha --json | jq .usable\n",
	.run = run,
};
