/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the file that records a setmem's target is written. */
#include "resize/target_file.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STRANGER 65533

static const hv_guest guest = { .address = "qmp:/some/guest" };
static const hv_info info = { 0 };

static int fresh(void **state)
{
	*state = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	g_setenv("XDG_RUNTIME_DIR", *state, TRUE);
	return *state ? 0 : -1;
}

static int removed(void **state)
{
	const char *argv[] = { "rm", "-rf", *state, NULL };

	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
		     NULL);
	g_free(*state);
	return 0;
}

/* How many files there are in the folder @name of the test's. */
static unsigned int count_files(void **state, const char *name)
{
	g_autofree char *path = g_build_filename(*state, name, NULL);
	GDir *folder = g_dir_open(path, 0, NULL);
	unsigned int count = 0;

	while (folder && g_dir_read_name(folder))
		count++;
	g_clear_pointer(&folder, g_dir_close);
	return count;
}

static void the_latest_target_counts(void **state)
{
	struct target_file first, second;
	uint64_t newer = 0;

	target_file_write(&first, &guest, &info, 1000);
	assert_true(target_file_is_current(&first, &newer));
	target_file_write(&second, &guest, &info, 2000);
	assert_true(target_file_is_current(&second, &newer));
	assert_false(target_file_is_current(&first, &newer));
	assert_int_equal(newer, 2000);
	assert_int_equal(count_files(state, "aerostat"), 1);
	target_file_clear(&first);
	target_file_clear(&second);
}

/* Writes a target as root with a runtime directory that belongs to another user. */
static void write_as_root(void **state)
{
	struct target_file file;
	uint64_t newer;

	if (geteuid() != 0)
		skip();
	assert_int_equal(lchown(*state, STRANGER, STRANGER), 0);
	target_file_write(&file, &guest, &info, 1000);
	assert_true(target_file_is_current(&file, &newer));
	if (file.path) {
		assert_false(g_str_has_prefix(file.path, *state));
		g_unlink(file.path);
	}
	target_file_clear(&file);
}

static void root_writes_nothing_in_another_users_directory(void **state)
{
	write_as_root(state);
	assert_int_equal(count_files(state, ""), 0);
}

static void root_follows_no_link_of_another_user(void **state)
{
	g_autofree char *link = g_build_filename(*state, "aerostat", NULL);
	g_autofree char *target = g_build_filename(*state, "precious", NULL);

	assert_int_equal(g_mkdir(target, 0755), 0);
	assert_int_equal(symlink(target, link), 0);
	write_as_root(state);
	assert_int_equal(count_files(state, "precious"), 0);
}

static void a_link_in_place_of_the_file_is_replaced(void **state)
{
	g_autofree char *precious = g_build_filename(*state, "precious", NULL);
	struct target_file file;
	g_autofree char *text = NULL;

	assert_true(g_file_set_contents(precious, "precious", -1, NULL));
	target_file_write(&file, &guest, &info, 1000);
	assert_non_null(file.path);
	assert_int_equal(g_unlink(file.path), 0);
	assert_int_equal(symlink(precious, file.path), 0);
	target_file_clear(&file);
	target_file_write(&file, &guest, &info, 1000);
	assert_true(g_file_get_contents(precious, &text, NULL, NULL));
	assert_string_equal(text, "precious");
	target_file_clear(&file);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, fresh, removed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(the_latest_target_counts),
		FRESH(root_writes_nothing_in_another_users_directory),
		FRESH(root_follows_no_link_of_another_user),
		FRESH(a_link_in_place_of_the_file_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
