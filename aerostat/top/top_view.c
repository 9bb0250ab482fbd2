/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/top/top_view.h"

#include <stdio.h>
#include <string.h>

#include "aerostat/top/top_parts.h"

#define NARROW 60

/* Which lines each part has; -1: it is not shown. */
struct layout {
	struct top_area host, list, detail;
	int heading_y, message_y, keys_y;
};

static struct layout make_layout(int height)
{
	struct layout layout = { .host = { 1, height >= 20   ? 4
					      : height >= 12 ? 2
							     : 1 },
				 .heading_y = -1,
				 .message_y = -1,
				 .keys_y = height - 1 };
	int y = 1 + layout.host.rows + (height >= 24);
	int end = layout.keys_y;

	if (height >= 10)
		layout.heading_y = y++;
	if (height >= 12)
		layout.message_y = --end;
	layout.detail.rows = height >= 40   ? 13
			     : height >= 24 ? 9
			     : height >= 16 ? 5
			     : height >= 12 ? 3
			     : height >= 10 ? 2
					    : 1;
	layout.detail.y = end - layout.detail.rows;
	layout.list = (struct top_area){ y, layout.detail.y - y };
	return layout;
}

static bool is_too_small(int width, int height)
{
	return width < TOP_WIDTH_MIN || height < TOP_HEIGHT_MIN;
}

guint top_view_rows(int width, int height)
{
	return is_too_small(width, height) ? 1 : (guint)make_layout(height).list.rows;
}

static void draw_too_small(struct top_cells *cells)
{
	g_autofree char *text =
		g_strdup_printf("aerostat top needs %dx%d; the terminal has %dx%d", TOP_WIDTH_MIN,
				TOP_HEIGHT_MIN, cells->width, cells->height);
	const char *rest = text;

	for (int y = 0; y < cells->height; y++) {
		g_autofree char *line = top_next_line(cells, &rest, cells->width);

		if (!line)
			return;
		top_put(cells, 0, y, cells->width, TOP_NORMAL, line);
	}
}

/* Right to left: the time, or since when there is no answer; then a mark for overcommitment. */
static int draw_title_right(struct top_cells *cells, const struct top_view *view)
{
	g_autofree char *time =
		top_format_time(view->lost_us ? view->lost_us : view->now_us, view->now_us);
	g_autofree char *lost = g_strdup_printf(
		cells->width < NARROW ? "no answer since %s" : " no answer since %s ", time);
	const char *text = view->lost_us ? lost : time;
	int x = cells->width - top_columns(cells, text) - !view->lost_us;

	top_put(cells, x, 0, cells->width, view->lost_us ? TOP_RED | TOP_REVERSE : TOP_DIM, text);
	if (view->status->overcommitted) {
		x -= (int)strlen(" OVERCOMMITTED ") + 1;
		top_put(cells, x, 0, cells->width, TOP_YELLOW | TOP_REVERSE, " OVERCOMMITTED ");
	}
	return x;
}

static void draw_title(struct top_cells *cells, const struct top_view *view)
{
	guint count = view->order->len;
	g_autofree char *facts =
		g_strdup_printf("%u guest%s%s%s", count, count == 1 ? "" : "s",
				cells->utf8 ? " · policy " : ", policy ", view->status->policy);
	int end = draw_title_right(cells, view);
	int x = 1;

	/* Without room for both, only what is urgent is shown. */
	if (x + 9 > end)
		return;
	x += top_put(cells, x, 0, end - x, TOP_BOLD, "aerostat") + 2;
	if (end - x >= top_columns(cells, facts) + 1)
		top_put(cells, x, 0, end - x, TOP_NORMAL, facts);
}

static void draw_key_line(struct top_cells *cells, const struct top_view *view, int y)
{
	g_autofree char *sort = g_strdup_printf("s sort: %s", top_sort_name(view->choice->sort));
	const char *keys[] = { cells->utf8 ? "↑↓ guest" : "jk guest",
			       "h hold",
			       "a auto",
			       "o observe",
			       "? help",
			       "q quit",
			       sort };
	bool narrow = cells->width < NARROW; /* users try the arrow keys anyway */
	int x = 1;

	for (size_t i = narrow ? 1 : 0; i < G_N_ELEMENTS(keys); i++) {
		int columns = top_columns(cells, keys[i]);
		int key = columns - (int)strlen(strchr(keys[i], ' '));

		if (x + columns > cells->width)
			continue;
		top_put(cells, x, y, cells->width, TOP_NORMAL, keys[i]);
		for (int j = 0; j < key; j++)
			top_cell_at(cells, x + j, y)->style = TOP_BOLD;
		x += columns + (narrow ? 1 : 3);
	}
}

/* The message, else the first source of guests that the daemon cannot ask. */
static void draw_message(struct top_cells *cells, const struct top_view *view,
			 const struct layout *layout)
{
	/* Only a message may cover the keys, because it does not last. */
	bool shares = layout->message_y < 0;
	int y = shares ? layout->keys_y : layout->message_y;
	g_autofree char *text = NULL;

	if (view->message)
		text = g_strdup(view->message);
	else if (view->status->problem_count && !shares)
		text = g_strdup_printf("%s: %s", view->status->problems[0].source,
				       view->status->problems[0].text);
	if (!text)
		return;
	for (int x = 0; x < cells->width; x++)
		top_put_char(cells, x, y, TOP_NORMAL, ' ');
	top_put(cells, 1, y, cells->width - 2,
		!view->message	    ? TOP_YELLOW
		: view->message_bad ? TOP_RED | TOP_BOLD
				    : TOP_BOLD,
		text);
}

static void draw_help(struct top_cells *cells, struct top_area area)
{
	/* The first five are all that the smallest terminal shows. */
	static const char *const lines[] = {
		"h hold at its size    s sort",
		"a auto again          q quit",
		"o only observe        any key: back",
		"!! critical  ! short  ? old statistics",
		"N need  W want  T target",
		"",
		"hold     keeps the guest at its present size, until a is pressed",
		"auto     the mode of the configuration applies again",
		"observe  the policy decides and explains, but does not change the guest",
		"bar      all of its RAM: what it has, then its balloon; T covers W and N",
		"stats    how old its statistics are",
		"given    what guests have of what they may have together (the budget)",
		"",
		"Arrows, j, k, PgUp, PgDn, Home and End select a guest.",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines) && (int)i < area.rows; i++)
		top_put(cells, 1, area.y + (int)i, cells->width - 2, TOP_NORMAL, lines[i]);
}

struct top_cells *top_view_draw(const struct top_view *view)
{
	struct top_cells *cells = top_cells_new(view->width, view->height, view->utf8);
	struct layout layout = make_layout(view->height);

	if (is_too_small(view->width, view->height)) {
		draw_too_small(cells);
		return cells;
	}
	draw_title(cells, view);
	top_draw_host(cells, view, layout.host);
	draw_key_line(cells, view, layout.keys_y);
	draw_message(cells, view, &layout);
	if (view->choice->help) {
		draw_help(cells,
			  (struct top_area){ layout.list.y, layout.detail.y + layout.detail.rows -
								    layout.list.y });
		return cells;
	}
	if (layout.heading_y >= 0)
		top_draw_heading(cells, view, layout.heading_y);
	top_draw_list(cells, view, layout.list);
	top_draw_detail(cells, view, layout.detail);
	return cells;
}
