/* SPDX-License-Identifier: BSD-3-Clause */
/* A status composed as JSON piece by piece, parsed and drawn, and the picture read back. */
#ifndef AEROSTAT_TOP_SCENE_H
#define AEROSTAT_TOP_SCENE_H

#include "aerostat/top/top_view.h"
#include "common/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW_US (INT64_C(1790000000) * G_USEC_PER_SEC) /* 14:13:20 UTC, 21 Sep */
#define FIRST_GUEST_Y 7				      /* on 80x24 */
#define BAR_X 19
#define BAR_WIDTH 21
#define NOT_MENTIONED -1

/* What is shown, what was chosen, and the picture as it was drawn last. */
struct scene {
	json_t *status, *detail;	     /* as the daemon would answer */
	struct daemon_status *parsed_status; /* what they were when drawn last */
	struct daemon_guest *parsed_detail;
	struct top_choice choice;
	struct top_view view;
	GPtrArray *order;
	struct top_cells *cells;
};

/* A host of 16 GiB, half of it available, 12 GiB of budget, and no guests; 80x24. */
int scene_set_up(void **state);
int scene_tear_down(void **state);

/* A guest of 1024 MiB, borrowed; its sizes in MiB. */
json_t *add_guest(struct scene *scene, const char *name, json_int_t actual, json_int_t need,
		  json_int_t want, json_int_t target);
/* "alpha", of 512 MiB, that needs 128 and wants 256, and is set to 768. */
json_t *add_plain_guest(struct scene *scene);
void set_text(json_t *object, const char *key, const char *text);
void set_bytes(json_t *object, const char *key, uint64_t bytes);
void set_age(json_t *guest, json_int_t seconds);
/* The detail of guest @id, with @count changes, a minute apart from now back. */
void add_change(struct scene *scene, json_int_t id, int count);

void draw(struct scene *scene);
void draw_on(struct scene *scene, int width, int height);

char *line_of(const struct scene *scene, int y);
/* The first line that holds @words; NOT_MENTIONED. */
int line_with(const struct scene *scene, const char *words);
uint8_t style_at(const struct scene *scene, int x, int y);
void assert_says(const struct scene *scene, const char *words);
void assert_silent(const struct scene *scene, const char *words);
void assert_line_ends(const struct scene *scene, int y, const char *end);
void assert_part(const struct scene *scene, int y, int x, const char *expected);
/* The bar of the first guest. */
void assert_bar(const struct scene *scene, const char *expected);

#endif
