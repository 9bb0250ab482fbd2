/* SPDX-License-Identifier: BSD-3-Clause */
/* The terminal of aerostat top, by ncurses: cells out, keys in. */
#ifndef AEROSTAT_TOP_TERMINAL_H
#define AEROSTAT_TOP_TERMINAL_H

#include "aerostat/top/top_cells.h"

struct top_terminal;
/* Takes over the whole screen; NULL if its TERM cannot be drawn on. */
struct top_terminal *top_terminal_open(void);
/* Restores the screen as it was. */
void top_terminal_close(struct top_terminal *terminal);

/* Columns of the screen. */
int top_terminal_width(void);
/* Lines of the screen. */
int top_terminal_height(void);
/* Reads the size of the screen again; call it after SIGWINCH. */
void top_terminal_resize(void);
/* Whether the locale, and so the terminal, uses UTF-8. */
bool top_terminal_has_utf8(void);
/* Shows @cells on the whole screen. */
void top_terminal_show(const struct top_terminal *terminal, struct top_cells *cells);
/* The next key that was pressed, as top_keys.h names it; 0 if there is none: it does not wait. */
int top_terminal_key(void);

#endif
