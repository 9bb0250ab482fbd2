/* SPDX-License-Identifier: BSD-3-Clause */
/* What QEMU's command line says of a guest that has aerostat's balloon device. */
#ifndef AEROSTAT_QEMU_QEMU_ARGS_H
#define AEROSTAT_QEMU_QEMU_ARGS_H

#include <glib.h>

typedef struct qemu_args {
	char *name;   /* the guest's; "guest" when not given */
	char *uuid;   /* the guest's; "" when not given */
	char *socket; /* on which QEMU reaches the device; NULL when there is no such device */
} qemu_args;

/* Frees the strings in @args. */
void qemu_args_clear(struct qemu_args *args);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(qemu_args, qemu_args_clear)

/*
 * qemu_args_parse - read @argv, NULL-terminated, as libvirt passes it to QEMU
 * @args: overwritten; the caller frees it with qemu_args_clear()
 */
void qemu_args_parse(char *const *argv, struct qemu_args *args);

#endif
