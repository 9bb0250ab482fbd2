/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A screen of styled cells, for pictures that are made without a terminal.
 *
 * Whatever is put stays within the room that it is given: names come from guests, so texts
 * are cut to their room, and what is not printed as one or two columns is shown as "?".
 */
#ifndef AEROSTAT_TOP_CELLS_H
#define AEROSTAT_TOP_CELLS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A style is a colour and what is added to it; where there are no colours, the latter alone. */
enum top_colour {
	TOP_NORMAL,
	TOP_GREEN,
	TOP_YELLOW,
	TOP_RED,
	TOP_BLUE,
	TOP_CYAN,
	TOP_COLOURS,
};
#define TOP_COLOUR_MASK 0x0f
#define TOP_BOLD 0x10
#define TOP_DIM 0x20
#define TOP_REVERSE 0x40

struct top_cell {
	gunichar ch; /* 0: covered by the wide character to the left */
	uint8_t style;
};

struct top_cells {
	int width, height;
	bool utf8; /* else all is ASCII */
	struct top_cell cell[];
};

/* Full of spaces; free it with g_free(). */
struct top_cells *top_cells_new(int width, int height, bool utf8);

/* NULL outside. */
struct top_cell *top_cell_at(struct top_cells *cells, int x, int y);
void top_put_char(struct top_cells *cells, int x, int y, uint8_t style, gunichar ch);
/* As much of @text as fits into @room columns, with a mark where it was cut; the columns used. */
int top_put(struct top_cells *cells, int x, int y, int room, uint8_t style, const char *text);
/* The same at the right of its room. */
void top_put_right(struct top_cells *cells, int x, int y, int room, uint8_t style,
		   const char *text);
/* The columns that @text takes. */
int top_columns(const struct top_cells *cells, const char *text);
/*
 * The beginning of *@text that fits into @room columns, cut between words where there are
 * any; *@text moves behind it.  NULL at the end of the text; free it.
 */
char *top_next_line(const struct top_cells *cells, const char **text, int room);

#endif
