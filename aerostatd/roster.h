/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which guests there are: a thread that looks for them, every second.
 *
 * It compares what the sources (libvirt URIs, globs of sockets) list with what it
 * listed before and tells the loop of what is new and what is gone.  A source that cannot
 * be asked loses no guest: its guests stay, and its problem is told once, as is its end.
 */
#ifndef AEROSTAT_ROSTER_H
#define AEROSTAT_ROSTER_H

#include "hypervisor/hypervisor.h"

#define ROSTER_US G_USEC_PER_SEC

struct roster_ops {
	/* A guest that was not there: the callback owns it. */
	void (*found)(void *data, hv_guest *guest);
	/* One that is not listed any more. */
	void (*gone)(void *data, const char *source, const char *address);
	/* A source cannot be asked (@text), or can again (NULL). */
	void (*problem)(void *data, const char *source, const char *text);
};

struct roster;
struct roster *roster_new(const struct hv_sources *sources, const struct roster_ops *ops,
			  void *data);
/* Looks elsewhere from now on; guests of sources that are no more are gone. */
void roster_reload(struct roster *roster, const struct hv_sources *sources);
/* Looks now, not only at its time. */
void roster_look(struct roster *roster);
/* A guest that ended and may come back under the same address: found anew when it does. */
void roster_forget(struct roster *roster, const char *source, const char *address);
void roster_free(struct roster *roster);

#endif
