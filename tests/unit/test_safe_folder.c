/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders in which root may create files, whatever other users have prepared. */
#include "common/safe_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STRANGER 65533

static char top[] = "/tmp/safe-XXXXXX";
static char path_buffer[4][128];

static const char *at(const char *name)
{
	static unsigned int next;
	char *path = path_buffer[next++ % 4];

	snprintf(path, sizeof(path_buffer[0]), "%s/%s", top, name);
	return path;
}

static int fresh(void **state)
{
	(void)state;
	strcpy(top, "/tmp/safe-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int removed(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static void make_folder(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void make_link(const char *name, const char *target, bool strangers)
{
	assert_int_equal(symlink(target, at(name)), 0);
	if (strangers)
		assert_int_equal(lchown(at(name), STRANGER, STRANGER), 0);
}

static void skip_without_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* True when @fd, which is closed, is the folder called @name. */
static bool is_folder(int fd, const char *name)
{
	struct stat opened, expected;
	bool same = fd >= 0 && !fstat(fd, &opened) && !stat(at(name), &expected) &&
		    opened.st_ino == expected.st_ino && opened.st_dev == expected.st_dev;

	if (fd >= 0)
		close(fd);
	return same;
}

static void folders_are_opened_and_made(void **state)
{
	struct stat made;

	(void)state;
	assert_int_equal(safe_folder_open(at("a/b"), 0), -ENOENT);
	assert_true(is_folder(safe_folder_open(at("a/b"), SAFE_FOLDER_CREATE), "a/b"));
	assert_true(is_folder(safe_folder_open(at("a//b/"), SAFE_FOLDER_CREATE), "a/b"));
	assert_true(is_folder(safe_folder_open(at("a/../a/./b"), 0), "a/b"));
	assert_int_equal(stat(at("a"), &made), 0);
	assert_int_equal(made.st_mode & 0777 & ~0755, 0);
}

static void ones_own_links_are_followed(void **state)
{
	(void)state;
	make_folder("real", 0755);
	make_folder("real/in", 0755);
	make_link("relative", "real", false);
	make_link("absolute", at("real"), false);
	make_link("twice", "absolute/in", false);
	assert_true(is_folder(safe_folder_open(at("relative/in"), 0), "real/in"));
	assert_true(is_folder(safe_folder_open(at("absolute/in"), 0), "real/in"));
	assert_true(is_folder(safe_folder_open(at("twice"), 0), "real/in"));
}

static void links_of_another_user_are_not(void **state)
{
	(void)state;
	skip_without_root();
	make_folder("real", 0755);
	make_folder("open", 0777);
	make_link("open/last", at("real"), true);
	make_link("open/amid", at(""), true);
	make_link("ours", "open/last", false);
	assert_int_equal(safe_folder_open(at("open/last"), 0), -ELOOP);
	assert_int_equal(safe_folder_open(at("open/amid/real"), 0), -ELOOP);
	assert_int_equal(safe_folder_open(at("ours"), 0), -ELOOP);
	/* Nothing is made behind one, either. */
	assert_int_equal(safe_folder_open(at("open/last/new"), SAFE_FOLDER_CREATE), -ELOOP);
	assert_int_equal(access(at("real/new"), F_OK), -1);
}

static void links_in_a_circle_end(void **state)
{
	(void)state;
	make_link("one", "two", false);
	make_link("two", "one", false);
	assert_int_equal(safe_folder_open(at("one"), 0), -ELOOP);
}

static void what_is_no_folder_is_refused(void **state)
{
	char name[300];

	(void)state;
	close(open(at("file"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(safe_folder_open(at("file"), 0), -ENOTDIR);
	assert_int_equal(safe_folder_open(at("file/in"), SAFE_FOLDER_CREATE), -ENOTDIR);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(safe_folder_open(name, SAFE_FOLDER_CREATE), -ENAMETOOLONG);
}

static void a_folder_of_another_user_is_not_ones_own(void **state)
{
	int fd;

	(void)state;
	skip_without_root();
	make_folder("theirs", 0755);
	assert_int_equal(chown(at("theirs"), STRANGER, STRANGER), 0);
	assert_int_equal(safe_folder_open(at("theirs"), SAFE_FOLDER_OWN), -EPERM);
	/* Chosen on purpose, it may be. */
	fd = safe_folder_open(at("theirs"), 0);
	assert_true(is_folder(fd, "theirs"));
}

static void a_folder_that_others_may_write_to_is_not_ones_own(void **state)
{
	(void)state;
	make_folder("for-all", 0777);
	make_folder("for-some", 0775);
	assert_int_equal(safe_folder_open(at("for-all"), SAFE_FOLDER_OWN), -EPERM);
	assert_int_equal(safe_folder_open(at("for-some"), SAFE_FOLDER_OWN), -EPERM);
	assert_true(is_folder(safe_folder_open(top, SAFE_FOLDER_OWN), ""));
}

static void a_files_folder_is_found(void **state)
{
	const char *name;

	(void)state;
	assert_true(is_folder(safe_folder_of(at("file"), 0, &name), ""));
	assert_string_equal(name, "file");
	assert_int_equal(safe_folder_of(at("folder/"), 0, &name), -EINVAL);
	assert_int_equal(chdir(top), 0);
	assert_true(is_folder(safe_folder_of("file", 0, &name), ""));
	assert_int_equal(chdir("/"), 0);
	close(safe_folder_of("/file", 0, &name));
	assert_string_equal(name, "file");
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, fresh, removed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(folders_are_opened_and_made),
		FRESH(ones_own_links_are_followed),
		FRESH(links_of_another_user_are_not),
		FRESH(links_in_a_circle_end),
		FRESH(what_is_no_folder_is_refused),
		FRESH(a_folder_of_another_user_is_not_ones_own),
		FRESH(a_folder_that_others_may_write_to_is_not_ones_own),
		FRESH(a_files_folder_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
