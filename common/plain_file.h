/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a file that somebody named.
 *
 * What a path leads to may be a FIFO nobody writes to, a terminal, a device or an endless file,
 * and a program with a loop must not wait for it.  So only regular files are read, and /dev/null,
 * which people name to mean "none"; never more than a limit.
 */
#ifndef AEROSTAT_COMMON_PLAIN_FILE_H
#define AEROSTAT_COMMON_PLAIN_FILE_H

#include <stddef.h>

/*
 * plain_file_open - open a regular file, or /dev/null, for reading
 *
 * Never waits.  Returns a descriptor that is closed on exec; or -EISDIR for a folder, -ENOTSUP for
 * anything else that is not a regular file, or what the system reported.
 */
int plain_file_open(const char *path);

/*
 * plain_file_read - read such a file as a whole
 * @max_bytes: the most that it may contain
 * @length: receives the number of bytes; may be NULL
 * @error: receives 0, what plain_file_open() returned without its sign, or EFBIG
 *
 * Returns its bytes and a NUL, freed with free(); NULL with @error set.
 */
char *plain_file_read(const char *path, size_t max_bytes, size_t *length, int *error);

/* Why a file could not be read, in words that follow "cannot be read: ". */
const char *plain_file_error_text(int error);

#endif
