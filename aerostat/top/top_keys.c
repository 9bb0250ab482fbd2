/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/top/top_keys.h"

#include <string.h>

static const char *const sort_names[TOP_SORTS] = {
	[TOP_SORT_NAME] = "name",
	[TOP_SORT_ACTUAL] = "actual",
	[TOP_SORT_PRESSURE] = "pressure",
	[TOP_SORT_WANT] = "want",
};

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

/* The larger first, HV_UNSET last. */
static int compare_sizes(uint64_t a, uint64_t b)
{
	/* HV_UNSET + 1 is 0. */
	return (a + 1 < b + 1) - (a + 1 > b + 1);
}

static int rank_pressure(const struct daemon_guest *guest)
{
	return guest->critical ? 2 : guest->pressured;
}

static uint64_t missing_bytes(const struct daemon_guest *guest)
{
	uint64_t want = guest->decision.want_bytes, actual = guest->actual_bytes;

	return want == HV_UNSET || actual == HV_UNSET || want < actual ? 0 : want - actual;
}

static int compare_guests(gconstpointer left, gconstpointer right, gpointer data)
{
	const struct daemon_guest *a = *(const struct daemon_guest *const *)left;
	const struct daemon_guest *b = *(const struct daemon_guest *const *)right;
	enum top_sort sort = *(const enum top_sort *)data;
	int order = 0;

	if (sort == TOP_SORT_ACTUAL)
		order = compare_sizes(a->actual_bytes, b->actual_bytes);
	else if (sort == TOP_SORT_WANT)
		order = compare_sizes(a->decision.want_bytes, b->decision.want_bytes);
	else if (sort == TOP_SORT_PRESSURE)
		order = rank_pressure(b) - rank_pressure(a);
	if (sort == TOP_SORT_PRESSURE && !order)
		order = compare_sizes(missing_bytes(a), missing_bytes(b));
	if (!order)
		order = strcmp(a->name, b->name);
	return order ? order : (a->id > b->id) - (a->id < b->id);
}

GPtrArray *top_sort_guests(const struct daemon_status *status, enum top_sort sort)
{
	GPtrArray *order = g_ptr_array_new();

	for (size_t i = 0; i < status->guest_count; i++)
		g_ptr_array_add(order, &status->guests[i]);
	g_ptr_array_sort_with_data(order, compare_guests, &sort);
	return order;
}

static uint64_t id_at(const GPtrArray *order, guint position)
{
	return ((const struct daemon_guest *)order->pdata[position])->id;
}

/* Selects the guest at @position, or at the nearest one that exists. */
static void select_position(struct top_choice *choice, const GPtrArray *order, gint64 position)
{
	choice->selected = order->len ? (guint)CLAMP(position, 0, (gint64)order->len - 1) : 0;
	choice->id = order->len ? id_at(order, choice->selected) : 0;
}

void top_settle_choice(struct top_choice *choice, const GPtrArray *order, guint rows)
{
	guint position = 0;

	while (position < order->len && id_at(order, position) != choice->id)
		position++;
	select_position(choice, order, position < order->len ? position : choice->selected);
	rows = MAX(rows, 1);
	choice->first = MIN(choice->first, order->len > rows ? order->len - rows : 0);
	if (choice->selected < choice->first)
		choice->first = choice->selected;
	else if (choice->selected - choice->first >= rows)
		choice->first = choice->selected - rows + 1;
}

const struct daemon_guest *top_selected_guest(const struct top_choice *choice,
					      const GPtrArray *order)
{
	return choice->selected < order->len ? order->pdata[choice->selected] : NULL;
}

enum top_act top_handle_key(struct top_choice *choice, const GPtrArray *order, guint rows, int key)
{
	gint64 position = choice->selected;

	if (choice->help) {
		choice->help = false;
		return key == 'q' ? TOP_ACT_QUIT : TOP_ACT_NONE;
	}
	switch (key) {
	case TOP_KEY_UP:
		position--;
		break;
	case TOP_KEY_DOWN:
		position++;
		break;
	case TOP_KEY_PAGE_UP:
		position -= rows;
		break;
	case TOP_KEY_PAGE_DOWN:
		position += rows;
		break;
	case TOP_KEY_HOME:
		position = 0;
		break;
	case TOP_KEY_END:
		position = G_MAXINT;
		break;
	case 's':
		choice->sort = (choice->sort + 1) % TOP_SORTS;
		return TOP_ACT_NONE;
	case '?':
		choice->help = true;
		return TOP_ACT_NONE;
	case 'h':
		return order->len ? TOP_ACT_HOLD : TOP_ACT_NONE;
	case 'a':
		return order->len ? TOP_ACT_AUTO : TOP_ACT_NONE;
	case 'o':
		return order->len ? TOP_ACT_OBSERVE : TOP_ACT_NONE;
	case 'q':
		return TOP_ACT_QUIT;
	default:
		return TOP_ACT_NONE;
	}
	select_position(choice, order, position);
	return TOP_ACT_NONE;
}
