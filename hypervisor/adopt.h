/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where things are for guests that have our own balloon device under libvirt:
 * what the command that adopts them and the launcher that starts them agree on.
 */
#ifndef AEROSTAT_HYPERVISOR_ADOPT_H
#define AEROSTAT_HYPERVISOR_ADOPT_H

#include "hypervisor/hypervisor.h"

/* Variables of QEMU's environment, put into the domain's XML for the launcher. */
#define ADOPT_ENV_DEVICE "AEROSTAT_DEVICE" /* the device's command line */
#define ADOPT_ENV_URI "AEROSTAT_URI"	   /* where to ask for the guest's currentMemory */

/* The launcher's name as a program. */
#define ADOPT_LAUNCHER "aerostat-qemu"
#define ADOPT_DEVICE "aerostat-device"

/* Folders that differ between libvirt's system and session mode. */
typedef struct adopt_dirs {
	char *emulators; /* links to the launcher, one for each emulator */
	char *sockets;
} adopt_dirs;
void adopt_dirs_clear(struct adopt_dirs *places);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(adopt_dirs, adopt_dirs_clear)
void adopt_dirs_find(const char *uri, struct adopt_dirs *places);

/*
 * The launcher in the shape of an emulator is a link to it that ends in the
 * emulator's own path: EMULATORS/usr/bin/qemu-system-x86_64.
 */
char *adopt_format_link(const struct adopt_dirs *places, const char *emulator);
/* The emulator for which @link stands, a part of it; NULL when it is no such link. */
const char *adopt_parse_link(const char *link);
/* Makes the link, if it is not there.  *made tells. */
bool adopt_make_link(const char *link, const char *launcher, bool *made, GError **error);

/* The sockets of guest @name: where its device waits for QEMU, and where it is steered. */
char *adopt_format_socket(const struct adopt_dirs *places, const char *name, GError **error);
char *adopt_format_control(const char *socket);

/* A program that belongs to this one: beside it, where it is installed, or on PATH. */
char *adopt_find_program(const char *name, GError **error);

/* Does @emulator know vfio-user?  HV_ERROR_REFUSED says which version it is and what helps. */
bool adopt_check_emulator(const char *emulator, GError **error);

#endif
