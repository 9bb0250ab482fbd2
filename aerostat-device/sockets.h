/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets of the process: the one for the VMM and the one for control.
 *
 * Their files stay when the process ends, because the sandbox no longer allows
 * removing them.  The next process that listens there replaces them (listener.h).
 */
#ifndef AEROSTAT_DEVICE_SOCKETS_H
#define AEROSTAT_DEVICE_SOCKETS_H

#include "aerostat-device/options.h"
#include "io/log.h"

struct device_sockets {
	int vmm_fd;
	bool vmm_connected; /* vmm_fd is connected to a VMM; else it listens */
	int control_fd;	    /* listens; -1: no control socket */
};

/* Opens or checks the sockets that @options name; false after logging what is wrong.  The
 * descriptors stay open until the process ends or somebody else owns them. */
bool sockets_open(struct device_sockets *sockets, const struct device_options *options,
		  struct log *log);

/* Makes this process the one that clients reach, whoever opened the sockets. */
void sockets_claim(const struct device_sockets *sockets);

#endif
