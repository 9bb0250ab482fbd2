/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guests, a line each: name, how it fares, its bar over its max, and figures.
 *
 * The columns stand in one table; a terminal that is narrow has fewer of them, and the bar
 * takes what is left.
 */
#include <stdio.h>
#include <string.h>

#include "aerostat/top/top_parts.h"
#include "policy/constants.h"

#define FLAG_WIDTH 2
#define MODE_FROM 100 /* narrower: mode and reason share a column */

uint8_t top_guest_colour(const json_t *guest)
{
	return top_flag(guest, "critical")    ? TOP_RED
	       : top_flag(guest, "pressured") ? TOP_YELLOW
					      : TOP_GREEN;
}

static uint64_t age_of(const json_t *guest)
{
	return top_bytes(json_object_get(guest, "stats"), "age_us");
}

bool top_is_stale(const json_t *guest)
{
	/* One that is not known is above all. */
	return age_of(guest) > SAMPLE_AGE_MAX_US || !strcmp(top_text(guest, "reason"), "stale");
}

void top_age_text(uint64_t age_us, char text[SIZE_TEXT_MAX])
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

void top_size_text(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	if (bytes == HV_UNSET)
		g_strlcpy(text, "?", SIZE_TEXT_MAX);
	else
		size_write(bytes, text);
}

static void actual_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	top_size_text(top_bytes(guest, "actual_bytes"), text);
}

static void max_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	top_size_text(top_bytes(guest, "max_bytes"), text);
}

static void want_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	top_size_text(top_bytes(guest, "want_bytes"), text);
}

static void age_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	top_age_text(age_of(guest), text);
}

static void mode_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	const char *mode = top_text(guest, "mode");

	if (!strcmp(mode, "held"))
		snprintf(text, SIZE_TEXT_MAX, "%s/%s", mode, top_text(guest, "mode_by"));
	else
		g_strlcpy(text, mode, SIZE_TEXT_MAX);
}

/* What keeps the guest from taking part comes before what was decided. */
static void reason_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	const char *state = top_text(guest, "state");
	const char *word = top_text(guest, "reason");

	if (*top_text(guest, "problem"))
		word = "no answer";
	else if (*state && strcmp(state, "running") && strcmp(state, "unknown"))
		word = state;
	else if (!strcmp(top_text(guest, "driver"), "absent"))
		word = "no driver";
	else if (top_bytes(guest, "actual_bytes") == HV_UNSET)
		word = "no balloon";
	g_strlcpy(text, word, SIZE_TEXT_MAX);
}

static bool is_trouble(const json_t *guest)
{
	char text[SIZE_TEXT_MAX];

	reason_text(guest, text);
	return strcmp(text, top_text(guest, "reason")) != 0;
}

static void mode_or_reason_text(const json_t *guest, char text[SIZE_TEXT_MAX])
{
	if (strcmp(top_text(guest, "mode"), "auto") && !is_trouble(guest))
		mode_text(guest, text);
	else
		reason_text(guest, text);
}

static uint8_t plain(const json_t *guest)
{
	(void)guest;
	return TOP_NORMAL;
}

static uint8_t age_style(const json_t *guest)
{
	return top_is_stale(guest) ? TOP_YELLOW | TOP_BOLD : TOP_DIM;
}

static uint8_t mode_style(const json_t *guest)
{
	return !strcmp(top_text(guest, "mode"), "held")	  ? TOP_CYAN | TOP_BOLD
	       : !strcmp(top_text(guest, "mode"), "auto") ? TOP_NORMAL
							  : TOP_CYAN;
}

static uint8_t reason_style(const json_t *guest)
{
	uint8_t colour = top_guest_colour(guest);

	if (is_trouble(guest))
		return TOP_YELLOW | TOP_BOLD;
	return colour == TOP_GREEN ? TOP_NORMAL : colour | TOP_BOLD;
}

static uint8_t mode_or_reason_style(const json_t *guest)
{
	if (strcmp(top_text(guest, "mode"), "auto") && !is_trouble(guest))
		return mode_style(guest);
	return reason_style(guest);
}

/* To the right of the bar.  Each is there on widths of @from to @to. */
static const struct column {
	const char *title;
	int width;
	bool right;
	int from, to;
	enum top_sort sort; /* whose order it shows; TOP_SORTS: none */
	void (*text)(const json_t *guest, char text[SIZE_TEXT_MAX]);
	uint8_t (*style)(const json_t *guest);
} columns[] = {
	{ "has", 9, true, 0, G_MAXINT, TOP_SORT_ACTUAL, actual_text, plain },
	{ "max", 9, true, 72, G_MAXINT, TOP_SORTS, max_text, plain },
	{ "want", 9, true, 116, G_MAXINT, TOP_SORT_WANT, want_text, plain },
	{ "stats", 6, true, 64, G_MAXINT, TOP_SORTS, age_text, age_style },
	{ "mode", 11, false, MODE_FROM, G_MAXINT, TOP_SORTS, mode_text, mode_style },
	{ "reason", 11, false, MODE_FROM, G_MAXINT, TOP_SORTS, reason_text, reason_style },
	{ "reason", 11, false, 52, MODE_FROM - 1, TOP_SORTS, mode_or_reason_text,
	  mode_or_reason_style },
};

static bool is_shown(const struct column *column, int width)
{
	return width >= column->from && width <= column->to;
}

static int name_width(int width)
{
	return width >= 160 ? 32 : width >= 120 ? 20 : width >= 80 ? 14 : 9;
}

static int bar_x(int width)
{
	return 1 + name_width(width) + 1 + FLAG_WIDTH + 1;
}

static int bar_width(int width)
{
	int left = width - bar_x(width) - 1;

	for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
		if (is_shown(&columns[i], width))
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
	int width = cells->width, bar = bar_width(width);
	int x = bar_x(width) + bar + 1;
	size_t i = 0;

	top_put(cells, 1, y, name_width(width), sort == TOP_SORT_NAME ? TOP_BOLD : TOP_DIM,
		"guest");
	while (i + 1 < G_N_ELEMENTS(legends) && top_columns(cells, legends[i].ascii) > bar)
		i++;
	top_put(cells, bar_x(width), y, bar, TOP_DIM,
		cells->utf8 ? legends[i].utf8 : legends[i].ascii);
	for (i = 0; i < G_N_ELEMENTS(columns); i++) {
		const struct column *column = &columns[i];
		uint8_t style = column->sort == sort ? TOP_BOLD : TOP_DIM;

		if (!is_shown(column, width))
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

/* Of marks in one place the last that is drawn is seen. */
static void draw_mark(struct top_cells *cells, const struct bar *bar, uint64_t bytes, gunichar ch)
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

/* What it has, to an eighth of a column; behind it the balloon. */
static void draw_fill(struct top_cells *cells, const struct bar *bar, uint8_t style)
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

static void draw_bar(struct top_cells *cells, const json_t *guest, int y)
{
	uint64_t actual = top_bytes(guest, "actual_bytes");
	struct bar bar = { .x = bar_x(cells->width),
			   .y = y,
			   .width = bar_width(cells->width),
			   .max = top_bytes(guest, "max_bytes") };

	if (actual == HV_UNSET || bar.max == HV_UNSET || !bar.max) {
		top_put(cells, bar.x, y, bar.width, TOP_DIM, "size unknown");
		return;
	}
	bar.has = MIN((double)actual / (double)bar.max, 1) * bar.width;
	draw_fill(cells, &bar, top_guest_colour(guest));
	draw_mark(cells, &bar, top_bytes(guest, "need_bytes"), 'N');
	draw_mark(cells, &bar, top_bytes(guest, "want_bytes"), 'W');
	draw_mark(cells, &bar, top_bytes(guest, "target_bytes"), 'T');
}

static void draw_guest(struct top_cells *cells, const json_t *guest, int y, bool selected)
{
	int width = cells->width, names = name_width(width);
	int x = bar_x(width) + bar_width(width) + 1;
	uint8_t colour = top_guest_colour(guest);
	const char *flag = colour == TOP_RED	  ? "!!"
			   : colour == TOP_YELLOW ? "!"
			   : top_is_stale(guest)  ? "?"
						  : "";

	for (int i = 0; selected && i <= names; i++)
		top_put_char(cells, i, y, TOP_REVERSE, ' ');
	if (selected)
		top_put(cells, 0, y, 1, TOP_REVERSE, cells->utf8 ? "▸" : ">");
	top_put(cells, 1, y, names, selected ? TOP_REVERSE : TOP_BOLD, top_text(guest, "name"));
	top_put(cells, 2 + names, y, FLAG_WIDTH,
		(colour == TOP_GREEN ? TOP_YELLOW : colour) | TOP_BOLD, flag);
	draw_bar(cells, guest, y);
	for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
		const struct column *column = &columns[i];
		char text[SIZE_TEXT_MAX];

		if (!is_shown(column, width))
			continue;
		column->text(guest, text);
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
			"no guests are found yet: see [discover] in aerostat.conf(5)");
	for (int row = 0; row < area.rows; row++) {
		guint place = view->choice->first + (guint)row;

		if (place < view->order->len)
			draw_guest(cells, view->order->pdata[place], area.y + row,
				   place == view->choice->selected);
	}
}
