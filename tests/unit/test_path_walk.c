/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/path_walk.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder;

/* Makes the file @name below the folder; with a slash at its end, a folder. */
static void make(const char *name)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	if (g_str_has_suffix(name, "/"))
		assert_int_equal(g_mkdir(path, 0755), 0);
	else
		assert_true(g_file_set_contents(path, "", 0, NULL));
}

static int setup(void **state)
{
	static const char *const names[] = { "a/",	   "b/",     "a/x.qmp", "a/y.qmp",
					     "b/x.qmp",	   "file",   "b/.hide", "a/[1]",
					     "a/*",	   "a/b\\c", "a/deep/", "a/deep/x.qmp",
					     "a/\xff\xfe", "a/z z" };

	(void)state;
	folder = g_dir_make_tmp("path-walk-XXXXXX", NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		make(names[i]);
	return g_chdir(folder);
}

static int teardown(void **state)
{
	const char *argv[] = { "rm", "-rf", folder, NULL };

	(void)state;
	g_chdir("/");
	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
		     NULL);
	g_free(folder);
	return 0;
}

/* What of @paths exists, in lines; glob() reports nothing else. */
static char *join_existing(char **paths, size_t count)
{
	GString *lines = g_string_new(NULL);

	for (size_t i = 0; i < count; i++)
		if (!access(paths[i], F_OK))
			g_string_append_printf(lines, "%s\n", paths[i]);
	return g_string_free(lines, FALSE);
}

static void matches_what_glob_matches(const char *pattern)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = path_walk(pattern, &unread);
	g_autofree char *ours = join_existing((char **)paths->pdata, paths->len);
	g_autofree char *theirs = NULL;
	glob_t found = { 0 };

	glob(pattern, GLOB_TILDE, NULL, &found);
	theirs = join_existing(found.gl_pathv, found.gl_pathc);
	globfree(&found);
	print_message("%s\n", pattern);
	assert_string_equal(ours, theirs);
	assert_null(unread.path);
}

static void it_finds_what_glob_finds(void **state)
{
	static const char *const patterns[] = {
		"*",
		"*/*",
		"a/*.qmp",
		"*/x.qmp",
		"*/x*",
		"?/x.qmp",
		"[ab]/x.qmp",
		"[!a]/*",
		"a//x*",
		"./a/*",
		"a/[1]",
		"a/\\[1]",
		"a/\\*",
		"a/b\\\\c",
		"a/.*",
		"b/*",
		"b/.*",
		"*/",
		"*/deep/*.qmp",
		"file/*",
		"absent/*",
		"a/x.qmp",
		"a/[",
		"",
		"a/?",
		"a/??",
		"a/z z",
		"*/../b/x*",
		"a/[[:alpha:]].qmp",
		"nothing*",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
		g_autofree char *absolute = g_strconcat(folder, "/", patterns[i], NULL);

		matches_what_glob_matches(patterns[i]);
		matches_what_glob_matches(absolute);
	}
}

static void a_tilde_is_a_home_directory(void **state)
{
	(void)state;
	g_setenv("HOME", folder, TRUE);
	matches_what_glob_matches("~/a/*.qmp");
	matches_what_glob_matches("~root/*");
	matches_what_glob_matches("~no-such-user/*");
}

static void a_folder_that_cannot_be_read_is_reported_and_the_others_are_walked(void **state)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = NULL;

	(void)state;
	assert_int_equal(symlink("circle", "circle"), 0);
	paths = path_walk("*/x.*", &unread);
	assert_int_equal(paths->len, 2);
	assert_string_equal(unread.path, "circle/");
	assert_int_equal(unread.number, ELOOP);
	g_free(unread.path);
	assert_int_equal(unlink("circle"), 0);
}

/* A walk by a process that has no descriptor left. */
static GPtrArray *walk_in_need(const char *pattern, struct path_unread *unread)
{
	struct rlimit before, none = { 0 };
	GPtrArray *paths;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	paths = path_walk(pattern, unread);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return paths;
}

static void a_shortage_is_not_taken_for_an_empty_folder(void **state)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = walk_in_need("a/*", &unread);

	(void)state;
	assert_int_equal(paths->len, 0);
	assert_string_equal(unread.path, "a/");
	assert_int_equal(unread.number, EMFILE);
	g_free(unread.path);
}

/* Comes first: once glibc has looked up a user, it reports no shortage any more. */
static void a_shortage_is_not_taken_for_an_unknown_user(void **state)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = walk_in_need("~daemon/absent", &unread);

	(void)state;
	assert_string_equal(unread.path, "~daemon/absent");
	assert_int_equal(unread.number, EMFILE);
	g_free(unread.path);
}

/* Whether it is there, and whether that can be found out, is asked of the file itself. */
static void what_is_behind_the_last_wildcard_need_not_exist(void **state)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = path_walk("[ab]/absent", &unread);

	(void)state;
	assert_int_equal(paths->len, 2);
	assert_string_equal(paths->pdata[0], "a/absent");
	assert_string_equal(paths->pdata[1], "b/absent");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shortage_is_not_taken_for_an_unknown_user),
		cmocka_unit_test(it_finds_what_glob_finds),
		cmocka_unit_test(a_tilde_is_a_home_directory),
		cmocka_unit_test(
			a_folder_that_cannot_be_read_is_reported_and_the_others_are_walked),
		cmocka_unit_test(a_shortage_is_not_taken_for_an_empty_folder),
		cmocka_unit_test(what_is_behind_the_last_wildcard_need_not_exist),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
