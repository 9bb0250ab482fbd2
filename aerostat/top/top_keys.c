/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/top/top_keys.h"

#include <string.h>

#include "aerostat/top/top_read.h"

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

/* The larger first, the unknown last. */
static int compare_bytes(const json_t *a, const json_t *b, const char *key)
{
	uint64_t of_a = top_sum(top_bytes(a, key), 0);
	uint64_t of_b = top_sum(top_bytes(b, key), 0);

	return of_a == of_b ? 0 : of_a > of_b ? -1 : 1;
}

static int urgency(const json_t *guest)
{
	return top_flag(guest, "critical") ? 2 : top_flag(guest, "pressured");
}

static uint64_t lack(const json_t *guest)
{
	uint64_t want = top_bytes(guest, "want_bytes");
	uint64_t actual = top_bytes(guest, "actual_bytes");

	return want == HV_UNSET || actual == HV_UNSET || want < actual ? 0 : want - actual;
}

static int compare_pressure(const json_t *a, const json_t *b)
{
	if (urgency(a) != urgency(b))
		return urgency(b) - urgency(a);
	return lack(a) == lack(b) ? 0 : lack(a) > lack(b) ? -1 : 1;
}

static int compare(gconstpointer left, gconstpointer right, gpointer data)
{
	const json_t *a = *(const json_t *const *)left;
	const json_t *b = *(const json_t *const *)right;
	enum top_sort sort = *(const enum top_sort *)data;
	json_int_t of_a = top_id(a), of_b = top_id(b);
	int order = 0;

	if (sort == TOP_SORT_ACTUAL)
		order = compare_bytes(a, b, "actual_bytes");
	else if (sort == TOP_SORT_WANT)
		order = compare_bytes(a, b, "want_bytes");
	else if (sort == TOP_SORT_PRESSURE)
		order = compare_pressure(a, b);
	if (!order)
		order = strcmp(top_text(a, "name"), top_text(b, "name"));
	return order ? order : (of_a > of_b) - (of_a < of_b);
}

GPtrArray *top_order(const json_t *status, enum top_sort sort)
{
	GPtrArray *order = g_ptr_array_new();
	json_t *guest;
	size_t i;

	json_array_foreach (json_object_get(status, "guests"), i, guest)
		g_ptr_array_add(order, guest);
	g_ptr_array_sort_with_data(order, compare, &sort);
	return order;
}

/* Selects the place, or the nearest one that there is. */
static void select_place(struct top_choice *choice, const GPtrArray *order, gint64 place)
{
	choice->selected = order->len ? (guint)CLAMP(place, 0, (gint64)order->len - 1) : 0;
	choice->id = order->len ? top_id(order->pdata[choice->selected]) : 0;
}

void top_settle(struct top_choice *choice, const GPtrArray *order, guint rows)
{
	guint place = 0;

	while (place < order->len && top_id(order->pdata[place]) != choice->id)
		place++;
	select_place(choice, order, place < order->len ? place : choice->selected);
	rows = MAX(rows, 1);
	choice->first = MIN(choice->first, order->len > rows ? order->len - rows : 0);
	if (choice->selected < choice->first)
		choice->first = choice->selected;
	else if (choice->selected - choice->first >= rows)
		choice->first = choice->selected - rows + 1;
}

const json_t *top_selected(const struct top_choice *choice, const GPtrArray *order)
{
	return choice->selected < order->len ? order->pdata[choice->selected] : NULL;
}

enum top_act top_key(struct top_choice *choice, const GPtrArray *order, guint rows, int key)
{
	gint64 place = choice->selected;

	if (choice->help) {
		choice->help = false;
		return key == 'q' ? TOP_ACT_QUIT : TOP_ACT_NONE;
	}
	switch (key) {
	case TOP_KEY_UP:
		place--;
		break;
	case TOP_KEY_DOWN:
		place++;
		break;
	case TOP_KEY_PAGE_UP:
		place -= rows;
		break;
	case TOP_KEY_PAGE_DOWN:
		place += rows;
		break;
	case TOP_KEY_HOME:
		place = 0;
		break;
	case TOP_KEY_END:
		place = G_MAXINT;
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
	select_place(choice, order, place);
	return TOP_ACT_NONE;
}
