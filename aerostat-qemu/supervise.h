/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor: the process, one per guest, that starts the guest's balloon
 * device and watches it until QEMU ends.
 */
#ifndef AEROSTAT_QEMU_SUPERVISE_H
#define AEROSTAT_QEMU_SUPERVISE_H

#include <glib.h>

/* The descriptors with which the launcher starts it. */
enum supervise_fd {
	SUPERVISE_SOCKET = 3, /* listens for QEMU */
	SUPERVISE_QEMU,	      /* a pidfd of QEMU */
	SUPERVISE_READY,      /* gets a byte once it is ready */
	SUPERVISE_FDS_END,
};

/* What the supervisor knows of its guest; it owns nothing of it. */
struct supervised {
	const char *name, *uuid; /* the guest's */
	const char *uri;	 /* the libvirt connection that has its settings; "" for none */
	const char *socket;	 /* on which QEMU reaches the device */
	const char *control;	 /* the device's control socket */
	char *const *device;	 /* the device's command line, without the above */
};

/* Its command line: an option, these arguments, and the device's command line. */
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

/* The supervisor.  Returns when QEMU has ended, with the exit status of the process. */
int supervise_guest(const struct supervised *guest);

/*
 * apply_initial_settings - apply libvirt's currentMemory and statistics period
 *
 * libvirt sets them only for QEMU's own balloon, so a guest with our device starts
 * with all of its memory.  Runs in its own process.  Waits until libvirt answers;
 * returns the exit status of the process.
 */
int apply_initial_settings(const struct supervised *guest);

/* Writes one line to the guest's log, which is our standard error. */
void supervise_log(const struct supervised *guest, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
