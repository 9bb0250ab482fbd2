/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PID namespace for the device.
 *
 * Theory of operation
 * -------------------
 * A process cannot move into a new PID namespace; only its children are born in
 * it.  So the process forks once.  The child becomes the device, which sees no
 * process but itself, and whose number is 1.  The parent, here called the waiter,
 * stays in place of the process that was started, for whoever started it.  It has
 * no socket and no guest memory, and only
 *
 *	passes SIGTERM and SIGINT on to the device
 *	passes READY=1 on to the service manager, which accepts it only from the
 *	process that it started
 *	ends as the device ends, with the same status or by the same signal
 *
 * When the waiter is killed, the kernel kills the device.
 */
#ifndef AEROSTAT_DEVICE_WAITER_H
#define AEROSTAT_DEVICE_WAITER_H

/*
 * waiter_fork - continue as a child in the PID namespace made by unshare(CLONE_NEWPID)
 * @notify_fd: systemd_open_notify_socket()'s, or -1; replaced by a socket to the
 *             waiter, which reports readiness once it receives anything.  May be NULL.
 *
 * Returns 0 in the child, with SIGTERM and SIGINT blocked, or -errno in the only
 * process when it could not fork.  Does not return in the parent.
 */
int waiter_fork(int *notify_fd);

#endif
