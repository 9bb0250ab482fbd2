/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes as people write and read them (size_core.h), with GLib's errors and strings. */
#ifndef AEROSTAT_SIZE_H
#define AEROSTAT_SIZE_H

#include "common/size_core.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SIZE_ERROR size_error_quark()
GQuark size_error_quark(void);

enum size_error {
	SIZE_ERROR_MALFORMED, /* not a number, an unknown unit, words after it */
	SIZE_ERROR_NEGATIVE,
	SIZE_ERROR_OVERFLOW, /* over 2^63 - 1 bytes */
};

/*
 * size_parse - bytes of @text
 *
 * Parts of a byte are dropped.  The error names the word at fault and the
 * accepted forms.
 */
bool size_parse(const char *text, uint64_t *bytes, GError **error);

/* "512 MiB", "1.5 GiB", "12 KiB"; at most one decimal.  The caller frees. */
char *size_format(uint64_t bytes);

/* The same with its sign: "+512 MiB", "-3 MiB", "0 B". */
char *size_format_change(int64_t bytes);

#endif
