/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shortages of this process: of file descriptors, memory or threads.
 *
 * Theory of operation
 * -------------------
 * A call that fails because this process is short of something has learned nothing of the guest it
 * was about.  Such a failure has its own code, HV_ERROR_SHORTAGE, so that no caller takes it for
 * "nobody listens" or "there is no such guest", which are answers.
 */
#ifndef AEROSTAT_HYPERVISOR_SHORTAGE_H
#define AEROSTAT_HYPERVISOR_SHORTAGE_H

#include <glib.h>
#include <stdbool.h>

/* Whether the errno @number means that this process, or the host, is short of something. */
bool shortage_is_errno(int number);

/* The errno @number for people, with the remedy: what is short, and what to raise. */
const char *shortage_explain(int number);

/* Sets HV_ERROR_SHORTAGE for a call that failed with the errno @number. */
void shortage_set_error(GError **error, int number);

/*
 * shortage_ends_process - have jansson and libxml2 end this process without memory, as GLib does
 *
 * Otherwise they return half a request, or call what another program has sent invalid.  To be
 * called first, before anything is allocated with them.
 */
void shortage_ends_process(void);

/*
 * shortage_raise_limit - allow this process as many open files as it may have
 *
 * Raises the soft limit of open files to the hard one.  Returns the limit that is in force then.
 */
unsigned long shortage_raise_limit(void);

#endif
