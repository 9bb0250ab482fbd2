/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes as people write and read them, with no library: size.h is built on
 * this, and programs without GLib use it as it is.
 *
 * Reading follows virsh: a bare number is KiB; b, bytes, k, KiB (1024) and KB
 * (1000), likewise M G T P E, in any case.  Beyond virsh, fractions ("1.5G")
 * and a space before the unit ("512 M") are understood.
 */
#ifndef AEROSTAT_SIZE_CORE_H
#define AEROSTAT_SIZE_CORE_H

#include <stdint.h>

#define SIZE_KIB UINT64_C(1024)
#define SIZE_MIB (1024 * SIZE_KIB)
#define SIZE_GIB (1024 * SIZE_MIB)

/* The forms size_read() takes, for help texts and errors. */
#define SIZE_FORMS "524288 (KiB), 512M, 512 MiB, 1.5G, 500MB"

enum size_fault {
	SIZE_OK,
	SIZE_EMPTY,
	SIZE_NEGATIVE,
	SIZE_NO_NUMBER,
	SIZE_COMMA,
	SIZE_NO_FRACTION,
	SIZE_UNKNOWN_UNIT,
	SIZE_TOO_LARGE, /* over 2^63 - 1 bytes */
};

/*
 * size_read - bytes of @text
 *
 * Parts of a byte are dropped.  On a fault *@bytes stays as it is; with
 * SIZE_UNKNOWN_UNIT *@unit is where the unit begins.
 */
enum size_fault size_read(const char *text, uint64_t *bytes, const char **unit);

/* What is wrong, to stand behind "size 'X' ": "is empty". */
const char *size_fault_text(enum size_fault fault);

/* Writes "512 MiB", "1.5 GiB", "12 KiB" to @text; at most one decimal. */
#define SIZE_TEXT_MAX 32
void size_write(uint64_t bytes, char text[SIZE_TEXT_MAX]);

#endif
