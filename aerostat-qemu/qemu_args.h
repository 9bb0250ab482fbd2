/* SPDX-License-Identifier: BSD-3-Clause */
/* What QEMU's command line says of a guest with our balloon device. */
#ifndef AEROSTAT_QEMU_QEMU_ARGS_H
#define AEROSTAT_QEMU_QEMU_ARGS_H

#include <glib.h>

typedef struct qemu_args {
	char *name;   /* of the guest */
	char *uuid;   /* "" when not given */
	char *socket; /* where our device is to wait; NULL: the guest has none of ours */
} qemu_args;
void qemu_args_clear(struct qemu_args *words);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(qemu_args, qemu_args_clear)

/* @argv: as libvirt gives it, NULL-terminated. */
void qemu_args_parse(char *const *argv, struct qemu_args *words);

#endif
