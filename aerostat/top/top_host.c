/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host in bars: what its RAM is used for, and how much of the budget guests have.
 *
 * The bar of the RAM shows real use: a guest counts as the resident memory of its process, or as
 * its size if that is unknown.  The bar of the budget shows what was promised: there each guest
 * counts as its size.
 */
#include <stdio.h>

#include "aerostat/top/top_parts.h"

#define LABEL_WIDTH 9
#define FIGURE_WIDTH 10
#define FULL_ROWS 4

/* The sum of those that are known; it stays below HV_UNSET. */
static uint64_t add_bytes(uint64_t a, uint64_t b)
{
	a = a == HV_UNSET ? 0 : a;
	b = b == HV_UNSET ? 0 : b;
	return a > INT64_MAX - MIN(b, INT64_MAX) ? INT64_MAX : a + b;
}

/* Each segment's share of the width; edges are rounded, not lengths, so that all of them fit. */
static void draw_memory_bar(struct top_cells *cells, int x, int y, int width, uint64_t total,
			    const struct top_segment *segments, size_t count)
{
	uint64_t sum = 0;
	int from = 0;

	for (size_t i = 0; total && i < count; i++) {
		double share;
		int to;

		sum = add_bytes(sum, segments[i].bytes);
		share = MIN((double)sum / (double)total, 1);
		to = (int)(share * width + 0.5);
		for (; from < to; from++)
			top_put_char(cells, x + from, y, segments[i].style,
				     cells->utf8 ? segments[i].utf8 : segments[i].ascii);
	}
	for (; from < width; from++)
		top_put_char(cells, x + from, y, TOP_DIM, cells->utf8 ? 0x00b7 : '-');
}

/* "█ guests 3.5 GiB", at a fixed width, if there is room for it; returns where it ends. */
static int draw_segment_legend(struct top_cells *cells, int x, int y,
			       const struct top_segment *segment)
{
	int end = x + 2 + top_columns(cells, segment->name) + FIGURE_WIDTH;
	char size[SIZE_TEXT_MAX];
	g_autofree char *text = NULL;

	if (end > cells->width)
		return cells->width;
	top_write_size(segment->bytes, size);
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

	top_write_size(total, size);
	top_put(cells, 1, y, LABEL_WIDTH - 1, TOP_BOLD, label);
	draw_memory_bar(cells, LABEL_WIDTH, y, width, total == HV_UNSET ? 0 : total, segments,
			count);
	top_put_right(cells, LABEL_WIDTH + width, y, FIGURE_WIDTH, TOP_NORMAL, size);
}

static uint64_t subtract_bytes(uint64_t a, uint64_t b)
{
	return a == HV_UNSET || b == HV_UNSET ? HV_UNSET : a > b ? a - b : 0;
}

static uint64_t sum_resident(const struct top_view *view)
{
	uint64_t sum = 0;

	for (guint i = 0; i < view->order->len; i++) {
		const struct daemon_guest *guest = view->order->pdata[i];

		sum = add_bytes(sum, guest->resident_bytes != HV_UNSET ? guest->resident_bytes
								       : guest->actual_bytes);
	}
	return sum;
}

static uint64_t sum_actual(const struct top_view *view)
{
	uint64_t sum = 0;

	for (guint i = 0; i < view->order->len; i++)
		sum = add_bytes(sum,
				((const struct daemon_guest *)view->order->pdata[i])->actual_bytes);
	return sum;
}

static void draw_pressure(struct top_cells *cells, int x, int y, const struct daemon_host *host)
{
	char text[32];

	snprintf(text, sizeof(text), "pressure %.1f %%%s", host->pressure * 100,
		 host->critical ? " !!" : "");
	if (x + (int)sizeof("pressure 99.9 %") <= cells->width)
		top_put(cells, x, y, cells->width - x,
			host->critical		? TOP_RED | TOP_BOLD
			: host->pressure >= 0.1 ? TOP_YELLOW
						: TOP_NORMAL,
			text);
}

/* Marks in the bar of the budget how much of it guests want. */
static void draw_want_mark(struct top_cells *cells, int y, uint64_t budget, uint64_t want)
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

/* The bar of the RAM, and below it the legend: all of it, or the most important part. */
static void draw_ram(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	const struct daemon_host *host = &view->status->host;
	uint64_t total = host->total_bytes, available = host->available_bytes;
	uint64_t reserved = host->reserved_bytes;
	uint64_t guests = sum_resident(view);
	const struct top_segment ram[] = {
		{ "guests", guests, TOP_GREEN, 0x2588, '#' },
		{ "reserved", reserved, TOP_YELLOW, 0x2592, '=' },
		{ "free", subtract_bytes(available, add_bytes(reserved, 0)), TOP_DIM, 0x2591, '.' },
		{ "host", subtract_bytes(subtract_bytes(total, available), guests), TOP_CYAN,
		  0x2593, '%' },
	};
	int x;

	draw_labelled(cells, area.y, "RAM", total, ram, G_N_ELEMENTS(ram));
	if (area.rows >= FULL_ROWS) {
		x = LABEL_WIDTH;
		for (size_t i = 0; i < G_N_ELEMENTS(ram); i++)
			x = draw_segment_legend(cells, x, area.y + 1, &ram[i]);
	} else if (area.rows > 1) {
		x = draw_segment_legend(cells, LABEL_WIDTH, area.y + 1, &ram[0]);
		x = draw_segment_legend(cells, x, area.y + 1, &ram[2]);
		draw_pressure(cells, x, area.y + 1, host);
	}
}

static void draw_budget(struct top_cells *cells, const struct top_view *view, int y)
{
	const struct daemon_host *host = &view->status->host;
	uint64_t budget = view->status->budget_bytes, want = view->status->want_bytes;
	uint64_t reserved = host->reserved_bytes;
	uint64_t given = sum_actual(view);
	bool over = budget != HV_UNSET && add_bytes(given, reserved) > budget;
	const struct top_segment promised[] = {
		{ "given", given, over ? TOP_RED : TOP_GREEN, 0x2588, '#' },
		{ "reserved", reserved, TOP_YELLOW, 0x2592, '=' },
	};
	const struct top_segment want_segment = { "wanted", want, TOP_BOLD, 'W', 'W' };
	int x;

	draw_labelled(cells, y, "budget", budget, promised, G_N_ELEMENTS(promised));
	draw_want_mark(cells, y, budget, want);
	x = draw_segment_legend(cells, LABEL_WIDTH, y + 1, &promised[0]);
	x = draw_segment_legend(cells, x, y + 1, &want_segment);
	draw_pressure(cells, x, y + 1, host);
}

void top_draw_host(struct top_cells *cells, const struct top_view *view, struct top_area area)
{
	draw_ram(cells, view, area);
	if (area.rows >= FULL_ROWS)
		draw_budget(cells, view, area.y + 2);
}
