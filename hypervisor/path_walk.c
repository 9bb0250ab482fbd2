/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a pattern is walked component by component.  One without wildcards is
 * appended to the path, whatever is there; one with wildcards is compared with each name in the
 * folder that has been reached.  A folder's names are read before the walk goes on below, so that
 * one descriptor is open at most.
 */
#include "hypervisor/path_walk.h"

#include "hypervisor/shortage.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>

#define ACCOUNT_MAX 16384 /* bytes of an entry of passwd(5) */

void path_unread_note(struct path_unread *unread, const char *path, int number)
{
	if (number == ENOENT || number == ENOTDIR)
		return;
	g_free(unread->path);
	unread->path = g_strdup(path);
	unread->number = number;
}

/* Whether @name in @folder matches; if that cannot be found out, that is noted. */
static bool matches_component(const char *folder, const char *pattern, const char *name,
			      struct path_unread *unread)
{
	int result = fnmatch(pattern, name, FNM_PERIOD);

	if (result && result != FNM_NOMATCH)
		path_unread_note(unread, folder, ENOMEM);
	return !result;
}

/* The names in @folder that match @pattern. */
static GPtrArray *list_matching_names(const char *folder, const char *pattern,
				      struct path_unread *unread)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir) {
		path_unread_note(unread, folder, errno);
		return names;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (matches_component(folder, pattern, entry->d_name, unread))
			g_ptr_array_add(names, g_strdup(entry->d_name));
	if (errno)
		path_unread_note(unread, folder, errno);
	closedir(dir);
	return names;
}

/* What @component stands for where it has no wildcards. */
static char *unescape_component(const char *component)
{
	GString *plain = g_string_new(NULL);

	for (; *component; component++) {
		if (*component == '\\' && component[1])
			component++;
		g_string_append_c(plain, *component);
	}
	return g_string_free(plain, FALSE);
}

static bool has_wildcards(const char *component)
{
	for (; *component; component++) {
		if (*component == '\\' && component[1])
			component++;
		else if (strchr("*?[", *component))
			return true;
	}
	return false;
}

/* Adds what @rest of a pattern matches below @path, which ends with a slash or is empty. */
static void walk_rest(const char *path, const char *rest, GPtrArray *found,
		      struct path_unread *unread)
{
	size_t length = strcspn(rest, "/"), slashes = strspn(rest + length, "/");
	g_autofree char *component = g_strndup(rest, length);
	g_autofree char *separator = g_strndup(rest + length, slashes);
	g_autoptr(GPtrArray) names = NULL;

	if (has_wildcards(component)) {
		names = list_matching_names(*path ? path : ".", component, unread);
	} else {
		names = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(names, unescape_component(component));
	}
	for (guint i = 0; i < names->len; i++) {
		char *next = g_strconcat(path, names->pdata[i], separator, NULL);

		if (!rest[length + slashes]) {
			g_ptr_array_add(found, next);
			continue;
		}
		walk_rest(next, rest + length + slashes, found, unread);
		g_free(next);
	}
}

/* The home directory that "~" or "~USER" at the start of @pattern means; NULL: none is known. */
static char *find_home(const char *pattern, size_t length, struct path_unread *unread)
{
	g_autofree char *user = g_strndup(pattern + 1, length - 1);
	struct passwd account, *found = NULL;
	char buffer[ACCOUNT_MAX];
	int number;

	if (!*user)
		return g_strdup(g_get_home_dir());
	number = getpwnam_r(user, &account, buffer, sizeof(buffer), &found);
	if (shortage_is_errno(number))
		path_unread_note(unread, pattern, number);
	return found ? g_strdup(found->pw_dir) : NULL;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *path_walk(const char *pattern, struct path_unread *unread)
{
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	size_t tilde = *pattern == '~' ? strcspn(pattern, "/") : 0;
	g_autofree char *home = tilde ? find_home(pattern, tilde, unread) : NULL;
	g_autofree char *path = NULL;

	if (home)
		pattern += tilde;
	path = g_strconcat(home ? home : "", *pattern == '/' ? "/" : "", NULL);
	if (*pattern == '/')
		pattern++;
	walk_rest(path, pattern, found, unread);
	g_ptr_array_sort(found, compare_paths);
	return found;
}
