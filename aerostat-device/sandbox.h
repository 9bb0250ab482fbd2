/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the process gives up, in three stages.
 *
 * Theory of operation
 * -------------------
 * The device reads what a guest wrote, so it must be of no use to an attacker who
 * takes it over.  It gives up:
 *
 *	stage					when
 *	1. privileges: root's identity (--user),
 *	   capabilities, new privileges,
 *	   core dumps				before it opens its sockets
 *	2. the file system, other processes,
 *	   network, IPC and host name, by
 *	   namespaces of its own, an empty
 *	   root, and Landlock			after it has opened them
 *	3. all system calls that it does not
 *	   need, by a seccomp filter		last
 *
 * Many containers forbid namespaces.  They allow the filter, which prevents the
 * same once more.  The guest's VMM, its manager and other guests' devices may run
 * as the same user, so what matters most is that the device can neither signal,
 * trace, read nor slow another process.  Each of the three layers forbids that by
 * itself: there is no other process in its PID namespace, Landlock (Linux 6.12)
 * limits signals to it, and the filter allows no call that reaches another.
 *
 * There are two answers to a call that this program never makes.
 * Calls that only an attacker would make (running a program, tracing a process,
 * making a socket) kill the process at once, with a SIGSYS that the kernel logs.
 * All others fail with EPERM: another version of a library may try them, and the
 * death of the device would harm the guest.
 */
#ifndef AEROSTAT_DEVICE_SANDBOX_H
#define AEROSTAT_DEVICE_SANDBOX_H

#include <stdbool.h>

/* False for builds with sanitizers or coverage, which need files and more system calls: in these,
 * stages 2 and 3 do nothing. */
bool sandbox_is_complete(void);

/*
 * sandbox_drop_privileges - stage 1
 * @user: the user to switch to, or NULL
 * @what: set to what failed, to be printed after "cannot"
 *
 * Returns 0 or -errno; -ENOENT when there is no such user.
 */
int sandbox_drop_privileges(const char *user, const char **what);

/*
 * sandbox_leave_namespaces - stage 2
 * @notify_fd: as in waiter_fork()
 *
 * The process continues as a child, see waiter.h, with SIGTERM and SIGINT blocked.  To be called
 * before there is a signalfd or an epoll instance.
 *
 * Returns 0; or -EPERM, -ENOSPC and the like if the host forbids some of the namespaces.  The
 * others are in force then.
 */
int sandbox_leave_namespaces(int *notify_fd);

/* Stage 3.  0 or -errno. */
int sandbox_filter_system_calls(void);

/* Raises the limit of open descriptors to @count, or to the hard limit.  0 or -errno; -EMFILE when
 * the hard limit is lower. */
int sandbox_raise_descriptor_limit(unsigned int count);

#endif
