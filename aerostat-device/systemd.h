/* SPDX-License-Identifier: BSD-3-Clause */
/* The two protocols of a service manager that this program speaks, by hand: sd_listen_fds(3) and
 * sd_notify(3). */
#ifndef AEROSTAT_TRANSPORT_SYSTEMD_H
#define AEROSTAT_TRANSPORT_SYSTEMD_H

/*
 * systemd_fds - the sockets that were handed over
 *
 * *@control is the one named "control", *@vmm the first of the others; what
 * is not there is left as it was.
 */
void systemd_fds(int *vmm, int *control);

/* A socket to say READY=1 through, while there still are files; -1 when nobody wants to know. */
int systemd_notify_open(void);
/* Says it, and closes @fd. */
void systemd_notify_ready(int fd);

#endif
