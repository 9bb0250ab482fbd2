/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The roster: which guests there are.  A thread lists them every second.
 *
 * It compares what the sources (libvirt URIs, globs of monitor sockets) list with what they listed
 * before, and reports to the main loop what is new and what is gone.  A source that cannot be
 * queried loses no guest: its guests stay, and its problem is reported once, as is the end of it.
 * A monitor socket is gone only if the kernel said so of that socket: a list that is short proves
 * nothing.
 *
 * All functions, and all callbacks, are for the thread of the default main context.
 */
#ifndef AEROSTATD_ROSTER_H
#define AEROSTATD_ROSTER_H

#include "hypervisor/hypervisor.h"

#define ROSTER_US G_USEC_PER_SEC

struct roster_ops {
	/* A guest that was not listed before; the callback owns it. */
	void (*found)(void *data, hv_guest *guest);
	/* A guest that is not listed any more.  It may still run. */
	void (*gone)(void *data, const char *source, const char *address);
	/* A source (a libvirt URI, or "qmp:GLOB") cannot be queried (@text), or can be again, or
	 * was removed (NULL). */
	void (*problem)(void *data, const char *source, const char *text);
};

struct roster;

/* Starts to look for the guests of @sources, which are copied.  NULL: no thread could be started.
 */
struct roster *roster_new(const struct hv_sources *sources, const struct roster_ops *ops,
			  void *data, GError **error);

/* Uses other sources from now on; guests that only the old ones list are gone. */
void roster_set_sources(struct roster *roster, const struct hv_sources *sources);

/* Lists the guests now, without waiting for the next second. */
void roster_refresh(struct roster *roster);

/* Forgets a guest that has ended, so that one at the same address is found as a new one. */
void roster_forget(struct roster *roster, const char *source, const char *address);

/* No callback runs after this. */
void roster_free(struct roster *roster);

#endif
