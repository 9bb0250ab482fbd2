/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of guests, one line each: name, a mark for pressure, a bar over its maximum, figures.
 *
 * One table holds the columns right of the bar; a narrow terminal shows fewer of them, and the bar
 * takes what is left.
 */
#include <stdio.h>
#include <string.h>

#include "aerostat/daemon_text.h"
#include "aerostat/top/top_parts.h"

#define FLAG_WIDTH 2
#define MODE_FROM 100 /* narrower: mode and reason share a column */

uint8_t top_guest_colour(const struct daemon_guest *guest)
{
	return guest->critical ? TOP_RED : guest->pressured ? TOP_YELLOW : TOP_GREEN;
}

bool top_is_stale(const struct daemon_guest *guest)
{
	return are_stats_stale(guest) || !strcmp(guest->decision.reason, "stale");
}

void top_write_age(uint64_t age_us, char text[SIZE_TEXT_MAX])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 1, "s" }, { 60, "min" }, { 3600, "h" }, { 86400, "d" } };
	uint64_t seconds = age_us / G_USEC_PER_SEC;
	size_t i = 0;

	if (age_us == HV_UNSET) {
		g_strlcpy(text, "none", SIZE_TEXT_MAX);
		return;
	}
	while (i + 1 < G_N_ELEMENTS(units) && seconds / units[i].seconds >= 100)
		i++;
	snprintf(text, SIZE_TEXT_MAX, "%" G_GUINT64_FORMAT " %s", seconds / units[i].seconds,
		 units[i].name);
}

void top_write_size(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	if (bytes == HV_UNSET)
		g_strlcpy(text, "?", SIZE_TEXT_MAX);
	else
		size_write(bytes, text);
}

static void write_actual_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	top_write_size(guest->actual_bytes, text);
}

static void write_max_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	top_write_size(guest->max_bytes, text);
}

static void write_want_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	top_write_size(guest->decision.want_bytes, text);
}

static void write_age_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	top_write_age(guest->stats.age_us, text);
}

static void write_mode_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	const char *by = guest->mode != DAEMON_MODE_HELD ? ""
			 : guest->mode_by_person	 ? "/user"
							 : "/file";

	snprintf(text, SIZE_TEXT_MAX, "%s%s", daemon_mode_name(guest->mode), by);
}

/* What keeps the guest from being managed takes precedence over what was decided. */
static void write_reason_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	const char *state = guest->state;
	const char *word = guest->decision.reason;

	if (*guest->problem)
		word = "no answer";
	else if (*state && strcmp(state, "running") && strcmp(state, "unknown"))
		word = state;
	else if (guest->driver == HV_DRIVER_ABSENT)
		word = "no driver";
	else if (guest->actual_bytes == HV_UNSET)
		word = "no balloon";
	g_strlcpy(text, word, SIZE_TEXT_MAX);
}

static bool is_unmanageable(const struct daemon_guest *guest)
{
	char text[SIZE_TEXT_MAX];

	write_reason_cell(guest, text);
	return strcmp(text, guest->decision.reason) != 0;
}

static void write_mode_or_reason_cell(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX])
{
	if (guest->mode != DAEMON_MODE_AUTO && !is_unmanageable(guest))
		write_mode_cell(guest, text);
	else
		write_reason_cell(guest, text);
}

static uint8_t style_plain(const struct daemon_guest *guest)
{
	(void)guest;
	return TOP_NORMAL;
}

static uint8_t style_age(const struct daemon_guest *guest)
{
	return top_is_stale(guest) ? TOP_YELLOW | TOP_BOLD : TOP_DIM;
}

static uint8_t style_mode(const struct daemon_guest *guest)
{
	return guest->mode == DAEMON_MODE_HELD	 ? TOP_CYAN | TOP_BOLD
	       : guest->mode == DAEMON_MODE_AUTO ? TOP_NORMAL
						 : TOP_CYAN;
}

static uint8_t style_reason(const struct daemon_guest *guest)
{
	uint8_t colour = top_guest_colour(guest);

	if (is_unmanageable(guest))
		return TOP_YELLOW | TOP_BOLD;
	return colour == TOP_GREEN ? TOP_NORMAL : colour | TOP_BOLD;
}

static uint8_t style_mode_or_reason(const struct daemon_guest *guest)
{
	if (guest->mode != DAEMON_MODE_AUTO && !is_unmanageable(guest))
		return style_mode(guest);
	return style_reason(guest);
}

/* The columns right of the bar, each on terminals of @from to @to columns. */
static const struct column {
	const char *title;
	int width;
	bool right;
	int from, to;
	enum top_sort sort; /* the order that its title marks; TOP_SORTS: none */
	void (*write)(const struct daemon_guest *guest, char text[SIZE_TEXT_MAX]);
	uint8_t (*style)(const struct daemon_guest *guest);
} columns[] = {
	{ "has", 9, true, 0, G_MAXINT, TOP_SORT_ACTUAL, write_actual_cell, style_plain },
	{ "max", 9, true, 72, G_MAXINT, TOP_SORTS, write_max_cell, style_plain },
	{ "want", 9, true, 116, G_MAXINT, TOP_SORT_WANT, write_want_cell, style_plain },
	{ "stats", 6, true, 64, G_MAXINT, TOP_SORTS, write_age_cell, style_age },
	{ "mode", 11, false, MODE_FROM, G_MAXINT, TOP_SORTS, write_mode_cell, style_mode },
	{ "reason", 11, false, MODE_FROM, G_MAXINT, TOP_SORTS, write_reason_cell, style_reason },
	{ "reason", 11, false, 52, MODE_FROM - 1, TOP_SORTS, write_mode_or_reason_cell,
	  style_mode_or_reason },
};

static bool is_column_shown(const struct column *column, int width)
{
	return width >= column->from && width <= column->to;
}

static int name_columns(int width)
{
	return width >= 160 ? 32 : width >= 120 ? 20 : width >= 80 ? 14 : 9;
}

static int bar_start(int width)
{
	return 1 + name_columns(width) + 1 + FLAG_WIDTH + 1;
}

static int bar_columns(int width)
{
	int left = width - bar_start(width) - 1;

	for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
		if (is_column_shown(&columns[i], width))
			left -= columns[i].width + 1;
	return left;
}

void top_draw_heading(struct top_cells *cells, const struct top_view *view, int y)
{
	static const struct {
		const char *utf8, *ascii;
	} legends[] = {
		{ "█ has  ░ balloon  N need  W want  T target",
		  "# has  . balloon  N need  W want  T target" },
		{ "█ has  ░ balloon", "# has  . balloon" },
		{ "memory", "memory" },
	};
	enum top_sort sort = view->choice->sort;
	int width = cells->width, bar = bar_columns(width);
	int x = bar_start(width) + bar + 1;
	size_t i = 0;

	top_put(cells, 1, y, name_columns(width), sort == TOP_SORT_NAME ? TOP_BOLD : TOP_DIM,
		"guest");
	while (i + 1 < G_N_ELEMENTS(legends) && top_columns(cells, legends[i].ascii) > bar)
		i++;
	top_put(cells, bar_start(width), y, bar, TOP_DIM,
		cells->utf8 ? legends[i].utf8 : legends[i].ascii);
	for (i = 0; i < G_N_ELEMENTS(columns); i++) {
		const struct column *column = &columns[i];
		uint8_t style = column->sort == sort ? TOP_BOLD : TOP_DIM;

		if (!is_column_shown(column, width))
			continue;
		if (column->right)
			top_put_right(cells, x, y, column->width, style, column->title);
		else
			top_put(cells, x, y, column->width, style, column->title);
		x += column->width + 1;
	}
}

struct bar {
	int x, y, width;
	uint64_t max;
	double has; /* columns */
};

/* A mark covers an earlier one at the same column. */
static void draw_bar_mark(struct top_cells *cells, const struct bar *bar, uint64_t bytes,
			  gunichar ch)
{
	int column;

	if (bytes == HV_UNSET)
		return;
	column = (int)MIN((double)bytes / (double)bar->max * bar->width, bar->width - 1);
	if (column + 1 <= bar->has) {
		struct top_cell *cell = top_cell_at(cells, bar->x + column, bar->y);

		*cell = (struct top_cell){ ch, (cell->style & TOP_COLOUR_MASK) | TOP_REVERSE };
	} else {
		top_put_char(cells, bar->x + column, bar->y, TOP_BOLD, ch);
	}
}

/* What it has, in eighths of a column, then the balloon. */
static void draw_bar_fill(struct top_cells *cells, const struct bar *bar, uint8_t style)
{
	for (int i = 0; i < bar->width; i++) {
		int eighths = (int)(CLAMP(bar->has - i, 0, 1) * 8 + 0.5);

		/* U+2588 is the full block, U+258F its last eighth. */
		if (eighths && (cells->utf8 || eighths >= 4))
			top_put_char(cells, bar->x + i, bar->y, style,
				     cells->utf8 ? (gunichar)(0x2590 - eighths) : '#');
		else
			top_put_char(cells, bar->x + i, bar->y, TOP_BLUE,
				     cells->utf8 ? 0x2591 : '.');
	}
}

static void draw_guest_bar(struct top_cells *cells, const struct daemon_guest *guest, int y)
{
	uint64_t actual = guest->actual_bytes;
	struct bar bar = { .x = bar_start(cells->width),
			   .y = y,
			   .width = bar_columns(cells->width),
			   .max = guest->max_bytes };

	if (actual == HV_UNSET || bar.max == HV_UNSET || !bar.max) {
		top_put(cells, bar.x, y, bar.width, TOP_DIM, "size unknown");
		return;
	}
	bar.has = MIN((double)actual / (double)bar.max, 1) * bar.width;
	draw_bar_fill(cells, &bar, top_guest_colour(guest));
	draw_bar_mark(cells, &bar, guest->decision.need_bytes, 'N');
	draw_bar_mark(cells, &bar, guest->decision.want_bytes, 'W');
	draw_bar_mark(cells, &bar, guest->target_bytes, 'T');
}

static void draw_guest_line(struct top_cells *cells, const struct daemon_guest *guest, int y,
			    bool selected)
{
	int width = cells->width, names = name_columns(width);
	int x = bar_start(width) + bar_columns(width) + 1;
	uint8_t colour = top_guest_colour(guest);
	const char *flag = colour == TOP_RED	  ? "!!"
			   : colour == TOP_YELLOW ? "!"
			   : top_is_stale(guest)  ? "?"
						  : "";

	for (int i = 0; selected && i <= names; i++)
		top_put_char(cells, i, y, TOP_REVERSE, ' ');
	if (selected)
		top_put(cells, 0, y, 1, TOP_REVERSE, cells->utf8 ? "▸" : ">");
	top_put(cells, 1, y, names, selected ? TOP_REVERSE : TOP_BOLD, guest->label);
	top_put(cells, 2 + names, y, FLAG_WIDTH,
		(colour == TOP_GREEN ? TOP_YELLOW : colour) | TOP_BOLD, flag);
	draw_guest_bar(cells, guest, y);
	for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
		const struct column *column = &columns[i];
		char text[SIZE_TEXT_MAX];

		if (!is_column_shown(column, width))
			continue;
		column->write(guest, text);
		if (column->right)
			top_put_right(cells, x, y, column->width, column->style(guest), text);
		else
			top_put(cells, x, y, column->width, column->style(guest), text);
		x += column->width + 1;
	}
}

void top_draw_list(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	if (!view->order->len)
		top_put(cells, 1, area.y, cells->width - 1, TOP_DIM,
			"no guests found yet; see [discover] in aerostat.conf(5)");
	for (int row = 0; row < area.rows; row++) {
		guint position = view->choice->first + (guint)row;

		if (position < view->order->len)
			draw_guest_line(cells, view->order->pdata[position], area.y + row,
					position == view->choice->selected);
	}
}
