/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/top/top_cells.h"

#include <string.h>

struct top_cells *top_cells_new(int width, int height, bool utf8)
{
	size_t count = (size_t)MAX(width, 0) * (size_t)MAX(height, 0);
	struct top_cells *cells =
		g_malloc0(sizeof(struct top_cells) + count * sizeof(struct top_cell));

	cells->width = MAX(width, 0);
	cells->height = MAX(height, 0);
	cells->utf8 = utf8;
	for (size_t i = 0; i < count; i++)
		cells->cell[i].ch = ' ';
	return cells;
}

struct top_cell *top_cell_at(struct top_cells *cells, int x, int y)
{
	if (x < 0 || y < 0 || x >= cells->width || y >= cells->height)
		return NULL;
	return &cells->cell[y * cells->width + x];
}

void top_put_char(struct top_cells *cells, int x, int y, uint8_t style, gunichar ch)
{
	struct top_cell *cell = top_cell_at(cells, x, y);

	if (cell)
		*cell = (struct top_cell){ ch, style };
}

/* What is shown for @ch; 0 for nothing. */
static gunichar visible_char(const struct top_cells *cells, gunichar ch)
{
	if (ch < 0x7f)
		return ch < ' ' ? '?' : ch;
	if (!cells->utf8)
		return g_unichar_iszerowidth(ch) ? 0 : '?';
	if (g_unichar_isspace(ch))
		return ' ';
	if (!g_unichar_isprint(ch) || g_unichar_type(ch) == G_UNICODE_PRIVATE_USE)
		return '?';
	/* A combining character would need a cell that holds two. */
	return g_unichar_iszerowidth(ch) ? 0 : ch;
}

static int char_columns(gunichar ch)
{
	return !ch ? 0 : g_unichar_iswide(ch) ? 2 : 1;
}

/* The next character of *@text, which is advanced; "?" for a byte that is not UTF-8. */
static gunichar next_char(const struct top_cells *cells, const char **text)
{
	gunichar ch = g_utf8_get_char_validated(*text, -1);

	if (ch >= (gunichar)-2) {
		*text += 1;
		return '?';
	}
	*text = g_utf8_next_char(*text);
	return visible_char(cells, ch);
}

int top_columns(const struct top_cells *cells, const char *text)
{
	int columns = 0;

	while (*text)
		columns += char_columns(next_char(cells, &text));
	return columns;
}

int top_put(struct top_cells *cells, int x, int y, int room, uint8_t style, const char *text)
{
	int used = 0;
	bool fits;

	room = MIN(room, cells->width - x);
	if (room <= 0)
		return 0;
	fits = top_columns(cells, text) <= room;
	while (*text) {
		gunichar ch = next_char(cells, &text);
		int columns = char_columns(ch);

		if (!columns)
			continue;
		if (used + columns > room - !fits)
			break;
		top_put_char(cells, x + used, y, style, ch);
		if (columns == 2)
			top_put_char(cells, x + used + 1, y, style, 0);
		used += columns;
	}
	if (!fits)
		top_put_char(cells, x + used++, y, style, cells->utf8 ? 0x2026 : '~');
	return used;
}

void top_put_right(struct top_cells *cells, int x, int y, int room, uint8_t style, const char *text)
{
	int columns = top_columns(cells, text);

	top_put(cells, x + MAX(room - columns, 0), y, MIN(columns, room), style, text);
}

char *top_next_line(const struct top_cells *cells, const char **text, int room)
{
	const char *start = *text + strspn(*text, " ");
	const char *p = start, *end = start, *word = NULL;
	int used = 0;

	while (*p) {
		if (*p == ' ')
			word = p;
		used += char_columns(next_char(cells, &p));
		if (used > room)
			break;
		end = p;
	}
	if (*end == ' ' || !*end)
		word = NULL;
	else if (word)
		end = word;
	/* A wide character in a room of one column is skipped, so that the text ends. */
	*text = end > start ? end : p;
	return *start ? g_strndup(start, (gsize)(end - start)) : NULL;
}
