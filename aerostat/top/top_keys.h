/* SPDX-License-Identifier: BSD-3-Clause */
/* What the user of aerostat top chose, and what a key does to it.  Pure: no I/O. */
#ifndef AEROSTAT_TOP_KEYS_H
#define AEROSTAT_TOP_KEYS_H

#include <glib.h>
#include <stdbool.h>

#include "api_client/answers.h"

enum top_sort {
	TOP_SORT_NAME,
	TOP_SORT_ACTUAL,   /* largest first */
	TOP_SORT_PRESSURE, /* critical, pressured, then by how far actual is below want */
	TOP_SORT_WANT,	   /* largest first */
	TOP_SORTS,
};
/* "name", "actual", … */
const char *top_sort_name(enum top_sort sort);

struct top_choice {
	uint64_t id;	/* of the selected guest */
	guint selected; /* its position in the order */
	guint first;	/* the position at the top of the list */
	enum top_sort sort;
	bool help;
};

enum top_act {
	TOP_ACT_NONE, /* only the picture may have changed */
	TOP_ACT_QUIT,
	TOP_ACT_HOLD,
	TOP_ACT_AUTO,
	TOP_ACT_OBSERVE,
};

/* Keys without a letter are given the letters of less(1). */
#define TOP_KEY_UP 'k'
#define TOP_KEY_DOWN 'j'
#define TOP_KEY_HOME 'g'
#define TOP_KEY_END 'G'
#define TOP_KEY_PAGE_UP ('B' & 0x1f)
#define TOP_KEY_PAGE_DOWN ('F' & 0x1f)

/*
 * The guests of @status in order: struct daemon_guest *, which remain the status's.  Equal ones
 * are ordered by name, then by id; unknown numbers come last.
 */
GPtrArray *top_sort_guests(const struct daemon_status *status, enum top_sort sort);
/*
 * top_settle_choice - update selection and scrolling for a new @order
 * @rows: how many guests the list shows at once
 *
 * The selected guest stays selected wherever it moves to; if it has gone, the guest at its
 * position is selected.  The list scrolls only as far as it must to show the selected guest.
 */
void top_settle_choice(struct top_choice *choice, const GPtrArray *order, guint rows);
/* The selected guest; NULL if there are no guests. */
const struct daemon_guest *top_selected_guest(const struct top_choice *choice,
					      const GPtrArray *order);
/* Applies @key to the choice; what the caller has to do about it. */
enum top_act top_handle_key(struct top_choice *choice, const GPtrArray *order, guint rows, int key);

#endif
