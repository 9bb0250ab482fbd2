/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest selected: its figures, the reason in full, and what was changed last. */
#include <stdio.h>
#include <string.h>

#include "aerostat/top/top_parts.h"
#include "policy/policy.h"

#define FIGURES_FROM 8 /* rows: from here on there is a line of figures */
#define TEXT_ROOM 2    /* columns left free at the sides of the text */
#define WORD_PART 11
#define CHANGE_FIELD_WIDTH 9
#define REASON_WIDTH 10

char *top_time_text(int64_t time_us, int64_t now_us)
{
	bool recent = time_us > now_us - G_TIME_SPAN_DAY && time_us < now_us + G_TIME_SPAN_DAY;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(time_us / G_USEC_PER_SEC);

	return time ? g_date_time_format(time, recent ? "%H:%M:%S" : "%e %b  ") : g_strdup("?");
}

/* "held at 512 MiB by a person" */
static char *mode_words(const json_t *guest)
{
	const char *mode = top_text(guest, "mode");
	const char *by = strcmp(top_text(guest, "mode_by"), "person") ? "the file" : "a person";
	uint64_t held = top_bytes(guest, "held_bytes");
	char size[SIZE_TEXT_MAX];

	if (!strcmp(mode, "auto"))
		return g_strdup(mode);
	top_size_text(held, size);
	return strcmp(mode, "held") || held == HV_UNSET
		       ? g_strdup_printf("%s by %s", mode, by)
		       : g_strdup_printf("held at %s by %s", size, by);
}

static char *stats_words(const json_t *guest)
{
	uint64_t age = top_bytes(json_object_get(guest, "stats"), "age_us");
	char text[SIZE_TEXT_MAX];

	if (age == HV_UNSET)
		return g_strdup("no statistics");
	top_age_text(age, text);
	return g_strdup_printf("statistics %s old%s", text, top_is_stale(guest) ? ", stale" : "");
}

/* A rule with the guest's name and how it is managed. */
static void draw_rule(struct top_cells *cells, const json_t *guest, int y)
{
	gunichar dash = cells->utf8 ? 0x2500 : '-';
	g_autofree char *mode = mode_words(guest);
	g_autofree char *stats = stats_words(guest);
	const char *facts[] = { mode, top_text(guest, "state"), stats };
	int x = 4;

	for (int i = 0; i < cells->width; i++)
		top_put_char(cells, i, y, TOP_DIM, dash);
	top_put(cells, x - 1, y, 1, TOP_NORMAL, " ");
	x += top_put(cells, x, y, cells->width / 3, TOP_BOLD, top_text(guest, "name"));
	for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
		if (!*facts[i] || x + 4 + top_columns(cells, facts[i]) > cells->width - 2)
			continue;
		top_put(cells, x, y, 1, TOP_NORMAL, " ");
		top_put(cells, x + 2, y, 1, TOP_NORMAL, " ");
		x += 3 + top_put(cells, x + 3, y, cells->width, TOP_NORMAL, facts[i]);
	}
	top_put(cells, x, y, 1, TOP_NORMAL, " ");
}

static void draw_figures(struct top_cells *cells, const json_t *guest, int y)
{
	static const struct {
		const char *name, *key;
	} figures[] = {
		{ "N need", "need_bytes" },	{ "W want", "want_bytes" },
		{ "T target", "target_bytes" }, { "floor", "floor_bytes" },
		{ "reserve", "reserve_bytes" }, { "on the host", "resident_bytes" },
		{ "before", "before_bytes" },
	};
	int x = 1;

	for (size_t i = 0; i < G_N_ELEMENTS(figures); i++) {
		int width = (int)strlen(figures[i].name) + 1 + CHANGE_FIELD_WIDTH;
		char size[SIZE_TEXT_MAX];
		g_autofree char *text = NULL;

		if (x + width > cells->width)
			break;
		top_size_text(top_bytes(guest, figures[i].key), size);
		text = g_strdup_printf("%s %s", figures[i].name, size);
		top_put(cells, x, y, width, TOP_NORMAL, text);
		x += width + 1;
	}
}

static char *reason_words(const json_t *guest)
{
	const char *text = top_text(guest, "text");

	if (*top_text(guest, "problem"))
		return g_strdup_printf("does not answer: %s", top_text(guest, "problem"));
	if (*top_text(guest, "obstacle"))
		return g_strdup_printf("%s; %s", top_text(guest, "obstacle"), text);
	return g_strdup(*text ? text : "nothing was decided yet");
}

static void draw_text(struct top_cells *cells, const json_t *guest, struct top_area area)
{
	g_autofree char *words = reason_words(guest);
	const char *rest = words;
	uint8_t colour = top_guest_colour(guest);
	uint8_t style = *top_text(guest, "problem") ? TOP_YELLOW
			: colour == TOP_GREEN	    ? TOP_NORMAL
						    : colour;

	for (int row = 0; row < area.rows; row++) {
		const char *here = rest;
		g_autofree char *line = top_next_line(cells, &rest, cells->width - TEXT_ROOM);

		if (!line)
			return;
		/* The last line there is room for takes all that is left, and shows the cut. */
		top_put(cells, 1, area.y + row, cells->width - TEXT_ROOM, style,
			row + 1 < area.rows ? line : here + strspn(here, " "));
	}
}

static void draw_change(struct top_cells *cells, const struct top_view *view, const json_t *past,
			int y)
{
	g_autofree char *time =
		top_time_text(json_integer_value(json_object_get(past, "time_us")), view->now_us);
	char before[SIZE_TEXT_MAX], after[SIZE_TEXT_MAX];
	int x = 1;

	top_size_text(top_bytes(past, "target_before_bytes"), before);
	top_size_text(top_bytes(past, "target_bytes"), after);
	top_put(cells, x, y, CHANGE_FIELD_WIDTH, TOP_DIM, time);
	x += CHANGE_FIELD_WIDTH;
	top_put_right(cells, x, y, CHANGE_FIELD_WIDTH, TOP_NORMAL, before);
	x += CHANGE_FIELD_WIDTH + 1;
	x += top_put(cells, x, y, 3, TOP_DIM, cells->utf8 ? "→" : "->") + 1;
	top_put_right(cells, x, y, CHANGE_FIELD_WIDTH, TOP_NORMAL, after);
	x += CHANGE_FIELD_WIDTH + 2;
	top_put(cells, x, y, REASON_WIDTH - 1, TOP_NORMAL, top_text(past, "reason"));
	x += REASON_WIDTH;
	top_put(cells, x, y, cells->width - x - 1, TOP_DIM, top_text(past, "text"));
}

static void draw_changes(struct top_cells *cells, const struct top_view *view, const json_t *guest,
			 struct top_area area)
{
	const json_t *history = json_object_get(view->detail, "history");

	if (!view->detail || top_id(view->detail) != top_id(guest))
		return;
	if (area.rows > 0 && !json_array_size(history))
		top_put(cells, 1, area.y, cells->width - 2, TOP_DIM, "no changes so far");
	for (int row = 0; row < area.rows && (size_t)row < json_array_size(history); row++)
		draw_change(cells, view, json_array_get(history, (size_t)row), area.y + row);
}

/*
 * How many lines the longest reason takes, with a word's part lost at each line's end, so that
 * what is below it stays in its place.
 */
static int text_rows(int width, int rows)
{
	int columns = width - TEXT_ROOM - WORD_PART;

	return CLAMP((POLICY_TEXT_MAX + columns - 1) / columns, 1, MAX(rows, 1));
}

void top_draw_detail(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	const json_t *guest = top_selected(view->choice, view->order);
	struct top_area text = area;

	if (!guest)
		return;
	if (area.rows > 1)
		draw_rule(cells, guest, text.y++);
	if (area.rows >= FIGURES_FROM)
		draw_figures(cells, guest, text.y++);
	text.rows = text_rows(cells->width, area.y + area.rows - text.y);
	draw_text(cells, guest, text);
	draw_changes(
		cells, view, guest,
		(struct top_area){ text.y + text.rows, area.y + area.rows - text.y - text.rows });
}
