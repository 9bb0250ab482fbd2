/* SPDX-License-Identifier: BSD-3-Clause */
/* The selected guest: its figures, the reason in full, and its last changes. */
#include <stdio.h>
#include <string.h>

#include "aerostat/top/top_parts.h"
#include "policy/policy.h"

#define FIGURES_FROM 8 /* rows from which on there is a line of figures */
#define TEXT_ROOM 2    /* columns left free at the sides of the text */
#define WORD_PART 11   /* columns lost at the end of each line of text, at most */
#define CHANGE_FIELD_WIDTH 9
#define REASON_WIDTH 10
#define OF_SOME_GUESTS 7 /* the first of the figures that only some guests have */

char *top_format_time(int64_t time_us, int64_t now_us)
{
	bool recent = time_us > now_us - G_TIME_SPAN_DAY && time_us < now_us + G_TIME_SPAN_DAY;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(time_us / G_USEC_PER_SEC);

	return time ? g_date_time_format(time, recent ? "%H:%M:%S" : "%e %b  ") : g_strdup("?");
}

/* "held at 512 MiB by a user" */
static char *format_mode(const struct daemon_guest *guest)
{
	const char *mode = daemon_mode_name(guest->mode);
	const char *by = guest->mode_by_person ? "a user" : "the configuration";
	char size[SIZE_TEXT_MAX];

	if (guest->mode == DAEMON_MODE_AUTO)
		return g_strdup(mode);
	top_write_size(guest->held_bytes, size);
	return guest->mode != DAEMON_MODE_HELD || guest->held_bytes == HV_UNSET
		       ? g_strdup_printf("%s by %s", mode, by)
		       : g_strdup_printf("held at %s by %s", size, by);
}

static char *format_stats_age(const struct daemon_guest *guest)
{
	char text[SIZE_TEXT_MAX];

	if (guest->stats.age_us == HV_UNSET)
		return g_strdup("no statistics");
	top_write_age(guest->stats.age_us, text);
	return g_strdup_printf("statistics %s old%s", text, top_is_stale(guest) ? ", stale" : "");
}

/* A rule with the guest's name and how it is managed. */
static void draw_rule(struct top_cells *cells, const struct daemon_guest *guest, int y)
{
	gunichar dash = cells->utf8 ? 0x2500 : '-';
	g_autofree char *mode = format_mode(guest);
	g_autofree char *stats = format_stats_age(guest);
	const char *facts[] = { mode, guest->state, stats };
	int x = 4;

	for (int i = 0; i < cells->width; i++)
		top_put_char(cells, i, y, TOP_DIM, dash);
	top_put(cells, x - 1, y, 1, TOP_NORMAL, " ");
	x += top_put(cells, x, y, cells->width / 3, TOP_BOLD, guest->label);
	for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
		if (!*facts[i] || x + 4 + top_columns(cells, facts[i]) > cells->width - 2)
			continue;
		top_put(cells, x, y, 1, TOP_NORMAL, " ");
		top_put(cells, x + 2, y, 1, TOP_NORMAL, " ");
		x += 3 + top_put(cells, x + 3, y, cells->width, TOP_NORMAL, facts[i]);
	}
	top_put(cells, x, y, 1, TOP_NORMAL, " ");
}

static void draw_figures(struct top_cells *cells, const struct daemon_guest *guest, int y)
{
	static const struct {
		const char *name;
		size_t offset; /* of a uint64_t */
	} figures[] = {
		{ "N need", offsetof(struct daemon_guest, decision.need_bytes) },
		{ "W want", offsetof(struct daemon_guest, decision.want_bytes) },
		{ "T target", offsetof(struct daemon_guest, target_bytes) },
		{ "floor", offsetof(struct daemon_guest, decision.floor_bytes) },
		{ "reserve", offsetof(struct daemon_guest, decision.reserve_bytes) },
		{ "resident", offsetof(struct daemon_guest, resident_bytes) },
		{ "before", offsetof(struct daemon_guest, before_bytes) },
		{ "credit", offsetof(struct daemon_guest, credit_bytes) },
		{ "pulled", offsetof(struct daemon_guest, pulled_bytes) },
		{ "trimmed", offsetof(struct daemon_guest, trimmed_bytes) },
	};
	int x = 1;

	for (size_t i = 0; i < G_N_ELEMENTS(figures); i++) {
		int width = (int)strlen(figures[i].name) + 1 + CHANGE_FIELD_WIDTH;
		const void *bytes = (const char *)guest + figures[i].offset;
		char size[SIZE_TEXT_MAX];
		g_autofree char *text = NULL;

		if (i >= OF_SOME_GUESTS && *(const uint64_t *)bytes == HV_UNSET)
			continue;
		if (x + width > cells->width)
			break;
		top_write_size(*(const uint64_t *)bytes, size);
		text = g_strdup_printf("%s %s", figures[i].name, size);
		top_put(cells, x, y, width, TOP_NORMAL, text);
		x += width + 1;
	}
}

static char *format_reason(const struct daemon_guest *guest)
{
	const char *text = guest->decision.text;

	if (*guest->problem)
		return g_strdup_printf("does not answer: %s", guest->problem);
	if (*guest->obstacle)
		return g_strdup_printf("%s; %s", guest->obstacle, text);
	return g_strdup(*text ? text : "nothing has been decided yet");
}

static void draw_reason(struct top_cells *cells, const struct daemon_guest *guest,
			struct top_area area)
{
	g_autofree char *reason = format_reason(guest);
	const char *rest = reason;
	uint8_t colour = top_guest_colour(guest);
	uint8_t style = *guest->problem ? TOP_YELLOW : colour == TOP_GREEN ? TOP_NORMAL : colour;

	for (int row = 0; row < area.rows; row++) {
		const char *here = rest;
		g_autofree char *line = top_next_line(cells, &rest, cells->width - TEXT_ROOM);

		if (!line)
			return;
		/* The last line gets all that is left, so that top_put() marks the cut. */
		top_put(cells, 1, area.y + row, cells->width - TEXT_ROOM, style,
			row + 1 < area.rows ? line : here + strspn(here, " "));
	}
}

static void draw_change(struct top_cells *cells, const struct top_view *view,
			const struct daemon_change *change, int y)
{
	g_autofree char *time = top_format_time(change->time_us, view->now_us);
	char before[SIZE_TEXT_MAX], after[SIZE_TEXT_MAX];
	int x = 1;

	top_write_size(change->target_before_bytes, before);
	top_write_size(change->target_bytes, after);
	top_put(cells, x, y, CHANGE_FIELD_WIDTH, TOP_DIM, time);
	x += CHANGE_FIELD_WIDTH;
	top_put_right(cells, x, y, CHANGE_FIELD_WIDTH, TOP_NORMAL, before);
	x += CHANGE_FIELD_WIDTH + 1;
	x += top_put(cells, x, y, 3, TOP_DIM, cells->utf8 ? "→" : "->") + 1;
	top_put_right(cells, x, y, CHANGE_FIELD_WIDTH, TOP_NORMAL, after);
	x += CHANGE_FIELD_WIDTH + 2;
	top_put(cells, x, y, REASON_WIDTH - 1, TOP_NORMAL, change->decision.reason);
	x += REASON_WIDTH;
	top_put(cells, x, y, cells->width - x - 1, TOP_DIM, change->decision.text);
}

static void draw_changes(struct top_cells *cells, const struct top_view *view,
			 const struct daemon_guest *guest, struct top_area area)
{
	const struct daemon_guest *detail = view->detail;

	if (!detail || detail->id != guest->id)
		return;
	if (area.rows > 0 && !detail->history_count)
		top_put(cells, 1, area.y, cells->width - 2, TOP_DIM, "no changes so far");
	for (int row = 0; row < area.rows && (size_t)row < detail->history_count; row++)
		draw_change(cells, view, &detail->history[row], area.y + row);
}

/* How many lines the longest reason takes, so that what is below it does not move. */
static int count_reason_rows(int width, int rows)
{
	int columns = width - TEXT_ROOM - WORD_PART;

	return CLAMP((POLICY_TEXT_MAX + columns - 1) / columns, 1, MAX(rows, 1));
}

void top_draw_detail(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	const struct daemon_guest *guest = top_selected_guest(view->choice, view->order);
	struct top_area text = area;

	if (!guest)
		return;
	if (area.rows > 1)
		draw_rule(cells, guest, text.y++);
	if (area.rows >= FIGURES_FROM)
		draw_figures(cells, guest, text.y++);
	text.rows = count_reason_rows(cells->width, area.y + area.rows - text.y);
	draw_reason(cells, guest, text);
	draw_changes(
		cells, view, guest,
		(struct top_area){ text.y + text.rows, area.y + area.rows - text.y - text.rows });
}
