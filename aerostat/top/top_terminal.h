/* SPDX-License-Identifier: BSD-3-Clause */
/* The terminal of aerostat top, by ncurses: cells out, keys in. */
#ifndef AEROSTAT_TOP_TERMINAL_H
#define AEROSTAT_TOP_TERMINAL_H

#include "aerostat/top/top_cells.h"

struct top_terminal;
/* Takes the whole of it; NULL when nobody knows how to draw on it. */
struct top_terminal *top_terminal_take(void);
/* Gives it back as it was. */
void top_terminal_free(struct top_terminal *terminal);

int top_terminal_width(void);
int top_terminal_height(void);
/* Looks how large it is now; after SIGWINCH. */
void top_terminal_resize(void);
bool top_terminal_has_utf8(void);
void top_terminal_show(const struct top_terminal *terminal, struct top_cells *cells);
/* A key that was pressed, as top_keys.h names it, or 0; does not wait. */
int top_terminal_key(void);

#endif
