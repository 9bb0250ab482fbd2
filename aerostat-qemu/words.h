/* SPDX-License-Identifier: BSD-3-Clause */
/* What QEMU's command line says of a guest with our balloon device. */
#ifndef AEROSTAT_LAUNCHER_WORDS_H
#define AEROSTAT_LAUNCHER_WORDS_H

#include <glib.h>

typedef struct launch_words {
	char *name;   /* of the guest */
	char *uuid;   /* "" when not given */
	char *socket; /* where our device is to wait; NULL: the guest has none of ours */
} launch_words;
void launch_words_clear(struct launch_words *words);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(launch_words, launch_words_clear)

/* @argv: as libvirt gives it, NULL-terminated. */
void words_read(char *const *argv, struct launch_words *words);

#endif
