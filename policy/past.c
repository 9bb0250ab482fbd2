/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pasts of all guests.
 *
 * Theory of operation
 * -------------------
 * They are kept in order of ids, and each step works in that order, whatever the
 * order of its input: so the answers do not depend on it.  Guests usually come in
 * the same order each time and seldom come and go, so a step finds its list sorted,
 * or sorts it, and the pasts fit it as they are, or are merged with it.
 *
 * The sort is written out because libc's may allocate and look at the machine.
 */
#include "policy/past.h"

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

static int grow_pasts(struct pasts *pasts, size_t count)
{
	struct place *places;
	struct past *grown;

	if (count <= pasts->room)
		return 0;
	places = reallocarray(pasts->places, count, sizeof(*places));
	if (!places)
		return -ENOMEM;
	pasts->places = places;
	grown = reallocarray(pasts->pasts, count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	pasts->pasts = grown;
	pasts->room = count;
	return 0;
}

static bool past_is_of_guest(const struct pasts *pasts, size_t count)
{
	if (pasts->count != count)
		return false;
	for (size_t k = 0; k < count; k++)
		if (pasts->pasts[k].id != pasts->places[k].id)
			return false;
	return true;
}

/* Moves those that stay to the front, in order; returns how many stay. */
static size_t clear_past(struct pasts *pasts, size_t count)
{
	size_t place = 0, kept = 0;

	for (size_t k = 0; k < pasts->count; k++) {
		while (place < count && pasts->places[place].id < pasts->pasts[k].id)
			place++;
		if (place == count)
			break;
		if (pasts->places[place].id != pasts->pasts[k].id)
			continue;
		if (kept != k)
			pasts->pasts[kept] = pasts->pasts[k];
		kept++;
		place++;
	}
	return kept;
}

/* Opens a gap for each new one, from the end, so that each past moves once. */
static void merge_pasts(struct pasts *pasts, size_t kept, size_t count)
{
	for (size_t k = count; k > 0; k--) {
		struct past *past = &pasts->pasts[k - 1];
		uint64_t id = pasts->places[k - 1].id;

		if (kept > 0 && pasts->pasts[kept - 1].id == id) {
			kept--;
			if (kept != k - 1)
				*past = pasts->pasts[kept];
			continue;
		}
		memset(past, 0, sizeof(*past));
		past->id = id;
		signs_first(&past->signs);
	}
}

int pasts_match(struct pasts *pasts, const struct policy_guest *guests, size_t count)
{
	bool sorted = true;

	if (grow_pasts(pasts, count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		pasts->places[i] = (struct place){ .id = guests[i].id, .index = i };
		sorted = sorted && (i == 0 || guests[i - 1].id <= guests[i].id);
	}
	if (!sorted)
		sort_places(pasts->places, count);
	if (!past_is_of_guest(pasts, count)) {
		merge_pasts(pasts, clear_past(pasts, count), count);
		pasts->count = count;
	}
	return 0;
}

void pasts_free(struct pasts *pasts)
{
	free(pasts->pasts);
	free(pasts->places);
	*pasts = (struct pasts){ 0 };
}
