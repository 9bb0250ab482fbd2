/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes as people write and read them, for programs without GLib.  size.h is built on this.
 *
 * The format is virsh's: a number without a unit is in KiB; units are b, bytes, k, KiB (1024)
 * and KB (1000), likewise for M, G, T, P and E, in upper or lower case.  Unlike virsh, it also
 * accepts fractions ("1.5G") and a space before the unit ("512 M").
 */
#ifndef AEROSTAT_SIZE_CORE_H
#define AEROSTAT_SIZE_CORE_H

#include <stdint.h>

#define SIZE_KIB UINT64_C(1024)
#define SIZE_MIB (1024 * SIZE_KIB)
#define SIZE_GIB (1024 * SIZE_MIB)

/* Examples of what size_read() accepts, for help texts and errors. */
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
 * size_read - parse a size
 * @text: a size, as described above; spaces around it are ignored
 * @bytes: set to the size, cut to whole bytes, if SIZE_OK is returned
 * @unit: set to where the unit begins in @text, if SIZE_OK or SIZE_UNKNOWN_UNIT is returned
 */
enum size_fault size_read(const char *text, uint64_t *bytes, const char **unit);

/* What is wrong with a size, to follow "size 'X' ", for example "is empty".  Static. */
const char *size_fault_text(enum size_fault fault);

#define SIZE_TEXT_MAX 32

/* Writes a size like "512 MiB", "1.5 GiB" or "12 KiB" to @text, with at most one decimal. */
void size_write(uint64_t bytes, char text[SIZE_TEXT_MAX]);

#endif
