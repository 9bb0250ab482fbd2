/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A picture of one run, as SVG.
 *
 * Theory of operation
 * -------------------
 * Panels of the same width share a time axis: one for each guest, and one for the host.  The
 * height of a guest's panel is its RAM at boot; a grey area shows what it needs, a blue line what
 * it has, a dashed orange line its target.  Where the area rises above the blue line, the guest is
 * short of memory.  A red strip below shows how much of the time it was stalled, and a red cross
 * that a process was killed.  The host's panel shows the available memory.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "aerostat/simulate/simulate.h"

#define GIB 1073741824.0

#define WIDTH 1120
#define LEFT 92
#define RIGHT 24
#define TOP 84
#define PANEL 112 /* with its gap */
#define HEIGHT 84 /* of what is drawn in it */
#define STRIP 6	  /* of stalls, below it */
#define BOTTOM 46

#define FONT "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\""
#define INK "#333333"
#define GRID "#e4e4e4"
#define NEED "#c9ced6"
#define ACTUAL "#1f5fa8"
#define TARGET "#d9731a"
#define STALL "#c8202c"
#define AVAILABLE "#2f8f5b"

struct plot *plot_new(char *title, guint guests)
{
	struct plot *plot = g_new0(struct plot, 1);

	plot->title = title;
	plot->times = g_array_new(FALSE, FALSE, sizeof(double));
	plot->available = g_array_new(FALSE, FALSE, sizeof(double));
	plot->count = guests;
	plot->sizes = g_new0(double, guests);
	plot->guests = g_new0(GArray *, guests);
	for (guint i = 0; i < guests; i++)
		plot->guests[i] = g_array_new(FALSE, FALSE, sizeof(struct plot_point));
	return plot;
}

void plot_free(struct plot *plot)
{
	if (!plot)
		return;
	for (guint i = 0; i < plot->count; i++)
		g_array_unref(plot->guests[i]);
	g_array_unref(plot->times);
	g_array_unref(plot->available);
	g_free(plot->guests);
	g_free(plot->sizes);
	g_free(plot->title);
	g_free(plot);
}

static double time_at(const struct plot *plot, guint i)
{
	return g_array_index(plot->times, double, i);
}

static double last_time(const struct plot *plot)
{
	return plot->times->len ? time_at(plot, plot->times->len - 1) : 1;
}

static double x_of(const struct plot *plot, double seconds)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * seconds / last_time(plot);
}

static double y_of(guint panel, double part)
{
	return TOP + panel * PANEL + HEIGHT * (1 - CLAMP(part, 0, 1));
}

static void draw_text(FILE *out, double x, double y, const char *anchor, int size,
		      const char *words)
{
	g_autofree char *escaped = g_markup_escape_text(words, -1);

	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n",
		x, y, anchor, size, escaped);
}

/* The distance between the marks of the time axis, in seconds. */
static int time_mark(double seconds)
{
	static const int marks[] = { 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600 };

	for (size_t i = 0; i < G_N_ELEMENTS(marks); i++)
		if (seconds / marks[i] <= 12)
			return marks[i];
	return 7200;
}

static void draw_time_axis(FILE *out, const struct plot *plot)
{
	double bottom = TOP + (plot->count + 1) * PANEL - (PANEL - HEIGHT) + STRIP;
	int mark = time_mark(last_time(plot));

	for (int seconds = 0; seconds <= last_time(plot); seconds += mark) {
		g_autofree char *label = g_strdup_printf("%d s", seconds);
		double x = x_of(plot, seconds);

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"" GRID "\"/>\n",
			x, TOP, x, bottom);
		draw_text(out, x, bottom + 18, "middle", 12, label);
	}
}

static void draw_panel_frame(FILE *out, guint panel, const char *name, double size)
{
	g_autofree char *label = g_strdup_printf("%.3g GiB", size / GIB);
	double y = y_of(panel, 1);

	fprintf(out,
		"<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" "
		"stroke=\"#9a9a9a\"/>\n",
		LEFT, y, WIDTH - LEFT - RIGHT, HEIGHT);
	draw_text(out, LEFT - 8, y + 11, "end", 11, label);
	draw_text(out, LEFT - 8, y + HEIGHT, "end", 11, "0");
	draw_text(out, LEFT - 8, y + HEIGHT / 2.0 + 5, "end", 13, name);
}

/* The value of a point that a line shows. */
enum line {
	LINE_NEED,
	LINE_TARGET,
	LINE_ACTUAL,
};

static double value_at(const struct plot *plot, guint guest, guint i, enum line line)
{
	const struct plot_point *point = &g_array_index(plot->guests[guest], struct plot_point, i);

	switch (line) {
	case LINE_NEED:
		return point->need;
	case LINE_TARGET:
		return point->target;
	case LINE_ACTUAL:
		return point->actual;
	}
	return NAN;
}

/* The points of a line; interrupted where no value is known. */
static void draw_path(FILE *out, const struct plot *plot, guint guest, enum line line)
{
	bool down = false;

	for (guint i = 0; i < plot->times->len; i++) {
		double value = value_at(plot, guest, i, line);
		double x = x_of(plot, time_at(plot, i));

		if (isnan(value)) {
			down = false;
			continue;
		}
		fprintf(out, "%c%.1f %.1f", down ? 'L' : 'M', x,
			y_of(guest, value / plot->sizes[guest]));
		down = true;
	}
}

static void draw_line(FILE *out, const struct plot *plot, guint guest, enum line line,
		      const char *style)
{
	fprintf(out, "<path d=\"");
	draw_path(out, plot, guest, line);
	fprintf(out, "\" fill=\"none\" %s/>\n", style);
}

static void draw_need(FILE *out, const struct plot *plot, guint guest)
{
	double base = y_of(guest, 0);

	fprintf(out, "<path d=\"M%.1f %.1f", x_of(plot, plot->times->len ? time_at(plot, 0) : 0),
		base);
	for (guint i = 0; i < plot->times->len; i++) {
		double value = value_at(plot, guest, i, LINE_NEED);

		fprintf(out, "L%.1f %.1f", x_of(plot, time_at(plot, i)),
			y_of(guest, isnan(value) ? 0 : value / plot->sizes[guest]));
	}
	fprintf(out, "L%.1f %.1fZ\" fill=\"" NEED "\"/>\n", x_of(plot, last_time(plot)), base);
}

static void draw_trouble(FILE *out, const struct plot *plot, guint guest)
{
	double y = y_of(guest, 0) + 2, from, to;

	for (guint i = 1; i < plot->times->len; i++) {
		const struct plot_point *point =
			&g_array_index(plot->guests[guest], struct plot_point, i);

		from = x_of(plot, time_at(plot, i - 1));
		to = x_of(plot, time_at(plot, i));
		if (point->stall > 0.01)
			fprintf(out,
				"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
				"fill=\"" STALL "\" fill-opacity=\"%.2f\"/>\n",
				from, y, to - from + 0.3, STRIP, 0.15 + 0.85 * point->stall);
		if (point->killed)
			fprintf(out,
				"<path d=\"M%.1f %.1fl10 10m0 -10l-10 10\" stroke=\"" STALL
				"\" stroke-width=\"2.5\"/>\n",
				to - 5, y_of(guest, 0.95));
	}
}

static void draw_guest_panel(FILE *out, const struct plot *plot, guint guest)
{
	g_autofree char *name = g_strdup_printf("guest %u", guest + 1);

	draw_need(out, plot, guest);
	draw_line(out, plot, guest, LINE_TARGET,
		  "stroke=\"" TARGET "\" stroke-width=\"1.4\" stroke-dasharray=\"5 3\"");
	draw_line(out, plot, guest, LINE_ACTUAL, "stroke=\"" ACTUAL "\" stroke-width=\"1.8\"");
	draw_trouble(out, plot, guest);
	draw_panel_frame(out, guest, name, plot->sizes[guest]);
}

static void draw_host_panel(FILE *out, const struct plot *plot)
{
	guint panel = plot->count;

	fprintf(out, "<path d=\"M%.1f %.1f", x_of(plot, plot->times->len ? time_at(plot, 0) : 0),
		y_of(panel, 0));
	for (guint i = 0; i < plot->times->len; i++)
		fprintf(out, "L%.1f %.1f", x_of(plot, time_at(plot, i)),
			y_of(panel, g_array_index(plot->available, double, i) / plot->host_bytes));
	fprintf(out, "L%.1f %.1fZ\" fill=\"" AVAILABLE "\" fill-opacity=\"0.55\"/>\n",
		x_of(plot, last_time(plot)), y_of(panel, 0));
	draw_panel_frame(out, panel, "host", plot->host_bytes);
}

static double draw_legend_key(FILE *out, double x, const char *shape, const char *words)
{
	fprintf(out, "<path transform=\"translate(%.1f 58)\" %s/>\n", x, shape);
	draw_text(out, x + 32, 63, "start", 12, words);
	return x + 32 + 7.2 * (double)g_utf8_strlen(words, -1) + 18;
}

static void draw_legend(FILE *out)
{
	double x = LEFT;

	x = draw_legend_key(out, x, "d=\"M0 -6H24V6H0Z\" fill=\"" NEED "\"", "needs");
	x = draw_legend_key(out, x, "d=\"M0 0H24\" stroke=\"" ACTUAL "\" stroke-width=\"2.2\"",
			    "has");
	x = draw_legend_key(out, x,
			    "d=\"M0 0H24\" stroke=\"" TARGET
			    "\" stroke-width=\"1.8\" stroke-dasharray=\"5 3\"",
			    "target");
	x = draw_legend_key(out, x, "d=\"M0 -3H24V3H0Z\" fill=\"" STALL "\"", "stalled (PSI full)");
	x = draw_legend_key(
		out, x, "d=\"M7 -5l10 10m0 -10l-10 10\" stroke=\"" STALL "\" stroke-width=\"2.5\"",
		"a process was killed");
	draw_legend_key(out, x, "d=\"M0 -6H24V6H0Z\" fill=\"" AVAILABLE "\" fill-opacity=\"0.55\"",
			"available on the host");
}

bool plot_write(const struct plot *plot, const char *path)
{
	guint height = TOP + (plot->count + 1) * PANEL - (PANEL - HEIGHT) + STRIP + BOTTOM;
	FILE *out = fopen(path, "we");
	bool failed;

	if (!out)
		return false;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"viewBox=\"0 0 %d %u\" " FONT " fill=\"" INK "\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, height, WIDTH, height);
	draw_text(out, LEFT, 32, "start", 18, plot->title);
	draw_legend(out);
	draw_time_axis(out, plot);
	for (guint i = 0; i < plot->count; i++)
		draw_guest_panel(out, plot, i);
	draw_host_panel(out, plot);
	fputs("</svg>\n", out);
	failed = ferror(out);
	return !fclose(out) && !failed;
}
