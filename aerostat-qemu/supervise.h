/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that keeps a guest's balloon device running.
 *
 * It is started by the launcher with these descriptors, and holds them until
 * the guest's QEMU ends.
 */
#ifndef AEROSTAT_QEMU_SUPERVISE_H
#define AEROSTAT_QEMU_SUPERVISE_H

#include <glib.h>

enum supervise_fd {
	SUPERVISE_SOCKET = 3, /* listens for QEMU */
	SUPERVISE_QEMU,	      /* a pidfd */
	SUPERVISE_READY,      /* closed when it is at work */
	SUPERVISE_FDS_END,
};

struct supervised {
	const char *name, *uuid; /* the guest's */
	const char *uri;	 /* where to ask for its settings; "" for nowhere */
	const char *socket, *control;
	char *const *device; /* the device's command line, but for what is said here */
};

/* Words of its command line, in front of the device's. */
#define SUPERVISE_OPTION "--supervise"
#define SETTINGS_OPTION "--settle"
enum supervise_arg {
	SUPERVISE_ARG_NAME,
	SUPERVISE_ARG_UUID,
	SUPERVISE_ARG_URI,
	SUPERVISE_ARG_SOCKET,
	SUPERVISE_ARG_CONTROL,
	SUPERVISE_ARGS
};

/* Until QEMU ends; the exit status of the process. */
int supervise_guest(const struct supervised *guest);

/*
 * supervise_initial_settings - give a guest that starts the memory that libvirt says it has
 *
 * QEMU's own balloon gets that from libvirt; ours starts with all of it.  Waits
 * until libvirt answers.  The exit status of the process.
 */
int supervise_initial_settings(const struct supervised *guest);

/* One line in the guest's log, which is our standard error. */
void supervise_log(const struct supervised *guest, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
