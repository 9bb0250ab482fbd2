/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory that the VMM takes away while it is in use.
 *
 * Theory of operation
 * -------------------
 * When a VMM truncates a file that is mapped here as guest RAM, the next access to
 * it raises SIGBUS.  The handler then maps zeros from the faulting page to the end
 * of the region, so that whatever was running can go on: it reads a ring of zeros,
 * which the device knows how to refuse.  It maps up to the end because that is
 * what truncation removes, and because a mapping per page could exceed the number
 * of mappings that a process may have.
 *
 * The signal is raised only while the process itself accesses guest memory, in its
 * only thread, and so never while the list of regions is being changed: the
 * handler may read it.  Any other SIGBUS ends the process as usual.
 */
#ifndef AEROSTAT_DEVICE_SIGBUS_H
#define AEROSTAT_DEVICE_SIGBUS_H

#include <stdint.h>

#include "device/memory.h"

/* Installs the handler for the regions of @memory, which must live until sigbus_uninstall().
 * 0 or -errno. */
int sigbus_install(const struct memory *memory);
/* Restores the default action. */
void sigbus_uninstall(void);
/* How often memory has been replaced since sigbus_install(). */
unsigned int sigbus_count(void);

#endif
