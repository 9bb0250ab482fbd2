/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fleets: what the guests of a trace, their drivers and their devices can do.
 *
 * A trace says what loads do; a fleet says with which parts.  So the same traces show what a part
 * is worth.
 */
#ifndef AEROSTAT_SIM_FLEET_H
#define AEROSTAT_SIM_FLEET_H

#include "simulator/trace.h"

struct fleet {
	const char *name;
	const char *help;
	bool drawn;	       /* the trace's own abilities are kept, and these are added */
	uint64_t abilities[2]; /* of guests with an even and with an odd index */
	bool own_driver[2];    /* likewise; not used if drawn */
};

/* All fleets, ending with a NULL name.  The first is the default. */
extern const struct fleet fleets[];

/* The fleet of this name, or NULL. */
const struct fleet *fleet_find(const char *name);

/* Gives the guests of @trace these parts. */
void fleet_equip(const struct fleet *fleet, struct trace *trace);

#endif
