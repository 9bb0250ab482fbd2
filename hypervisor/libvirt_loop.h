/* SPDX-License-Identifier: BSD-3-Clause */
/* The event loop that libvirt's events and keepalive need, in a thread of its own. */
#ifndef AEROSTAT_LIBVIRT_LOOP_H
#define AEROSTAT_LIBVIRT_LOOP_H

/* Starts it, once a process, before the first connection is opened. */
void libvirt_loop_start(void);

#endif
