/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths and names of guests that have aerostat's balloon device under libvirt:
 * what the command that adopts a guest and the launcher that starts it agree on.
 *
 * The launcher is the program aerostat-qemu, which libvirt runs in QEMU's place.
 */
#ifndef AEROSTAT_HYPERVISOR_ADOPT_H
#define AEROSTAT_HYPERVISOR_ADOPT_H

#include "hypervisor/hypervisor.h"

/* Environment variables of QEMU, set in the domain's XML for the launcher. */
#define ADOPT_ENV_DEVICE "AEROSTAT_DEVICE" /* the device's command line */
#define ADOPT_ENV_URI                                                                              \
	"AEROSTAT_URI" /* the libvirt connection that has the guest's currentMemory                \
			*/

/* Names of programs. */
#define ADOPT_LAUNCHER "aerostat-qemu"
#define ADOPT_DEVICE "aerostat-device"

/* Directories that differ between libvirt's system and session mode. */
typedef struct adopt_dirs {
	char *emulators; /* links to the launcher, one per emulator */
	char *sockets;	 /* sockets of the guests' devices */
} adopt_dirs;

/* Frees the strings in it. */
void adopt_dirs_clear(struct adopt_dirs *dirs);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(adopt_dirs, adopt_dirs_clear)

/* Fills in the directories for the libvirt connection @uri; free with adopt_dirs_clear(). */
void adopt_dirs_find(const char *uri, struct adopt_dirs *dirs);

/*
 * The path of the link to the launcher that stands for @emulator: it ends in the
 * emulator's own path, EMULATORS/usr/bin/qemu-system-x86_64.  The caller frees it.
 */
char *adopt_format_link(const struct adopt_dirs *dirs, const char *emulator);

/* The emulator's path in @link, a part of that string; NULL when it is not such a link. */
const char *adopt_parse_link(const char *link);

/*
 * adopt_make_link - create @link, and its directory, unless it exists
 * @launcher: the program that it points to
 * @made: receives whether it was created
 */
bool adopt_make_link(const char *link, const char *launcher, bool *made, GError **error);

/*
 * The socket on which QEMU reaches the device of guest @name; HV_ERROR_REFUSED when
 * the path would be too long.  The caller frees it.
 */
char *adopt_format_socket(const struct adopt_dirs *dirs, const char *name, GError **error);

/* The control socket of the device that has @socket; the caller frees it. */
char *adopt_format_control(const char *socket);

/*
 * The path of the program @name of this project: beside the running program, where
 * it is installed, or on PATH.  The caller frees it.
 */
char *adopt_find_program(const char *name, GError **error);

/* Checks that @emulator can be run and supports vfio-user; otherwise HV_ERROR_REFUSED. */
bool adopt_check_emulator(const char *emulator, GError **error);

#endif
