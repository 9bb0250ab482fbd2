/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding the paths that a pattern with wildcards matches.
 *
 * Not glob(): glibc's frees memory twice when it runs out of it, and does not report what it could
 * not find out about the part of a path behind the last wildcard.
 */
#ifndef AEROSTAT_HYPERVISOR_PATH_WALK_H
#define AEROSTAT_HYPERVISOR_PATH_WALK_H

#include <glib.h>

/* What could not be read. */
struct path_unread {
	char *path; /* NULL: all was read; otherwise the caller frees it with g_free() */
	int number; /* an errno */
};

/* Notes @path in @unread, unless @number is an answer: nothing is there (ENOENT, ENOTDIR). */
void path_unread_note(struct path_unread *unread, const char *path, int number);

/*
 * path_walk - the paths that @pattern matches, as glob() with GLOB_TILDE finds them
 * @unread: receives the folder that could not be read last, if there was one; the others are
 *          walked all the same
 *
 * Returns an array of char *, sorted, for the caller to g_ptr_array_unref().  Wildcards match what
 * a folder lists; what is behind the last of them need not exist.
 */
GPtrArray *path_walk(const char *pattern, struct path_unread *unread);

#endif
