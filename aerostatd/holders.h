/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who holds the memory that a guest wants and does not get.
 *
 * The policy knows only numbers, so it reports that the budget is used.  Whose guests use it is
 * added here, to the text for people: "…; beta holds 600 MiB, gamma 500 MiB".
 */
#ifndef AEROSTATD_HOLDERS_H
#define AEROSTATD_HOLDERS_H

#include "aerostatd/manager.h"

/* The largest guests: as many as a text names, and one more, as it does not name the guest itself.
 */
#define HOLDERS_NAMED 2
struct holders {
	const struct managed *largest[HOLDERS_NAMED + 1]; /* NULL at the end, if there are fewer */
};

/* Finds the @count guests' largest by what they use. */
struct holders holders_find(struct managed *const *guests, size_t count);

/*
 * holders_append - complete the text of a decision
 * @guest: the one that is decided about
 *
 * Without effect unless the guest gets less than it wants because others have the rest.
 */
void holders_append(const struct holders *holders, const struct managed *guest,
		    struct policy_decision *decision);

#endif
