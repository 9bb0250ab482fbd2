/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a guest is still the guest it was.
 *
 * Theory of operation
 * -------------------
 * An address (a monitor socket, a domain's name) outlives the guest behind it: another guest may
 * start there, and a process number may be given to another process.  What identifies a guest is
 * the process that runs it, by its number and its start time.  Where that is unknown (libvirt on
 * another host) the UUID decides, and where there is none the name.
 *
 * Every question has three answers: yes, no, and "could not look".  A daemon that has no file
 * descriptor left, or may not read /proc, must never conclude that a guest has ended.
 */
#ifndef AEROSTATD_IDENTITY_H
#define AEROSTATD_IDENTITY_H

#include "hypervisor/hypervisor.h"
#include "hypervisor/process_state.h"

/* What is known of a guest; a number that is unknown is 0, a text NULL. */
struct identity {
	pid_t pid; /* of the process that runs it, on this host */
	uint64_t start_ticks;
	const char *uuid, *name;
};

/* Whether what answers at a guest's address with @info is that guest.  Unless there is proof
 * to the contrary, it is. */
bool identity_matches(const struct identity *guest, const struct hv_info *info);

/*
 * identity_is_same - whether two descriptions are of one guest, wherever each was found
 *
 * True only if that is proven: by the process that runs it, unless UUID or name contradict, or
 * where a process is unknown by the UUID.  (One process may serve several monitors.)
 */
bool identity_is_same(const struct identity *a, const struct identity *b);

#endif
