/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must outlive the daemon: how each guest was before it was managed, and
 * what people decided since.
 *
 * Theory of operation
 * -------------------
 * One JSON file in the daemon's folder (/run/aerostat), replaced as a whole, so that
 * it is never half written.  It is written before the first change of a guest is made.  The
 * guardian puts guests back by it, a daemon that is started again goes on from it.
 *
 * A guest is the same one only if its VMM is the same process: one that was started
 * anew was never managed.
 */
#ifndef AEROSTAT_KEEP_H
#define AEROSTAT_KEEP_H

#include <glib.h>
#include <stdbool.h>

#include "hypervisor/hypervisor.h"

struct keep_guest {
	char *source;  /* "qmp", or a libvirt URI: hv_guest's */
	char *address; /* "qmp:PATH", or a domain's name */
	char *name;
	char *uuid;	       /* NULL when unknown */
	pid_t pid;	       /* of its VMM; 0 when unknown */
	uint64_t start_ticks;  /* when that process started (/proc/PID/stat); 0 when unknown */
	uint64_t before_bytes; /* its size before; never HV_UNSET */
	int before_period_s;   /* of its statistics; -1: not known, leave it */
	bool changed;	       /* the daemon has set it since: it has to be put back */
	int mode;	       /* enum policy_mode that a person chose; -1: none did */
	uint64_t held_bytes;   /* with POLICY_HELD; HV_UNSET: at whatever it has */
};
struct keep_guest *keep_guest_copy(const struct keep_guest *guest);
void keep_guest_free(struct keep_guest *guest);

/*
 * The guests of the file in @folder; empty when there is none.  A file that cannot
 * be understood is an error, and is left where it is.
 */
GPtrArray *keep_load(const char *folder, GError **error);
/* Replaces the file, durably; an empty array removes it. */
bool keep_save(const char *folder, const GPtrArray *guests, GError **error);
/* The guest of @guests that this is, running still in the same process; NULL. */
struct keep_guest *keep_find(const GPtrArray *guests, const char *source, const char *address,
			     pid_t pid);
/* Whether the guest's VMM still is the process it was, as far as that is known; @pid: that of
 * now, 0 when unknown. */
bool keep_same_process(const struct keep_guest *guest, pid_t pid);
/* When process @pid started, in ticks since boot; 0 when it cannot be told, or it is dead. */
uint64_t keep_start_ticks(pid_t pid);

/*
 * keep_lock - one daemon a folder
 *
 * Makes the folder (0755) if need be and locks it, waiting at most @wait_ms.  Returns a
 * descriptor to close, or -1 with a G_FILE_ERROR: AGAIN when another has it.  No program that
 * is started inherits it.  A daemon should wait longer than a guardian may be at work
 * (GUARDIAN_RESTORE_MS).
 */
int keep_lock(const char *folder, unsigned int wait_ms, GError **error);

#endif
