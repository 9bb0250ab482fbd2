/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat status: host, guests, problems and reservations, as aerostatd sees them. */
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"

/* One column of the table; the text is freed. */
struct column {
	const char *title;
	char *(*text)(const json_t *guest);
	bool left;
};

static char *cell_name(const json_t *guest)
{
	const char *name = answer_text(guest, "name");

	return plain_text(*name ? name : answer_text(guest, "address"));
}

static char *cell_mode(const json_t *guest)
{
	bool by_person = g_str_equal(answer_text(guest, "mode_by"), "person");
	g_autofree char *mode = plain_text(answer_text(guest, "mode"));

	return g_strconcat(mode, by_person ? "*" : "", NULL);
}

static char *cell_actual(const json_t *guest)
{
	return size_cell(answer_bytes(guest, "actual_bytes"));
}

static char *cell_target(const json_t *guest)
{
	return size_cell(answer_bytes(guest, "target_bytes"));
}

static char *cell_want(const json_t *guest)
{
	return size_cell(answer_bytes(guest, "want_bytes"));
}

static char *cell_max(const json_t *guest)
{
	return size_cell(answer_bytes(guest, "max_bytes"));
}

static char *cell_need(const json_t *guest)
{
	return size_cell(answer_bytes(guest, "need_bytes"));
}

static char *cell_stats(const json_t *guest)
{
	uint64_t age = answer_bytes(json_object_get(guest, "stats"), "age_us");
	g_autofree char *text = age == HV_UNSET ? NULL : duration_text((int64_t)age);

	return text ? g_strconcat(text, stats_stale(guest) ? " stale" : "", NULL)
		    : g_strdup("none");
}

static bool has_problem(const json_t *guest)
{
	return *answer_text(guest, "problem") != '\0';
}

/* Short of memory, and how much so. */
static enum shade distress_shade(const json_t *guest)
{
	if (answer_true(guest, "critical"))
		return SHADE_BAD;
	return answer_true(guest, "pressured") ? SHADE_WARN : SHADE_NONE;
}

static char *cell_reason(const json_t *guest)
{
	const char *state = answer_text(guest, "state");

	if (has_problem(guest))
		return g_strdup("no answer");
	if (*state && !g_str_equal(state, "running"))
		return plain_text(state);
	if (g_str_equal(answer_text(guest, "driver"), "absent"))
		return g_strdup("no driver");
	return plain_text(answer_text(guest, "reason"));
}

static const struct column columns[] = {
	{ "Guest", cell_name, true },	  { "Mode", cell_mode, true },
	{ "Actual", cell_actual, false }, { "Target", cell_target, false },
	{ "Want", cell_want, false },	  { "Max", cell_max, false },
	{ "Need", cell_need, false },	  { "Statistics", cell_stats, false },
	{ "Reason", cell_reason, true },
};
#define COLUMNS G_N_ELEMENTS(columns)

static enum shade cell_shade(const json_t *guest, size_t column)
{
	if (columns[column].text == cell_stats && stats_stale(guest))
		return SHADE_WARN;
	if (columns[column].text != cell_reason)
		return SHADE_NONE;
	return has_problem(guest) ? SHADE_BAD : distress_shade(guest);
}

static void measure(const json_t *guests, int widths[COLUMNS])
{
	const json_t *guest;
	size_t row;

	for (size_t i = 0; i < COLUMNS; i++)
		widths[i] = (int)g_utf8_strlen(columns[i].title, -1);
	json_array_foreach (guests, row, guest)
		for (size_t i = 0; i < COLUMNS; i++) {
			g_autofree char *text = columns[i].text(guest);

			widths[i] = MAX(widths[i], (int)g_utf8_strlen(text, -1));
		}
}

static void print_cell(bool paint, enum shade shade, size_t column, int width, const char *text)
{
	bool last = column == COLUMNS - 1;

	fputs(column ? "  " : " ", stdout);
	paint_print(paint, shade, last ? 0 : columns[column].left ? -width : width, text);
	if (last)
		putchar('\n');
}

static void print_guests(const json_t *guests, bool paint)
{
	bool by_person = false;
	int widths[COLUMNS];
	const json_t *guest;
	size_t row;

	if (!json_array_size(guests)) {
		puts("no guests");
		return;
	}
	measure(guests, widths);
	for (size_t i = 0; i < COLUMNS; i++)
		print_cell(paint, SHADE_TITLE, i, widths[i], columns[i].title);
	json_array_foreach (guests, row, guest) {
		for (size_t i = 0; i < COLUMNS; i++) {
			g_autofree char *text = columns[i].text(guest);

			print_cell(paint, cell_shade(guest, i), i, widths[i], text);
		}
		by_person = by_person || g_str_equal(answer_text(guest, "mode_by"), "person");
	}
	if (by_person)
		puts(" * by a person; given back by: aerostat auto GUEST");
}

static void print_host(const json_t *status, bool paint)
{
	const json_t *host = json_object_get(status, "host");
	g_autofree char *total = size_cell(answer_bytes(host, "total_bytes"));
	g_autofree char *available = size_cell(answer_bytes(host, "available_bytes"));
	g_autofree char *budget = size_cell(answer_bytes(status, "budget_bytes"));
	g_autofree char *want = size_cell(answer_bytes(status, "want_bytes"));
	g_autofree char *reserved = size_cell(answer_bytes(host, "reserved_bytes"));

	if (!answer_number(status, "rounds")) {
		puts("aerostatd has just started, and has not looked at the host yet");
		return;
	}
	printf("host: %s RAM, %s available, memory pressure %.1f %%, %s reserved\n", total,
	       available, 100 * answer_number(host, "pressure"), reserved);
	printf("guests: want %s of the %s that they may use together\n", want, budget);
	if (answer_true(status, "overcommitted"))
		paint_print(paint, SHADE_BAD, 0,
			    "overcommitted: the guests need more than there is, and will swap\n");
	if (answer_true(host, "critical"))
		paint_print(paint, SHADE_BAD, 0,
			    "the host is short of memory: it stalls, and takes from guests\n");
	if (answer_true(status, "recording"))
		puts("a recording is under way");
}

static void print_problem(const char *source, const char *kind, const char *text)
{
	g_autofree char *plain_source = plain_text(source);
	g_autofree char *plain = plain_text(text);

	printf("  %s: %s%s\n", plain_source, kind, plain);
}

static void print_problems(const json_t *status, bool paint)
{
	const json_t *problems = json_object_get(status, "problems");
	g_autoptr(GPtrArray) ill = g_ptr_array_new();
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(status, "guests"), i, one)
		if (has_problem(one) || *answer_text(one, "obstacle"))
			g_ptr_array_add(ill, one);
	if (!json_array_size(problems) && !ill->len)
		return;
	paint_print(paint, SHADE_TITLE, 0, "\nProblems:\n");
	json_array_foreach (problems, i, one)
		print_problem(answer_text(one, "source"), "", answer_text(one, "text"));
	for (guint k = 0; k < ill->len; k++) {
		g_autofree char *name = cell_name(ill->pdata[k]);

		if (has_problem(ill->pdata[k]))
			print_problem(name, "", answer_text(ill->pdata[k], "problem"));
		if (*answer_text(ill->pdata[k], "obstacle"))
			print_problem(name,
				      "cannot be shrunk: ", answer_text(ill->pdata[k], "obstacle"));
	}
}

static void print_reservations(const json_t *reservations, bool paint)
{
	json_t *one;
	size_t i;

	if (!json_array_size(reservations))
		return;
	paint_print(paint, SHADE_TITLE, 0, "\nReservations:\n");
	json_array_foreach (reservations, i, one) {
		g_autofree char *bytes = size_cell(answer_bytes(one, "bytes"));
		g_autofree char *free_text = size_cell(answer_bytes(one, "free_bytes"));
		g_autofree char *note = plain_text(answer_text(one, "note"));

		printf("  %.0f: %s, %s of it free now, ends in %.0f s%s%s\n",
		       answer_number(one, "id"), bytes, free_text,
		       answer_number(one, "seconds_left"), *note ? "; " : "", note);
	}
}

static bool goes_by(const json_t *guest, const char *word)
{
	return g_str_equal(answer_text(guest, "name"), word) ||
	       g_str_equal(answer_text(guest, "address"), word) ||
	       !g_ascii_strcasecmp(answer_text(guest, "uuid"), word);
}

/* The guests that go by @word, added to @chosen. */
static bool choose(const json_t *guests, const char *word, json_t *chosen)
{
	bool found = false;
	json_t *guest;
	size_t i;

	json_array_foreach (guests, i, guest)
		if (goes_by(guest, word)) {
			json_array_append(chosen, guest);
			found = true;
		}
	return found;
}

static char *names_of(const json_t *guests)
{
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_auto(GStrv) all = NULL;
	json_t *guest;
	size_t i;

	json_array_foreach (guests, i, guest) {
		g_autofree char *name = cell_name(guest);

		g_strv_builder_add(names, name);
	}
	all = g_strv_builder_end(names);
	return all[0] ? g_strjoinv(", ", all) : g_strdup("none");
}

/* Leaves only those that @words name; false with *code after the user was told. */
static bool keep_named(struct context *ctx, json_t *status, char **words, int *code)
{
	const json_t *guests = json_object_get(status, "guests");
	json_t *chosen;

	if (!*words)
		return true;
	chosen = json_array();
	for (; *words; words++) {
		g_autofree char *names = NULL;

		if (choose(guests, *words, chosen))
			continue;
		names = names_of(guests);
		*code = cli_fail_with(ctx, EXIT_NO_GUEST,
				      "aerostatd manages no guest '%s'; there are: %s", *words,
				      names);
		json_decref(chosen);
		return false;
	}
	json_object_set_new(status, "guests", chosen);
	return true;
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL;
	const GOptionEntry entries[] = { SOCKET_ENTRY(socket), { NULL } };
	g_autoptr(daemon_link) daemon = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) words = NULL;
	bool paint = paint_wanted();
	json_t *status;
	int code = EXIT_DONE;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, -1, &words, &code))
		return code;
	daemon = daemon_new(socket);
	status = daemon_call(daemon, "GET", "/v1/status", NULL, DAEMON_MS, &error);
	if (!status)
		return cli_fail(ctx, error);
	if (!keep_named(ctx, status, words, &code)) {
		json_decref(status);
		return code;
	}
	if (ctx->json) {
		cli_print_json(status);
		return EXIT_DONE;
	}
	print_host(status, paint);
	putchar('\n');
	print_guests(json_object_get(status, "guests"), paint);
	print_problems(status, paint);
	print_reservations(json_object_get(status, "reservations"), paint);
	json_decref(status);
	return EXIT_DONE;
}

const struct verb verb_status = {
	.name = "status",
	.args = "[GUEST...]",
	.summary = "show what aerostatd sees and does",
	.details =
		"Shows the host's memory, and of each guest that aerostatd manages what it has "
		"(Actual), was told\n"
		"to have (Target), should have (Want), has at most (Max) and uses and cannot drop "
		"(Need); how old its\n"
		"statistics are; and in a word why it has this size. Below are problems and "
		"reservations.",
	.examples = "  aerostat status\n"
		    "  aerostat status alpha beta\n"
		    "  aerostat status --json | jq '.guests[] | {name, want_bytes}'\n"
		    "  aerostat explain alpha                  # the same of one guest, in full\n",
	.run = run,
};
