/* SPDX-License-Identifier: BSD-3-Clause */
/* The event loop that libvirt's events and keepalive need, in a thread of its own. */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_LOOP_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_LOOP_H

/*
 * Starts it, once a process.  To be called before a connection is opened, in
 * the thread of a call (deadline.h), from which it inherits that signals are
 * blocked: libvirt may meet a SIGPIPE.
 */
void libvirt_loop_start(void);

#endif
