/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat explain: why a guest has the size it has. */
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"

#define CHANGES 10 /* shown to people who do not say how many */

static void row(const char *title, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void row(const char *title, const char *format, ...)
{
	va_list args;

	printf("%-12s ", title);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* A size and what it means; nothing for one that is not known. */
static void size_row(const json_t *guest, const char *key, const char *title, const char *meaning)
{
	uint64_t bytes = answer_bytes(guest, key);
	g_autofree char *size = size_cell(bytes);

	if (bytes != HV_UNSET)
		row(title, "%-9s %s", size, meaning);
}

static void print_head(const json_t *guest, bool paint)
{
	uint64_t target_bytes = answer_bytes(guest, "target_bytes");
	g_autofree char *name = plain_text(answer_text(guest, "name"));
	g_autofree char *actual = size_cell(answer_bytes(guest, "actual_bytes"));
	g_autofree char *max = size_cell(answer_bytes(guest, "max_bytes"));
	g_autofree char *target = size_cell(target_bytes);

	paint_print(paint, SHADE_TITLE, 0, name);
	printf(" has %s of %s", actual, max);
	if (target_bytes != HV_UNSET && target_bytes != answer_bytes(guest, "actual_bytes"))
		printf(", and is told to have %s", target);
	putchar('\n');
}

static void print_reason(const json_t *guest)
{
	g_autofree char *reason = plain_text(answer_text(guest, "reason"));
	g_autofree char *help = plain_text(answer_text(guest, "reason_help"));
	g_autofree char *text = plain_text(answer_text(guest, "text"));

	if (!*text)
		row("Why", "nothing was decided yet");
	else
		row("Why", "%s%s%s\n%-12s %s", reason, *help ? ": " : "", help, "", text);
}

static void print_bounds(const json_t *guest)
{
	uint64_t min = answer_bytes(guest, "min_bytes");
	uint64_t limit = answer_bytes(guest, "limit_bytes");
	bool has_limit = limit != HV_UNSET;
	g_autofree char *least =
		size_cell(min == HV_UNSET ? answer_bytes(guest, "floor_bytes") : min);
	g_autofree char *most = size_cell(has_limit ? limit : answer_bytes(guest, "max_bytes"));

	row("Bounds", "%s (%s) to %s (%s)", least, min == HV_UNSET ? "its floor" : "configured",
	    most, has_limit ? "configured" : "its RAM at boot");
}

static void print_mode(const json_t *guest)
{
	const char *mode = answer_text(guest, "mode");
	bool by_person = g_str_equal(answer_text(guest, "mode_by"), "person");
	g_autofree char *name = plain_text(answer_text(guest, "name"));
	g_autofree char *held = size_cell(answer_bytes(guest, "held_bytes"));
	g_autofree char *plain = plain_text(mode);

	if (g_str_equal(mode, "held"))
		row("Mode", "held at %s by a person, until: aerostat auto %s", held, name);
	else if (g_str_equal(mode, "observe"))
		row("Mode", "observe: it is watched, and left at its size");
	else if (g_str_equal(mode, "off"))
		row("Mode", "off: it is left alone");
	else
		row("Mode", "%s: the policy sets its size", plain);
	if (by_person && !g_str_equal(mode, "held"))
		row("", "a person chose that; taken back by: aerostat auto %s", name);
}

static const char *distress_words(const json_t *guest)
{
	if (answer_true(guest, "critical"))
		return "critical: it has killed processes, or is about to";
	return answer_true(guest, "pressured") ? "pressed: it is short of memory" : "none";
}

static void print_stats(const json_t *guest)
{
	const json_t *stats = json_object_get(guest, "stats");
	uint64_t age = answer_bytes(stats, "age_us");
	g_autofree char *age_text = age == HV_UNSET ? NULL : duration_text((int64_t)age);
	g_autofree char *available = size_cell(answer_bytes(stats, "available_bytes"));
	g_autofree char *free_text = size_cell(answer_bytes(stats, "free_bytes"));
	g_autofree char *cache = size_cell(answer_bytes(stats, "cache_bytes"));

	if (!age_text) {
		row("Statistics", "none: the guest never said how it stands");
		return;
	}
	row("Statistics", "%s old%s: %s available, %s free, %s cache", age_text,
	    stats_stale(guest) ? " (STALE, so nothing is taken)" : "", available, free_text, cache);
}

static void print_trouble(const json_t *guest, bool paint)
{
	g_autofree char *problem = plain_text(answer_text(guest, "problem"));
	g_autofree char *obstacle = plain_text(answer_text(guest, "obstacle"));
	g_autofree char *state = plain_text(answer_text(guest, "state"));

	if (*problem)
		paint_print(paint, SHADE_BAD, 0, "It does not answer");
	if (*problem)
		printf(": %s\n", problem);
	if (*obstacle)
		row("Obstacle", "it cannot be shrunk: %s", obstacle);
	if (*state && !g_str_equal(state, "running"))
		row("State", "%s", state);
	if (g_str_equal(answer_text(guest, "driver"), "absent"))
		row("Driver", "none is at work in the guest, so its size cannot change");
}

static void print_now(const json_t *guest)
{
	print_reason(guest);
	size_row(guest, "need_bytes", "Needs", "what it uses and cannot drop");
	size_row(guest, "demand_bytes", "Demand",
		 "its need of late, and what it swapped out, within its bounds");
	size_row(guest, "reserve_bytes", "Reserve", "kept free in it for bursts");
	size_row(guest, "want_bytes", "Wants", "need of late and reserve, within its bounds");
	size_row(guest, "floor_bytes", "Floor",
		 "the least that any guest of its size is left with");
	print_bounds(guest);
	print_mode(guest);
	row("Distress", "%s", distress_words(guest));
	print_stats(guest);
	size_row(guest, "resident_bytes", "On the host", "resident, of its process");
	size_row(guest, "before_bytes", "Before", "put back when aerostatd ends");
	row("Targets", "%.0f set, %.0f failed", answer_number(guest, "times_set"),
	    answer_number(guest, "times_failed"));
}

static void print_change(const json_t *change)
{
	uint64_t target_before = answer_bytes(change, "target_before_bytes");
	uint64_t actual = answer_bytes(change, "actual_bytes");
	g_autofree char *time = time_text((int64_t)answer_number(change, "time_us"));
	g_autofree char *from = size_cell(target_before == HV_UNSET ? actual : target_before);
	g_autofree char *to = size_cell(answer_bytes(change, "target_bytes"));
	g_autofree char *reason = plain_text(answer_text(change, "reason"));
	g_autofree char *text = plain_text(answer_text(change, "text"));

	printf("  %s  %9s -> %-9s  %s\n%23s%s\n", time, from, to, reason, "", text);
}

static void print_history(const json_t *history, bool paint)
{
	const json_t *change;
	size_t i;

	putchar('\n');
	if (!json_array_size(history)) {
		puts("The policy has not changed its size yet.");
		return;
	}
	paint_print(paint, SHADE_TITLE, 0, "Last changes, the newest first:");
	putchar('\n');
	json_array_foreach (history, i, change)
		print_change(change);
}

/* What is not known to aerostatd may be a guest all the same. */
static int tell_unmanaged(struct context *ctx, const char *name, const GError *error)
{
	g_auto(hv_info) info = { 0 };
	g_autoptr(hv_guest) guest =
		hv_find(&ctx->sources, name, hv_deadline_ms(CALL_MS), &info, NULL);

	if (!guest)
		return cli_fail(ctx, error);
	return cli_fail_with(ctx, exit_code_of(error),
			     "%s is not managed: aerostatd does not look at %s, so nobody but "
			     "people sets its size; see [discover] in aerostat.conf(5)",
			     info.name, guest->source);
}

static void shorten(json_t *guest, int number)
{
	json_t *history = json_object_get(guest, "history");

	while (json_array_size(history) > (size_t)number)
		json_array_remove(history, json_array_size(history) - 1);
}

static void explain(const json_t *guest)
{
	bool paint = paint_wanted();

	print_head(guest, paint);
	print_trouble(guest, paint);
	print_now(guest);
	print_history(json_object_get(guest, "history"), paint);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL, *number_word = NULL;
	const GOptionEntry entries[] = { { "number", 'n', 0, G_OPTION_ARG_STRING, &number_word,
					   "at most N of the last changes (10)", "N" },
					 SOCKET_ENTRY(socket),
					 { NULL } };
	g_autoptr(daemon_link) daemon = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *path = NULL;
	g_auto(GStrv) words = NULL;
	guint64 number = CHANGES;
	json_t *guest;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 1, 1, &words, &code))
		return code;
	if (number_word && !g_ascii_string_to_unsigned(number_word, 10, 0, 1000, &number, NULL))
		return cli_usage(ctx, verb, "number '%s' is not a number from 0 to 1000",
				 number_word);
	daemon = daemon_new(socket);
	path = daemon_guest_path(words[0], NULL);
	guest = daemon_call(daemon, "GET", path, NULL, DAEMON_MS, &error);
	if (!guest)
		return g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND)
			       ? tell_unmanaged(ctx, words[0], error)
			       : cli_fail(ctx, error);
	shorten(guest, (int)number);
	if (ctx->json) {
		cli_print_json(guest);
		return EXIT_DONE;
	}
	explain(guest);
	json_decref(guest);
	return EXIT_DONE;
}

const struct verb verb_explain = {
	.name = "explain",
	.args = "GUEST",
	.summary = "say why a guest has the size it has",
	.details = "Tells what aerostatd decided of the guest and why, in words and numbers: what "
		   "it needs and wants,\n"
		   "its bounds, who set its mode, how old its statistics are; then the last "
		   "changes of its size. What\n"
		   "the numbers mean is said beside them.",
	.examples = "  aerostat explain alpha\n"
		    "  aerostat explain alpha --number 30\n"
		    "  aerostat explain alpha --json | jq -r .text\n",
	.run = run,
};
