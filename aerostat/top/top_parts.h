/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the picture of top_view.h, one file each, and what they share.  Each part draws
 * within its area, whatever the answers of the daemon hold.
 */
#ifndef AEROSTAT_TOP_PARTS_H
#define AEROSTAT_TOP_PARTS_H

#include "aerostat/top/top_view.h"
#include "common/size.h"

/* Whole lines of the screen. */
struct top_area {
	int y, rows;
};

/* One kind of memory in a bar. */
struct top_segment {
	const char *name;
	uint64_t bytes;
	uint8_t style;
	gunichar utf8, ascii;
};

/* Draws the host's RAM and, in 4 rows or more, the budget of the guests; top_host.c. */
void top_draw_host(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* Draws the titles of the list's columns at line @y; top_list.c, as what follows. */
void top_draw_heading(struct top_cells *cells, const struct top_view *view, int y);
/* Draws one line per guest, from the choice's first one on. */
void top_draw_list(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* Green, yellow under pressure, red when critical. */
uint8_t top_guest_colour(const struct daemon_guest *guest);
/* Whether the policy takes nothing from the guest because its statistics are too old. */
bool top_is_stale(const struct daemon_guest *guest);
/* "4 s"; "none" for HV_UNSET. */
void top_write_age(uint64_t age_us, char text[SIZE_TEXT_MAX]);
/* As size_write(); "?" for HV_UNSET. */
void top_write_size(uint64_t bytes, char text[SIZE_TEXT_MAX]);
/* Draws figures, reason and last changes of the guest selected; top_detail.c, as what follows. */
void top_draw_detail(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* Local time: "14:03:27" within a day of @now_us, "27 Nov" otherwise; free it. */
char *top_format_time(int64_t time_us, int64_t now_us);

#endif
