/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes as people write and read them.
 *
 * Reading follows virsh: a bare number is KiB; b, bytes, k, KiB (1024) and KB
 * (1000), likewise M G T P E, in any case.  Beyond virsh, fractions ("1.5G")
 * and a space before the unit ("512 M") are understood.
 */
#ifndef AEROSTAT_SIZE_H
#define AEROSTAT_SIZE_H

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

#define SIZE_KIB UINT64_C(1024)
#define SIZE_MIB (1024 * SIZE_KIB)
#define SIZE_GIB (1024 * SIZE_MIB)

/* The forms size_parse() takes, for help texts and errors. */
#define SIZE_FORMS "524288 (KiB), 512M, 512 MiB, 1.5G, 500MB"

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
