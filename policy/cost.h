/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the host gets back what is taken from a guest.  Sizes are in bytes. */
#ifndef AEROSTAT_COST_H
#define AEROSTAT_COST_H

#include <stdbool.h>
#include <stdint.h>

/* What cost.c keeps of a guest between steps.  Starts as all zeros. */
struct cost {
	bool watching; /* the next six are valid */
	/* Before the taking: its size, and by how much its RAM on the host exceeded that. */
	uint64_t size, excess;
	int64_t slot_us;	 /* when the present slot began */
	uint64_t highest, older; /* the largest sizes in the present slot and in the one before */

	uint64_t taken, returned; /* of the taking that was in vain */
	int64_t until_us;	  /* nothing is taken before this time; 0: it may be */
};

/*
 * cost_update - note a guest's size, and what its RAM costs the host
 * @size: its size now
 * @ram: the part of its RAM that is in the host's memory; POLICY_UNSET: not known
 */
void cost_update(struct cost *cost, uint64_t size, uint64_t ram, int64_t now_us);

/* Whether taking more from the guest is in vain, for now. */
bool cost_is_vain(const struct cost *cost, int64_t now_us);

#endif
