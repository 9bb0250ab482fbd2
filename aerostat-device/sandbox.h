/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the process gives up, in stages.
 *
 * Theory of operation
 * -------------------
 * The device reads what a guest wrote, so it is to be worth nothing to one who
 * takes it over.  It gives up
 *
 *	before it listens	another user's identity if one is named, all
 *				capabilities, new privileges, core dumps
 *	when its sockets	files, network, IPC and the names of others, by
 *	are open		namespaces of its own and an empty root
 *	last			all system calls but those that it needs
 *
 * Namespaces are refused in many containers; the filter is not, and says the
 * same once more.  A call that no part of this program makes has two ends: what
 * only an intruder would do (run a program, trace a process, make a socket)
 * kills the process at once (SIGSYS, which the kernel logs), and anything else
 * is answered with EPERM, since a library of another version may try it, and
 * the death of the device harms the guest.
 */
#ifndef AEROSTAT_TRANSPORT_SANDBOX_H
#define AEROSTAT_TRANSPORT_SANDBOX_H

#include <stdbool.h>

/* Sanitizers and coverage need files and calls of their own: such a build has the first stage
 * only. */
bool sandbox_is_whole(void);

/*
 * sandbox_begin - the first stage
 *
 * @user: whom to become, or NULL.  0 or -errno, with *@what saying what failed.
 */
int sandbox_begin(const char *user, const char **what);

/* The second; 0 or -errno, of which -EPERM, -ENOSPC and the like are the machine's policy. */
int sandbox_leave_world(void);

/* The third; 0 or -errno. */
int sandbox_filter_calls(void);

/* Room for @count descriptors, as far as the hard limit goes; 0 or -errno, -EMFILE: less. */
int sandbox_allow_descriptors(unsigned int count);

#endif
