/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat explain: why a guest has the size it has. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/plain_text.h"
#include "hypervisor/guest_word.h"

#define CHANGES_SHOWN 10 /* unless --number says otherwise */

static void print_titled_row(const char *title, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void print_titled_row(const char *title, const char *format, ...)
{
	va_list args;

	printf("%-12s ", title);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* A size and what it means; nothing if it is unknown. */
static void print_size_row(const char *title, uint64_t bytes, const char *meaning)
{
	g_autofree char *size = format_size_cell(bytes);

	if (bytes != HV_UNSET)
		print_titled_row(title, "%-9s %s", size, meaning);
}

static void print_headline(const struct daemon_guest *guest, bool colour)
{
	g_autofree char *name = plain_text(guest->name);
	g_autofree char *actual = format_size_cell(guest->actual_bytes);
	g_autofree char *max = format_size_cell(guest->max_bytes);
	g_autofree char *target = format_size_cell(guest->target_bytes);

	print_shaded(colour, SHADE_TITLE, 0, name);
	printf(" has %s of %s", actual, max);
	if (guest->target_bytes != HV_UNSET && guest->target_bytes != guest->actual_bytes)
		printf("; its target is %s", target);
	putchar('\n');
}

/* What keeps the guest from being managed, if anything does. */
static void print_obstacles(const struct daemon_guest *guest, bool colour)
{
	g_autofree char *problem = plain_text(guest->problem);
	g_autofree char *obstacle = plain_text(guest->obstacle);
	g_autofree char *state = plain_text(guest->state);

	if (*problem) {
		print_shaded(colour, SHADE_BAD, 0, "It does not answer");
		printf(": %s\n", problem);
	}
	if (*obstacle)
		print_titled_row("Obstacle", "it cannot be shrunk: %s", obstacle);
	if (*state && !g_str_equal(state, "running"))
		print_titled_row("State", "%s", state);
	if (guest->driver == HV_DRIVER_ABSENT)
		print_titled_row("Driver",
				 "no balloon driver runs in the guest, so its size cannot change");
}

static void print_reason(const struct daemon_guest *guest)
{
	g_autofree char *reason = plain_text(guest->decision.reason);
	g_autofree char *help = plain_text(guest->reason_help);
	g_autofree char *text = plain_text(guest->decision.text);

	if (!*text)
		print_titled_row("Why", "nothing has been decided yet");
	else
		print_titled_row("Why", "%s%s%s\n%-12s %s", reason, *help ? ": " : "", help, "",
				 text);
}

static void print_bounds(const struct daemon_guest *guest)
{
	bool has_min = guest->min_bytes != HV_UNSET;
	bool has_limit = guest->limit_bytes != HV_UNSET;
	g_autofree char *least =
		format_size_cell(has_min ? guest->min_bytes : guest->decision.floor_bytes);
	g_autofree char *most = format_size_cell(has_limit ? guest->limit_bytes : guest->max_bytes);

	print_titled_row("Bounds", "%s (%s) to %s (%s)", least,
			 has_min ? "configured" : "its floor", most,
			 has_limit ? "configured" : "its RAM at boot");
}

/* @undo: what to give to aerostat auto to undo it */
static void print_mode(const struct daemon_guest *guest, const char *undo)
{
	g_autofree char *held = guest->held_bytes == HV_UNSET ? g_strdup("the size it has")
							      : format_size_cell(guest->held_bytes);

	switch (guest->mode) {
	case DAEMON_MODE_HELD:
		if (!guest->mode_by_person) {
			print_titled_row("Mode", "held at %s by the configuration", held);
			return;
		}
		print_titled_row("Mode", "held at %s by a user; to release it: aerostat auto %s",
				 held, undo);
		return;
	case DAEMON_MODE_OBSERVE:
		print_titled_row("Mode", "observe: it is watched, but its size is not changed");
		break;
	case DAEMON_MODE_OFF:
		print_titled_row("Mode", "off: it is left alone");
		break;
	case DAEMON_MODE_AUTO:
		print_titled_row("Mode", "auto: the policy sets its size");
		break;
	case DAEMON_MODE_UNKNOWN:
		print_titled_row("Mode", "not known to this version of aerostat");
		break;
	}
	if (guest->mode_by_person)
		print_titled_row("", "a user set this mode; to undo: aerostat auto %s", undo);
}

/* What it may take back by itself, what it did, and what it can do at all. */
static void print_loan(const struct daemon_guest *guest, uint64_t in_reserve_bytes)
{
	g_autofree char *pulled = format_size_cell(guest->pulled_bytes);
	g_autofree char *reserve = format_size_cell(in_reserve_bytes);
	g_autofree char *abilities = format_abilities(guest->abilities);
	g_autofree char *credit = format_size_cell(guest->credit_bytes);
	g_autofree char *ceiling = format_size_cell(guest->ceiling_bytes);

	print_titled_row("By itself", "%s", *abilities ? abilities : "it does nothing");
	if (guest->abilities & HV_CAN_GATE && guest->credit_bytes != HV_UNSET)
		print_titled_row("Credit", "%-9s it may take back now, up to a size of %s", credit,
				 ceiling);
	if (guest->pulled_bytes != HV_UNSET && guest->pulled_bytes)
		print_titled_row("Pulled",
				 "%-9s taken back by itself since aerostatd found it; the host has "
				 "%s in reserve for all",
				 pulled, reserve);
	if (guest->abilities & HV_CAN_TRIM)
		print_size_row("Trimmed", guest->trimmed_bytes,
			       "page cache that it gave up on request");
}

static void print_stats(const struct daemon_guest *guest)
{
	const struct daemon_stats *stats = &guest->stats;
	g_autofree char *age = format_duration(stats->age_us);
	g_autofree char *available = format_size_cell(stats->available_bytes);
	g_autofree char *free_text = format_size_cell(stats->free_bytes);
	g_autofree char *cache = format_size_cell(stats->cache_bytes);

	if (stats->age_us == HV_UNSET)
		print_titled_row("Statistics", "none: the guest has never reported any");
	else
		print_titled_row("Statistics", "%s old%s: %s available, %s free, %s cache", age,
				 are_stats_stale(guest) ? " (STALE, so no memory is taken)" : "",
				 available, free_text, cache);
}

/* @word: what the user called it */
static void print_figures(const struct daemon_guest *guest, uint64_t in_reserve_bytes,
			  const char *word)
{
	const struct daemon_decision *decision = &guest->decision;
	g_autofree char *undo = guest_word_quote(word);
	g_autofree char *exact = plain_text(guest->word);

	print_reason(guest);
	print_size_row("Needs", decision->need_bytes, "in use, and cannot be dropped");
	print_size_row("Demand", decision->demand_bytes,
		       "its recent need plus what it swapped out, within its bounds");
	print_size_row("Reserve", decision->reserve_bytes, "kept free in it for bursts");
	print_size_row("Wants", decision->want_bytes,
		       "its recent need plus the reserve, within its bounds");
	print_size_row("Floor", decision->floor_bytes,
		       "the least that any guest of its size is left with");
	print_bounds(guest);
	print_mode(guest, undo);
	print_titled_row("Distress", "%s",
			 guest->critical    ? "critical: it has killed processes, or is about to"
			 : guest->pressured ? "pressured: it is short of memory"
					    : "none");
	print_stats(guest);
	print_size_row("On the host", guest->resident_bytes,
		       "resident: what it costs the host; its size is what it may use");
	print_loan(guest, in_reserve_bytes);
	print_size_row("Own size", guest->before_bytes,
		       guest->mode == DAEMON_MODE_HELD && guest->mode_by_person
			       ? "not restored, as a user holds the guest at another"
			       : "restored when aerostatd ends");
	print_titled_row("Targets", "%" G_GUINT64_FORMAT " set, %" G_GUINT64_FORMAT " failed",
			 guest->times_set, guest->times_failed);
	print_titled_row("Address", "%s", exact);
}

static void print_change(const struct daemon_change *change)
{
	g_autofree char *time = format_local_time(change->time_us);
	g_autofree char *from = format_size_cell(change->target_before_bytes != HV_UNSET
							 ? change->target_before_bytes
							 : change->actual_bytes);
	g_autofree char *to = format_size_cell(change->target_bytes);
	g_autofree char *reason = plain_text(change->decision.reason);
	g_autofree char *text = plain_text(change->decision.text);

	printf("  %s  %9s -> %-9s  %s\n%23s%s\n", time, from, to, reason, "", text);
}

static void print_history(const struct daemon_guest *guest, size_t number, bool colour)
{
	size_t count = MIN(guest->history_count, number);

	if (!number)
		return;
	putchar('\n');
	if (!count) {
		puts("The policy has not changed its size yet.");
		return;
	}
	print_shaded(colour, SHADE_TITLE, 0, "Last changes, newest first:");
	putchar('\n');
	for (size_t i = 0; i < count; i++)
		print_change(&guest->history[i]);
}

static void print_guest_json(const struct daemon_guest *guest, size_t number)
{
	json_t *history = json_object_get(guest->json, "history");

	while (json_array_size(history) > number)
		json_array_remove(history, json_array_size(history) - 1);
	cli_print_json(json_incref(guest->json));
}

/* A guest that aerostatd does not know may exist all the same. */
static int fail_unmanaged(struct context *ctx, const char *name, const GError *error)
{
	g_auto(hv_info) info = { 0 };
	g_autoptr(hv_guest) guest =
		hv_find(&ctx->sources, name, hv_deadline_ms(CALL_MS), &info, NULL);

	if (!guest)
		return cli_fail(ctx, error);
	return cli_fail_with(ctx, exit_code_of(error),
			     "%s is not managed: aerostatd does not look for guests at %s; add it "
			     "to [discover] in aerostat.conf(5)",
			     info.name, guest->source);
}

/* What the host has in reserve for all guests; HV_UNSET if the daemon does not say. */
static uint64_t get_reserve_bytes(struct daemon_client *daemon)
{
	g_autoptr(daemon_status) status = daemon_get_status(daemon, NULL);

	return status ? status->in_reserve_bytes : HV_UNSET;
}

static int run_explain(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *number_text = NULL;
	const GOptionEntry entries[] = { { "number", 'n', 0, G_OPTION_ARG_STRING, &number_text,
					   "show at most N of the last changes (10)", "N" },
					 { NULL } };
	GOptionContext *options = verb_options_new(verb, entries);
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(daemon_guest) guest = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) names = NULL;
	unsigned int number = CHANGES_SHOWN;
	bool colour = wants_colour();
	int code;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 1, 1, &names, &code))
		return code;
	if (!verb_parse_number(ctx, verb, "number", number_text, 0, 1000, &number, &code))
		return code;
	daemon = daemon_client_new(socket, DAEMON_TIMEOUT_MS);
	guest = daemon_get_guest(daemon, names[0], &error);
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
		return fail_unmanaged(ctx, names[0], error);
	if (!guest)
		return cli_fail(ctx, error);
	if (ctx->json) {
		print_guest_json(guest, number);
		return EXIT_DONE;
	}
	print_headline(guest, colour);
	print_obstacles(guest, colour);
	print_figures(guest, get_reserve_bytes(daemon), names[0]);
	print_history(guest, number, colour);
	return EXIT_DONE;
}

const struct verb verb_explain = {
	.name = "explain",
	.args = "GUEST",
	.summary = "explain why a guest has the size it has",
	.details = "Prints what aerostatd decided about the guest and why, in words and numbers: "
		   "what it needs and\n"
		   "wants, its bounds, who set its mode, how old its statistics are; then the last "
		   "changes of its size.\n"
		   "Each number is printed with its meaning.",
	.examples = "  aerostat explain alpha\n"
		    "  aerostat explain alpha --number 30\n"
		    "  aerostat explain alpha --json | jq -r .text\n",
	.run = run_explain,
};
