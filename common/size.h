/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes as people write and read them (size_core.h), with GLib's errors and strings.  Pure. */
#ifndef AEROSTAT_SIZE_H
#define AEROSTAT_SIZE_H

#include "common/size_core.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SIZE_ERROR size_error_quark()

/* The domain of enum size_error. */
GQuark size_error_quark(void);

enum size_error {
	SIZE_ERROR_MALFORMED, /* not a number, or an unknown unit */
	SIZE_ERROR_NEGATIVE,
	SIZE_ERROR_OVERFLOW, /* more than 2^63 - 1 bytes */
};

/*
 * size_parse - parse a size
 * @text: as for size_read()
 * @bytes: set to the size, cut to whole bytes, on success
 * @error: a SIZE_ERROR that quotes the text, says what is wrong with it and, except for a
 *	number that is too large, gives examples
 */
bool size_parse(const char *text, uint64_t *bytes, GError **error);

/* How far @a and @b are apart. */
uint64_t size_difference(uint64_t a, uint64_t b);

/* A text like "512 MiB", "1.5 GiB" or "12 KiB", with at most one decimal; the caller frees it. */
char *size_format(uint64_t bytes);

/* The same with a sign: "+512 MiB", "-3 MiB", "0 B"; the caller frees it. */
char *size_format_change(int64_t bytes);

#endif
