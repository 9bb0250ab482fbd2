/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the picture of top_view.h, one file each, and what they share. */
#ifndef AEROSTAT_TOP_PARTS_H
#define AEROSTAT_TOP_PARTS_H

#include "aerostat/top/top_read.h"
#include "aerostat/top/top_view.h"
#include "common/size.h"

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

/* top_host.c */
void top_draw_host(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* top_list.c */
void top_draw_heading(struct top_cells *cells, const struct top_view *view, int y);
void top_draw_list(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* Green, yellow under pressure, red when critical. */
uint8_t top_guest_colour(const json_t *guest);
bool top_is_stale(const json_t *guest);
/* "4 s"; "none" when unknown. */
void top_age_text(uint64_t age_us, char text[SIZE_TEXT_MAX]);
/* As size_write(); "?" when unknown. */
void top_size_text(uint64_t bytes, char text[SIZE_TEXT_MAX]);
/* top_detail.c */
void top_draw_detail(struct top_cells *cells, const struct top_view *view, struct top_area area);
/* "14:03:27", or "27 Nov" of another day. */
char *top_time_text(int64_t time_us, int64_t now_us);

#endif
