/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host in bars: where its RAM is, and what guests were given of the budget.
 *
 * RAM is what is really used: guests count with the memory that their processes have on the
 * host, those of unknown use with their size.  The budget is what may be given: there guests
 * count with their size.
 */
#include <stdio.h>

#include "aerostat/top/top_parts.h"

#define LABEL_WIDTH 9
#define FIGURE_WIDTH 10
#define FULL_ROWS 4

/* Each segment's share of the width, rounded at its edges, so that all of them stay in it. */
static void draw_bar(struct top_cells *cells, int x, int y, int width, uint64_t total,
		     const struct top_segment *segments, size_t count)
{
	uint64_t sum = 0;
	int from = 0;

	for (size_t i = 0; total && i < count; i++) {
		double share;
		int to;

		sum = top_sum(sum, segments[i].bytes);
		share = MIN((double)sum / (double)total, 1);
		to = (int)(share * width + 0.5);
		for (; from < to; from++)
			top_put_char(cells, x + from, y, segments[i].style,
				     cells->utf8 ? segments[i].utf8 : segments[i].ascii);
	}
	for (; from < width; from++)
		top_put_char(cells, x + from, y, TOP_DIM, cells->utf8 ? 0x00b7 : '-');
}

/* "█ guests 3.5 GiB", of a width that no figure changes; what has no room is left out. */
static int draw_key(struct top_cells *cells, int x, int y, const struct top_segment *segment)
{
	int end = x + 2 + top_columns(cells, segment->name) + FIGURE_WIDTH;
	char size[SIZE_TEXT_MAX];
	g_autofree char *text = NULL;

	if (end > cells->width)
		return cells->width;
	top_size_text(segment->bytes, size);
	text = g_strdup_printf("%s %s", segment->name, size);
	top_put_char(cells, x, y, segment->style, cells->utf8 ? segment->utf8 : segment->ascii);
	top_put(cells, x + 2, y, end - x - 2, TOP_NORMAL, text);
	return end;
}

static void draw_labelled(struct top_cells *cells, int y, const char *label, uint64_t total,
			  const struct top_segment *segments, size_t count)
{
	char size[SIZE_TEXT_MAX];
	int width = cells->width - LABEL_WIDTH - FIGURE_WIDTH - 1;

	top_size_text(total, size);
	top_put(cells, 1, y, LABEL_WIDTH - 1, TOP_BOLD, label);
	draw_bar(cells, LABEL_WIDTH, y, width, total == HV_UNSET ? 0 : total, segments, count);
	top_put_right(cells, LABEL_WIDTH + width, y, FIGURE_WIDTH, TOP_NORMAL, size);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a == HV_UNSET || b == HV_UNSET ? HV_UNSET : a > b ? a - b : 0;
}

static uint64_t used_by_guests(const struct top_view *view)
{
	uint64_t sum = 0;

	for (guint i = 0; i < view->order->len; i++) {
		uint64_t resident = top_bytes(view->order->pdata[i], "resident_bytes");

		sum = top_sum(sum, resident != HV_UNSET
					   ? resident
					   : top_bytes(view->order->pdata[i], "actual_bytes"));
	}
	return sum;
}

static uint64_t given_to_guests(const struct top_view *view)
{
	uint64_t sum = 0;

	for (guint i = 0; i < view->order->len; i++)
		sum = top_sum(sum, top_bytes(view->order->pdata[i], "actual_bytes"));
	return sum;
}

static void draw_pressure(struct top_cells *cells, int x, int y, const json_t *host)
{
	double share = json_number_value(json_object_get(host, "pressure"));
	bool critical = top_flag(host, "critical");
	char text[32];

	snprintf(text, sizeof(text), "pressure %.1f %%%s", CLAMP(share, 0, 1) * 100,
		 critical ? " !!" : "");
	if (x + (int)sizeof("pressure 99.9 %") <= cells->width)
		top_put(cells, x, y, cells->width - x,
			critical       ? TOP_RED | TOP_BOLD
			: share >= 0.1 ? TOP_YELLOW
				       : TOP_NORMAL,
			text);
}

/* Where what is wanted ends in the bar of the budget, without a hole in what is given. */
static void draw_wanted(struct top_cells *cells, int y, uint64_t budget, uint64_t want)
{
	int width = cells->width - LABEL_WIDTH - FIGURE_WIDTH - 1;
	struct top_cell *cell;

	if (budget == HV_UNSET || !budget || want == HV_UNSET)
		return;
	cell = top_cell_at(
		cells, LABEL_WIDTH + (int)MIN((double)want / (double)budget * width, width - 1), y);
	cell->ch = 'W';
	cell->style = cell->style == TOP_DIM ? TOP_BOLD : cell->style | TOP_REVERSE;
}

/* Its RAM, and below what the parts are: all of them, or what matters most. */
static void draw_ram(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	const json_t *host = json_object_get(view->status, "host");
	uint64_t total = top_bytes(host, "total_bytes");
	uint64_t available = top_bytes(host, "available_bytes");
	uint64_t reserved = top_bytes(host, "reserved_bytes");
	uint64_t guests = used_by_guests(view);
	const struct top_segment ram[] = {
		{ "guests", guests, TOP_GREEN, 0x2588, '#' },
		{ "reserved", reserved, TOP_YELLOW, 0x2592, '=' },
		{ "free", less(available, top_sum(reserved, 0)), TOP_DIM, 0x2591, '.' },
		{ "host", less(less(total, available), guests), TOP_CYAN, 0x2593, '%' },
	};
	int x;

	draw_labelled(cells, area.y, "RAM", total, ram, G_N_ELEMENTS(ram));
	if (area.rows >= FULL_ROWS) {
		x = LABEL_WIDTH;
		for (size_t i = 0; i < G_N_ELEMENTS(ram); i++)
			x = draw_key(cells, x, area.y + 1, &ram[i]);
	} else if (area.rows > 1) {
		x = draw_key(cells, LABEL_WIDTH, area.y + 1, &ram[0]);
		x = draw_key(cells, x, area.y + 1, &ram[2]);
		draw_pressure(cells, x, area.y + 1, host);
	}
}

static void draw_budget(struct top_cells *cells, const struct top_view *view, int y)
{
	const json_t *host = json_object_get(view->status, "host");
	uint64_t budget = top_bytes(view->status, "budget_bytes");
	uint64_t want = top_bytes(view->status, "want_bytes");
	uint64_t reserved = top_bytes(host, "reserved_bytes");
	uint64_t given = given_to_guests(view);
	bool over = budget != HV_UNSET && top_sum(given, reserved) > budget;
	const struct top_segment promised[] = {
		{ "given", given, over ? TOP_RED : TOP_GREEN, 0x2588, '#' },
		{ "reserved", reserved, TOP_YELLOW, 0x2592, '=' },
	};
	const struct top_segment wanted = { "wanted", want, TOP_BOLD, 'W', 'W' };
	int x;

	draw_labelled(cells, y, "budget", budget, promised, G_N_ELEMENTS(promised));
	draw_wanted(cells, y, budget, want);
	x = draw_key(cells, LABEL_WIDTH, y + 1, &promised[0]);
	x = draw_key(cells, x, y + 1, &wanted);
	draw_pressure(cells, x, y + 1, host);
}

void top_draw_host(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	draw_ram(cells, view, area);
	if (area.rows >= FULL_ROWS)
		draw_budget(cells, view, area.y + 2);
}
