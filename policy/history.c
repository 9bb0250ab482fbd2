/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The histories of all guests.
 *
 * Theory of operation
 * -------------------
 * Histories are kept in the order of the guests' ids, and each step works in that order
 * whatever the order of its input, so the decisions do not depend on it.  Guests usually come
 * in the same order every time, and rarely start or end.  So a step usually finds the list
 * sorted and the histories fitting; else it sorts the list, and merges the histories with it.
 *
 * The sort is written out here because the C library's may allocate memory and choose its
 * algorithm by the machine.
 */
#include "policy/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void sift_place(struct place *places, size_t root, size_t count)
{
	struct place moved = places[root];
	size_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && places[child + 1].id > places[child].id)
			child++;
		if (places[child].id <= moved.id)
			break;
		places[root] = places[child];
		root = child;
	}
	places[root] = moved;
}

static void sort_places(struct place *places, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_place(places, i - 1, count);
	for (size_t end = count; end > 1; end--) {
		struct place largest = places[0];

		places[0] = places[end - 1];
		places[end - 1] = largest;
		sift_place(places, 0, end - 1);
	}
}

static int grow_histories(struct histories *histories, size_t count)
{
	struct place *places;
	struct history *grown;

	if (count <= histories->room)
		return 0;
	places = reallocarray(histories->places, count, sizeof(*places));
	if (!places)
		return -ENOMEM;
	histories->places = places;
	grown = reallocarray(histories->list, count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	histories->list = grown;
	histories->room = count;
	return 0;
}

static bool are_same_guests(const struct histories *histories, size_t count)
{
	if (histories->count != count)
		return false;
	for (size_t k = 0; k < count; k++)
		if (histories->list[k].id != histories->places[k].id)
			return false;
	return true;
}

/* Moves the histories of guests that stay to the front, in order; returns how many stay. */
static size_t drop_gone_guests(struct histories *histories, size_t count)
{
	size_t place = 0, kept = 0;

	for (size_t k = 0; k < histories->count; k++) {
		while (place < count && histories->places[place].id < histories->list[k].id)
			place++;
		if (place == count)
			break;
		if (histories->places[place].id != histories->list[k].id)
			continue;
		if (kept != k)
			histories->list[kept] = histories->list[k];
		kept++;
		place++;
	}
	return kept;
}

/* Makes room for each new guest, from the end, so that each history moves once. */
static void insert_new_guests(struct histories *histories, size_t kept, size_t count)
{
	for (size_t k = count; k > 0; k--) {
		struct history *history = &histories->list[k - 1];
		uint64_t id = histories->places[k - 1].id;

		if (kept > 0 && histories->list[kept - 1].id == id) {
			kept--;
			if (kept != k - 1)
				*history = histories->list[kept];
			continue;
		}
		memset(history, 0, sizeof(*history));
		history->id = id;
		history->resident = history->counted = POLICY_UNSET;
		symptoms_reset(&history->symptoms);
	}
}

int histories_match(struct histories *histories, const struct policy_guest *guests, size_t count)
{
	bool sorted = true;

	if (grow_histories(histories, count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		histories->places[i] = (struct place){ .id = guests[i].id, .index = i };
		sorted = sorted && (i == 0 || guests[i - 1].id <= guests[i].id);
	}
	if (!sorted)
		sort_places(histories->places, count);
	if (!are_same_guests(histories, count)) {
		insert_new_guests(histories, drop_gone_guests(histories, count), count);
		histories->count = count;
	}
	return 0;
}

void histories_free(struct histories *histories)
{
	free(histories->list);
	free(histories->places);
	*histories = (struct histories){ 0 };
}
