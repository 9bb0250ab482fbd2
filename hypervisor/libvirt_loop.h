/* SPDX-License-Identifier: BSD-3-Clause */
/* The event loop that libvirt's events and keepalive need, in its own thread. */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_LOOP_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_LOOP_H

/*
 * libvirt_loop_start - start the loop, once per process
 *
 * Must be called before a connection is opened, from the thread of a call
 * (deadline.h): the loop's thread inherits its blocked signals, so that a SIGPIPE
 * does not end the program.  Returns 0, or the errno of a shortage.
 */
int libvirt_loop_start(void);

#endif
