/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory that is taken away under our hands.
 *
 * Theory of operation
 * -------------------
 * A VMM that truncates a file which is mapped here as guest RAM makes the next
 * look at it a SIGBUS.  The handler puts memory of zeros in the place of that
 * region, from the page at fault to the region's end, so that whatever was
 * going on goes on: it reads a ring of zeros, which the device knows how to
 * refuse.  To the end, because that is what truncation takes, and because
 * page-sized patches could number more than a process may have mappings.
 *
 * The signal comes only while the process itself touches guest memory, in its
 * one thread, hence never while the list of regions is being changed: the
 * handler may read it.  A SIGBUS from anywhere else ends the process as always.
 */
#ifndef AEROSTAT_TRANSPORT_SIGBUS_H
#define AEROSTAT_TRANSPORT_SIGBUS_H

#include <stdint.h>

#include "device/memory.h"

/* @memory has to stay until sigbus_uninstall(); 0 or -errno. */
int sigbus_install(const struct memory *memory);
void sigbus_uninstall(void);
/* How often memory was replaced since it was installed. */
unsigned int sigbus_count(void);

#endif
