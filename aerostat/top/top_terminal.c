/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/top/top_terminal.h"

#include <curses.h>
#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>
#include <wchar.h>

#include "aerostat/top/top_keys.h"

#define ESCAPE_MS 50 /* how long the rest of a key's sequence may take */

struct top_terminal {
	SCREEN *screen;
	bool colours;
};

/*
 * Whether the terminal can move its cursor, without which curses cannot draw.  newterm() would find
 * out as well, but it leaks memory when it fails.
 */
static bool can_move_cursor(void)
{
	int why;
	const char *move;

	if (setupterm(NULL, STDOUT_FILENO, &why) != OK)
		return false;
	move = tigetstr("cup");
	del_curterm(cur_term);
	return move && move != (const char *)-1;
}

static bool set_up_colours(void)
{
	static const short colours[TOP_COLOURS] = {
		[TOP_NORMAL] = -1,     [TOP_GREEN] = COLOR_GREEN, [TOP_YELLOW] = COLOR_YELLOW,
		[TOP_RED] = COLOR_RED, [TOP_BLUE] = COLOR_BLUE,	  [TOP_CYAN] = COLOR_CYAN,
	};
	const char *unwanted = g_getenv("NO_COLOR");

	if ((unwanted && *unwanted) || !has_colors())
		return false;
	start_color();
	if (use_default_colors() != OK || COLOR_PAIRS < TOP_COLOURS)
		return false;
	for (short i = 1; i < TOP_COLOURS; i++)
		init_pair(i, colours[i], -1);
	return true;
}

struct top_terminal *top_terminal_open(void)
{
	SCREEN *screen = can_move_cursor() ? newterm(NULL, stdout, stdin) : NULL;
	struct top_terminal *terminal;

	if (!screen)
		return NULL;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	terminal = g_new0(struct top_terminal, 1);
	terminal->screen = screen;
	terminal->colours = set_up_colours();
	return terminal;
}

void top_terminal_close(struct top_terminal *terminal)
{
	endwin();
	delscreen(terminal->screen);
	g_free(terminal);
}

int top_terminal_width(void)
{
	return COLS;
}

int top_terminal_height(void)
{
	return LINES;
}

void top_terminal_resize(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

bool top_terminal_has_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static attr_t attributes_of_style(uint8_t style)
{
	return (style & TOP_BOLD ? A_BOLD : 0) | (style & TOP_DIM ? A_DIM : 0) |
	       (style & TOP_REVERSE ? A_REVERSE : 0);
}

static void show_cell(const struct top_terminal *terminal, int x, int y,
		      const struct top_cell *cell, int width)
{
	wchar_t text[2] = { (wchar_t)cell->ch, 0 };
	short pair = terminal->colours ? cell->style & TOP_COLOUR_MASK : 0;
	cchar_t out;

	/* If the C library disagrees about the width, the rest of the line would shift. */
	if (wcwidth(text[0]) != width)
		text[0] = '?';
	setcchar(&out, text, attributes_of_style(cell->style), pair, NULL);
	mvadd_wch(y, x, &out);
}

void top_terminal_show(const struct top_terminal *terminal, struct top_cells *cells)
{
	erase();
	for (int y = 0; y < cells->height; y++) {
		for (int x = 0; x < cells->width; x++) {
			const struct top_cell *cell = top_cell_at(cells, x, y);
			const struct top_cell *next = top_cell_at(cells, x + 1, y);

			if (cell->ch)
				show_cell(terminal, x, y, cell, next && !next->ch ? 2 : 1);
		}
	}
	refresh();
}

int top_terminal_key(void)
{
	int key = getch();

	switch (key) {
	case ERR:
		return 0;
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	default:
		return key;
	}
}
