/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A screen of styled cells, so that pictures are made, and tested, without a terminal.
 *
 * Names come from guests and may hold anything, so nothing leaves the room that it is given: texts
 * are cut to it, and a character that does not take one or two columns is shown as "?".
 */
#ifndef AEROSTAT_TOP_CELLS_H
#define AEROSTAT_TOP_CELLS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A style is a colour and attributes; without colours, the attributes alone. */
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

/* A screen full of spaces; free it with g_free().  Without @utf8 it stays pure ASCII. */
struct top_cells *top_cells_new(int width, int height, bool utf8);

/* The cell at column @x of line @y, both from 0; NULL if it is outside. */
struct top_cell *top_cell_at(struct top_cells *cells, int x, int y);
/* Writes one character of one column; nothing if it is outside. */
void top_put_char(struct top_cells *cells, int x, int y, uint8_t style, gunichar ch);
/*
 * Writes as much of @text as fits into @room columns, and a mark where it was cut; returns the
 * number of columns used.
 */
int top_put(struct top_cells *cells, int x, int y, int room, uint8_t style, const char *text);
/* As top_put(), aligned to the right end of its room. */
void top_put_right(struct top_cells *cells, int x, int y, int room, uint8_t style,
		   const char *text);
/* How many columns @text takes. */
int top_columns(const struct top_cells *cells, const char *text);
/*
 * top_next_line - break a text into lines
 * @text: advanced past the line that is returned
 * @room: columns per line
 *
 * Breaks between words where it can.  Returns NULL at the end of the text; free each line.
 */
char *top_next_line(const struct top_cells *cells, const char **text, int room);

#endif
