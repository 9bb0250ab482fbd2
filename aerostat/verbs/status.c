/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat status: host, guests, problems and reservations, as aerostatd sees them. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"
#include "common/plain_text.h"
#include "hypervisor/guest_word.h"

static char *format_mode_cell(const struct daemon_guest *guest)
{
	return g_strconcat(daemon_mode_name(guest->mode), guest->mode_by_person ? "*" : "", NULL);
}

static char *format_stats_cell(const struct daemon_guest *guest)
{
	g_autofree char *age = NULL;

	if (guest->stats.age_us == HV_UNSET)
		return g_strdup("none");
	age = format_duration(guest->stats.age_us);
	return g_strconcat(age, are_stats_stale(guest) ? " stale" : "", NULL);
}

static char *format_reason_cell(const struct daemon_guest *guest)
{
	if (*guest->problem)
		return g_strdup("no answer");
	if (*guest->state && !g_str_equal(guest->state, "running"))
		return plain_text(guest->state);
	if (guest->driver == HV_DRIVER_ABSENT)
		return g_strdup("no driver");
	return plain_text(guest->decision.reason);
}

static enum shade shade_stats(const struct daemon_guest *guest)
{
	return are_stats_stale(guest) ? SHADE_WARN : SHADE_NONE;
}

static enum shade shade_reason(const struct daemon_guest *guest)
{
	if (*guest->problem || guest->critical)
		return SHADE_BAD;
	return guest->pressured ? SHADE_WARN : SHADE_NONE;
}

/* One column of the table. */
static const struct column {
	const char *title;
	size_t size_offset; /* of what it shows in struct daemon_guest, without @format */
	char *(*format)(const struct daemon_guest *guest); /* its text is freed */
	enum shade (*shade)(const struct daemon_guest *guest);
} columns[] = {
	{ "Guest", .format = format_guest_name },
	{ "Mode", .format = format_mode_cell },
	{ "Actual", offsetof(struct daemon_guest, actual_bytes) },
	{ "Resident", offsetof(struct daemon_guest, resident_bytes) },
	{ "Target", offsetof(struct daemon_guest, target_bytes) },
	{ "Want", offsetof(struct daemon_guest, decision.want_bytes) },
	{ "Max", offsetof(struct daemon_guest, max_bytes) },
	{ "Need", offsetof(struct daemon_guest, decision.need_bytes) },
	{ "Statistics", .format = format_stats_cell, .shade = shade_stats },
	{ "Reason", .format = format_reason_cell, .shade = shade_reason },
};
#define COLUMNS G_N_ELEMENTS(columns)

static char *format_cell(const struct daemon_guest *guest, const struct column *column)
{
	const void *size = (const char *)guest + column->size_offset;

	return column->format ? column->format(guest) : format_size_cell(*(const uint64_t *)size);
}

static void measure_columns(const GPtrArray *guests, int widths[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++) {
		widths[i] = (int)g_utf8_strlen(columns[i].title, -1);
		for (guint row = 0; row < guests->len; row++) {
			g_autofree char *text = format_cell(guests->pdata[row], &columns[i]);

			widths[i] = MAX(widths[i], (int)g_utf8_strlen(text, -1));
		}
	}
}

/* Sizes are aligned to the right, all else to the left; the last column is not padded. */
static void print_cell(bool colour, enum shade shade, size_t column, int width, const char *text)
{
	bool last = column == COLUMNS - 1;
	bool left = columns[column].format && columns[column].format != format_stats_cell;

	fputs(column ? "  " : " ", stdout);
	print_shaded(colour, shade, last ? 0 : left ? -width : width, text);
	if (last)
		putchar('\n');
}

static void print_guest_table(const GPtrArray *guests, bool colour)
{
	bool by_person = false;
	int widths[COLUMNS];

	if (!guests->len) {
		puts("no guests");
		return;
	}
	measure_columns(guests, widths);
	for (size_t i = 0; i < COLUMNS; i++)
		print_cell(colour, SHADE_TITLE, i, widths[i], columns[i].title);
	for (guint row = 0; row < guests->len; row++) {
		const struct daemon_guest *guest = guests->pdata[row];

		for (size_t i = 0; i < COLUMNS; i++) {
			g_autofree char *text = format_cell(guest, &columns[i]);

			print_cell(colour, columns[i].shade ? columns[i].shade(guest) : SHADE_NONE,
				   i, widths[i], text);
		}
		by_person = by_person || guest->mode_by_person;
	}
	if (by_person)
		puts(" * set by a user; to undo: aerostat auto GUEST");
}

static void print_limits(const struct daemon_status *status)
{
	for (size_t i = 0; i < status->limit_count; i++) {
		const struct daemon_limit *limit = &status->limits[i];
		g_autofree char *path = plain_text(limit->path);
		g_autofree char *bytes = format_size_cell(limit->limit_bytes);
		g_autofree char *budget = format_size_cell(limit->budget_bytes);

		printf("limit: %s of the cgroup %s leaves %s to its %" G_GUINT64_FORMAT
		       " guest%s%s\n",
		       bytes, path, budget, limit->guests, limit->guests == 1 ? "" : "s",
		       limit->overcommitted ? ", which need more" : "");
	}
}

static void print_host(const struct daemon_status *status, bool colour)
{
	const struct daemon_host *host = &status->host;
	g_autofree char *total = format_size_cell(host->total_bytes);
	g_autofree char *available = format_size_cell(host->available_bytes);
	g_autofree char *usable = format_size_cell(
		status->usable_bytes == HV_UNSET ? status->budget_bytes : status->usable_bytes);
	g_autofree char *want = format_size_cell(status->want_bytes);
	g_autofree char *reserved = format_size_cell(host->reserved_bytes);
	g_autofree char *in_reserve = format_size_cell(status->in_reserve_bytes);

	if (!status->rounds) {
		puts("aerostatd has just started and has not sampled the host yet");
		return;
	}
	printf("host: %s RAM, %s available, memory pressure %.1f %%, %s reserved\n", total,
	       available, 100 * host->pressure, reserved);
	printf("guests: want %s of the %s that they may use together\n", want, usable);
	if (status->in_reserve_bytes != HV_UNSET)
		printf("in reserve for all: %s\n", in_reserve);
	print_limits(status);
	if (status->overcommitted)
		print_shaded(colour, SHADE_BAD, 0,
			     "overcommitted: the guests need more than there is, and will swap\n");
	if (host->critical)
		print_shaded(colour, SHADE_BAD, 0,
			     "the host is short of memory: it stalls, and takes memory from "
			     "guests\n");
	if (status->to_restore)
		printf("%" G_GUINT64_FORMAT
		       " %s no longer listed and still to be restored; see the log "
		       "of aerostatd\n",
		       status->to_restore, status->to_restore == 1 ? "guest is" : "guests are");
	if (status->recording)
		puts("a recording is in progress");
}

static void print_problem(const char *source, const char *kind, const char *text)
{
	g_autofree char *plain_source = plain_text(source);
	g_autofree char *plain = plain_text(text);

	printf("  %s: %s%s\n", plain_source, kind, plain);
}

static void print_problems(const struct daemon_status *status, const GPtrArray *guests, bool colour)
{
	bool any = status->problem_count > 0;

	for (guint i = 0; i < guests->len; i++) {
		const struct daemon_guest *guest = guests->pdata[i];

		any = any || *guest->problem || *guest->obstacle;
	}
	if (!any)
		return;
	print_shaded(colour, SHADE_TITLE, 0, "\nProblems:\n");
	for (size_t i = 0; i < status->problem_count; i++)
		print_problem(status->problems[i].source, "", status->problems[i].text);
	for (guint i = 0; i < guests->len; i++) {
		const struct daemon_guest *guest = guests->pdata[i];
		g_autofree char *name = format_guest_name(guest);

		if (*guest->problem)
			print_problem(name, "", guest->problem);
		if (*guest->obstacle)
			print_problem(name, "cannot be shrunk: ", guest->obstacle);
	}
}

/* What guests could do for the host and for themselves, and do not; by ability. */
static const struct gain {
	const char *before, *after; /* around what it is worth to a guest; NULL: not known */
	const char *text;
} gains[HV_ABILITIES] = {
	{ "", " now",
	  "freePageReporting='on' (QEMU: free-page-reporting=on) would return what it "
	  "frees to the host at once" },
	{ "up to ", "",
	  "autodeflate='on' (QEMU: deflate-on-oom=on) would have it take memory "
	  "back instead of killing processes" },
	{ NULL, NULL,
	  "aerostat's driver, with autodeflate='on', would have it take memory back before "
	  "it swaps or kills" },
	{ NULL, NULL, NULL },
	{ NULL, NULL,
	  "aerostat's device (aerostat adopt) would bound what it takes back, so that the "
	  "host can lend more" },
};

/* The name of @guest, and what the ability at @bit would be worth to it. */
static void append_gain(GString *names, const struct daemon_guest *guest, unsigned int bit)
{
	g_autofree char *name = format_guest_name(guest);
	uint64_t bytes = guest->gain_bytes[bit];
	g_autofree char *size = format_size_cell(bytes);

	g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
	if (gains[bit].before && bytes != HV_UNSET && bytes >> 20)
		g_string_append_printf(names, " (%s%s%s)", gains[bit].before, size,
				       gains[bit].after);
}

/* One line per gain, with the guests that would have it. */
static void print_gains(const GPtrArray *guests, bool colour)
{
	bool any = false;

	for (unsigned int bit = 0; bit < HV_ABILITIES; bit++) {
		g_autoptr(GString) names = g_string_new(NULL);

		for (guint row = 0; row < guests->len; row++) {
			const struct daemon_guest *guest = guests->pdata[row];

			if (guest->gains & 1U << bit)
				append_gain(names, guest, bit);
		}
		if (!names->len || !gains[bit].text)
			continue;
		if (!any)
			print_shaded(colour, SHADE_TITLE, 0, "\nNot in use:\n");
		any = true;
		printf("  %s: %s\n", names->str, gains[bit].text);
	}
}

static void print_reservations(const struct daemon_status *status, bool colour)
{
	if (!status->reservation_count)
		return;
	print_shaded(colour, SHADE_TITLE, 0, "\nReservations:\n");
	for (size_t i = 0; i < status->reservation_count; i++) {
		const struct daemon_reservation *one = &status->reservations[i];
		g_autofree char *bytes = format_size_cell(one->bytes);
		g_autofree char *free_text = format_size_cell(one->free_bytes);
		g_autofree char *note = plain_text(one->note);

		printf("  %" G_GUINT64_FORMAT ": %s, %s of it free now, ends in %" G_GUINT64_FORMAT
		       " s%s%s\n",
		       one->id, bytes, free_text, one->seconds_left, *note ? "; " : "", note);
	}
}

static bool is_guest_called(const struct daemon_guest *guest, const char *word)
{
	const struct guest_names names = { guest->source, guest->address, guest->name, guest->uuid,
					   -1 };

	return guest_word_fits(word, &names);
}

static char *list_guest_names(const struct daemon_status *status)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; i < status->guest_count; i++) {
		g_autofree char *name = format_guest_name(&status->guests[i]);

		g_string_append_printf(names, "%s%s", i ? ", " : "", name);
	}
	return g_strdup(names->len ? names->str : "none");
}

/* The guests of @status that @names name, all without names; NULL with *code after an error. */
static GPtrArray *select_guests(struct context *ctx, const struct daemon_status *status,
				char **names, int *code)
{
	g_autoptr(GPtrArray) guests = g_ptr_array_new();

	for (size_t i = 0; !*names && i < status->guest_count; i++)
		g_ptr_array_add(guests, &status->guests[i]);
	for (; *names; names++) {
		guint before = guests->len;
		g_autofree char *known = NULL;

		for (size_t i = 0; i < status->guest_count; i++)
			if (is_guest_called(&status->guests[i], *names))
				g_ptr_array_add(guests, &status->guests[i]);
		if (guests->len > before)
			continue;
		known = list_guest_names(status);
		*code = cli_fail_with(ctx, EXIT_NO_GUEST,
				      "aerostatd manages no guest '%s'; it manages: %s", *names,
				      known);
		return NULL;
	}
	return g_steal_pointer(&guests);
}

static void print_status_json(const struct daemon_status *status, const GPtrArray *guests)
{
	json_t *answer = json_copy(status->json);
	json_t *selected = json_array();

	for (guint i = 0; i < guests->len; i++)
		json_array_append(selected, ((const struct daemon_guest *)guests->pdata[i])->json);
	json_object_set_new(answer, "guests", selected);
	cli_print_json(answer);
}

static int run_status(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL;
	GOptionContext *options = verb_options_new(verb, NULL);
	g_autoptr(daemon_client) daemon = NULL;
	g_autoptr(daemon_status) status = NULL;
	g_autoptr(GPtrArray) guests = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) names = NULL;
	bool colour = wants_colour();
	int code = EXIT_DONE;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 0, -1, &names, &code))
		return code;
	daemon = daemon_client_new(socket, DAEMON_TIMEOUT_MS);
	status = daemon_get_status(daemon, &error);
	if (!status)
		return cli_fail(ctx, error);
	guests = select_guests(ctx, status, names, &code);
	if (!guests)
		return code;
	if (ctx->json) {
		print_status_json(status, guests);
		return EXIT_DONE;
	}
	print_host(status, colour);
	putchar('\n');
	print_guest_table(guests, colour);
	print_problems(status, guests, colour);
	print_gains(guests, colour);
	print_reservations(status, colour);
	return EXIT_DONE;
}

const struct verb verb_status = {
	.name = "status",
	.args = "[GUEST...]",
	.summary = "show what aerostatd sees and does",
	.details =
		"Shows the host's memory and, for each guest that aerostatd manages: what it has "
		"and may use\n"
		"(Actual), what of that it costs the host (Resident), what it was last told to "
		"have "
		"(Target), what\n"
		"it should have (Want), the most it can have (Max), what it uses and cannot drop "
		"(Need), how old\n"
		"its statistics are, and a word for why it has this size. Problems, what guests "
		"could do by\n"
		"themselves and do not, and reservations follow, if there are any.",
	.examples = "  aerostat status\n"
		    "  aerostat status alpha beta\n"
		    "  aerostat status --json | jq '.guests[] | {name, want_bytes}'\n"
		    "  aerostat explain alpha                  # one guest, in full\n",
	.run = run_status,
};
