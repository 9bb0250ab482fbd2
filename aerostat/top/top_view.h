/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The picture that aerostat top shows: from the daemon's answers to cells.  Pure: no I/O.
 *
 * Theory of operation
 * -------------------
 * The layout depends on width and height alone, never on the guests' numbers or names, so that
 * nothing moves while a user looks at it:
 *
 *   title
 *   host       4 lines, 2, or 1: its RAM, and how much of the budget guests have
 *   heading    of the list, from a height of 10 on
 *   list       one line per guest, scrolled
 *   detail     the selected guest: why it has the size it has, its last changes
 *   message    from a height of 12 on; on a lower screen it replaces the keys
 *   keys
 */
#ifndef AEROSTAT_TOP_VIEW_H
#define AEROSTAT_TOP_VIEW_H

#include "aerostat/top/top_cells.h"
#include "aerostat/top/top_keys.h"

#define TOP_WIDTH_MIN 40
#define TOP_HEIGHT_MIN 8

struct top_view {
	const struct daemon_status *status;
	const struct daemon_guest
		*detail;		 /* the selected guest with its history; NULL: no answer */
	const GPtrArray *order;		 /* top_sort_guests() of the status */
	const struct top_choice *choice; /* after top_settle_choice() */
	int64_t now_us, lost_us; /* since the epoch; lost_us: no answer since then; 0: there is */
	const char *message;	 /* NULL: none */
	bool message_bad;
	int width, height;
	bool utf8;
};

/* How many guests the list shows at once on a screen of that size; at least 1. */
guint top_view_rows(int width, int height);
/* Draws the whole picture; free it with g_free(). */
struct top_cells *top_view_draw(const struct top_view *view);

#endif
