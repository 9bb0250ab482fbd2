/* SPDX-License-Identifier: BSD-3-Clause */
/* What the person at aerostat top chose, and what a key does to it: pure. */
#ifndef AEROSTAT_TOP_KEYS_H
#define AEROSTAT_TOP_KEYS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

enum top_sort {
	TOP_SORT_NAME,
	TOP_SORT_ACTUAL,   /* the largest first */
	TOP_SORT_PRESSURE, /* critical, pressured, then who lacks most */
	TOP_SORT_WANT,	   /* the largest first */
	TOP_SORTS,
};
const char *top_sort_name(enum top_sort sort);

struct top_choice {
	json_int_t id;	/* of the selected guest */
	guint selected; /* its place in the order */
	guint first;	/* the place at the top of the list */
	enum top_sort sort;
	bool help;
};

enum top_act {
	TOP_ACT_NONE, /* at most the picture changes */
	TOP_ACT_QUIT,
	TOP_ACT_HOLD,
	TOP_ACT_AUTO,
	TOP_ACT_OBSERVE,
};

/* Keys that have no letter, as the pager's letters for them. */
#define TOP_KEY_UP 'k'
#define TOP_KEY_DOWN 'j'
#define TOP_KEY_HOME 'g'
#define TOP_KEY_END 'G'
#define TOP_KEY_PAGE_UP ('B' & 0x1f)
#define TOP_KEY_PAGE_DOWN ('F' & 0x1f)

/* The guests of a status, sorted; they stay the status's.  Equal ones by name, then by id. */
GPtrArray *top_order(const json_t *status, enum top_sort sort);
/*
 * top_settle - what is selected, and which part of the list is seen
 *
 * The guest selected stays so wherever it moves; when it has gone, that in its place is.  The
 * list scrolls no further than it must for the one selected to be among @rows.
 */
void top_settle(struct top_choice *choice, const GPtrArray *order, guint rows);
/* The one selected, NULL without any. */
const json_t *top_selected(const struct top_choice *choice, const GPtrArray *order);
enum top_act top_key(struct top_choice *choice, const GPtrArray *order, guint rows, int key);

#endif
