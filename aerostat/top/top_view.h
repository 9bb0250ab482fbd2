/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The picture that aerostat top shows: pure, from the daemon's answers to cells.
 *
 * Theory of operation
 * -------------------
 * What stands where follows from the width and the height alone, never from the guests'
 * numbers or names, so that nothing jumps while one looks:
 *
 *   title
 *   host       4 lines, 2, or 1: its RAM, and what guests were given of the budget
 *   heading    of the list, from a height of 10 on
 *   list       a line a guest, scrolled
 *   detail     the guest selected: why it has what it has, its last changes
 *   message    from a height of 12 on; below it takes the place of the keys
 *   keys
 */
#ifndef AEROSTAT_TOP_VIEW_H
#define AEROSTAT_TOP_VIEW_H

#include "aerostat/top/top_cells.h"
#include "aerostat/top/top_keys.h"

#define TOP_WIDTH_MIN 40
#define TOP_HEIGHT_MIN 8

struct top_view {
	const json_t *status;	/* GET /v1/status */
	const json_t *detail;	/* GET /v1/guests/NAME of the one selected; NULL: not there yet */
	const GPtrArray *order; /* top_order() of the status */
	const struct top_choice *choice; /* settled */
	int64_t now_us, lost_us; /* real time; lost_us: no answer since then; 0: all is well */
	const char *message;	 /* NULL: none */
	bool message_bad;
	int width, height;
	bool utf8;
};

/* How many guests the list shows at once. */
guint top_view_rows(int width, int height);
/* The whole picture, for g_free(). */
struct top_cells *top_view_draw(const struct top_view *view);

#endif
