/* SPDX-License-Identifier: BSD-3-Clause */
/* Which guests there are, by sockets in a folder. */
#include "aerostatd/roster.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_qemu.h"
#include "tests/unit/run_until.h"

static struct {
	char *folder, *glob;
	struct roster *roster;
	GString *reported; /* "+a -a " */
	unsigned int problems, solved;
} seen;

static void note_report(char sign, const char *address)
{
	g_autofree char *name = g_path_get_basename(address);

	g_string_append_printf(seen.reported, "%c%s ", sign, name);
}

static void on_found(void *data, hv_guest *guest)
{
	(void)data;
	note_report('+', guest->address);
	hv_guest_close(guest);
}

static void on_gone(void *data, const char *source, const char *address)
{
	(void)data;
	assert_string_equal(source, "qmp");
	note_report('-', address);
}

static void on_problem(void *data, const char *source, const char *text)
{
	(void)data;
	(void)source;
	if (text)
		seen.problems++;
	else
		seen.solved++;
}

static const struct roster_ops ops = { on_found, on_gone, on_problem };

static void appear(const char *name)
{
	g_autofree char *path = g_build_filename(seen.folder, name, NULL);

	close(listen_at(path, 1));
}

static void vanish(const char *name)
{
	g_autofree char *path = g_build_filename(seen.folder, name, NULL);

	assert_int_equal(g_unlink(path), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	seen.folder = g_dir_make_tmp("roster-XXXXXX", NULL);
	seen.glob = g_build_filename(seen.folder, "*.qmp", NULL);
	seen.reported = g_string_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	g_autoptr(GDir) dir = g_dir_open(seen.folder, 0, NULL);
	const char *name;

	(void)state;
	roster_free(seen.roster);
	while ((name = g_dir_read_name(dir)))
		vanish(name);
	g_rmdir(seen.folder);
	g_free(seen.folder);
	g_free(seen.glob);
	g_string_free(seen.reported, TRUE);
	return 0;
}

static void begin(char **uris, char **globs)
{
	const struct hv_sources sources = { .libvirt_uris = uris, .qmp_globs = globs };

	seen.roster = roster_new(&sources, &ops, NULL, NULL);
}

static void guests_are_found_when_they_come_and_gone_when_they_go(void **state)
{
	(void)state;
	appear("a.qmp");
	begin(NULL, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	appear("b.qmp");
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp +b.qmp "));
	vanish("a.qmp");
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp +b.qmp -a.qmp "));
}

static void a_guest_that_was_forgotten_is_found_again(void **state)
{
	g_autofree char *address = g_strdup_printf("qmp:%s/a.qmp", seen.folder);

	(void)state;
	appear("a.qmp");
	begin(NULL, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	roster_forget(seen.roster, "qmp", address);
	roster_refresh(seen.roster);
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp +a.qmp "));
}

static void with_other_sources_the_guests_of_the_old_ones_are_gone(void **state)
{
	g_autofree char *other = g_build_filename(seen.folder, "*.other", NULL);
	const struct hv_sources elsewhere = { .qmp_globs = (char *[]){ other, NULL } };

	(void)state;
	appear("a.qmp");
	appear("b.other");
	begin(NULL, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	roster_set_sources(seen.roster, &elsewhere);
	RUN_UNTIL(strstr(seen.reported->str, "+b.other") && strstr(seen.reported->str, "-a.qmp"));
}

static void a_source_that_cannot_be_queried_is_reported_once_and_delays_no_other(void **state)
{
	char *nowhere = (char *)"qemu:///session?socket=/nonexistent/sock";

	(void)state;
	appear("a.qmp");
	begin((char *[]){ nowhere, NULL }, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(seen.problems == 1 && !strcmp(seen.reported->str, "+a.qmp "));
	appear("b.qmp");
	roster_refresh(seen.roster);
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp +b.qmp "));
	assert_int_equal(seen.problems, 1);
	assert_int_equal(seen.solved, 0);
}

/* All descriptors that this process may have, but those in use. */
static GArray *taken;

/* To be repeated, as the roster may just be closing one. */
static void take_descriptors(void)
{
	struct rlimit few;
	int fd;

	if (!taken) {
		taken = g_array_new(FALSE, FALSE, sizeof(int));
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &few), 0);
		few.rlim_cur = 64;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	}
	while ((fd = dup(STDIN_FILENO)) >= 0)
		g_array_append_val(taken, fd);
}

static void give_descriptors_back(void)
{
	for (guint i = 0; i < taken->len; i++)
		close(g_array_index(taken, int, i));
	g_clear_pointer(&taken, g_array_unref);
}

static void a_folder_that_cannot_be_read_loses_no_guest_and_is_reported_once(void **state)
{
	(void)state;
	appear("a.qmp");
	begin(NULL, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	RUN_UNTIL((take_descriptors(), seen.problems));
	roster_refresh(seen.roster);
	give_descriptors_back();
	RUN_UNTIL(seen.solved);
	assert_int_equal(seen.problems, 1);
	assert_int_equal(seen.solved, 1);
	assert_string_equal(seen.reported->str, "+a.qmp ");
}

static void a_socket_that_is_gone_is_gone_even_if_its_folder_cannot_be_read(void **state)
{
	(void)state;
	appear("a.qmp");
	begin(NULL, (char *[]){ seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	take_descriptors();
	vanish("a.qmp");
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp -a.qmp "));
	give_descriptors_back();
}

static void a_folder_that_does_not_exist_is_no_problem(void **state)
{
	g_autofree char *nowhere = g_build_filename(seen.folder, "none", "*.qmp", NULL);

	(void)state;
	appear("a.qmp");
	begin(NULL, (char *[]){ nowhere, seen.glob, NULL });
	RUN_UNTIL(!strcmp(seen.reported->str, "+a.qmp "));
	assert_int_equal(seen.problems, 0);
}

static void the_problem_of_a_source_goes_with_it(void **state)
{
	g_autofree char *loop = g_build_filename(seen.folder, "loop.qmp", NULL);
	const struct hv_sources none = { .qmp_globs = (char *[]){ NULL } };

	(void)state;
	assert_int_equal(symlink(loop, loop), 0);
	begin(NULL, (char *[]){ loop, NULL });
	RUN_UNTIL(seen.problems);
	roster_set_sources(seen.roster, &none);
	RUN_UNTIL(seen.solved);
}

static unsigned int count_listed(const char *name)
{
	g_autoptr(GPtrArray) guests =
		g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);
	g_autofree char *path = g_build_filename(seen.folder, name, NULL);

	assert_true(hv_qmp_list(path, guests, NULL));
	return guests->len;
}

static void a_socket_is_found_by_its_path_whatever_that_contains(void **state)
{
	static const char *const names[] = {
		"web[1].qmp", "a*.qmp", "?.qmp", "b\\.qmp", "[", "-c"
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		assert_int_equal(count_listed(names[i]), 0);
		appear(names[i]);
		print_message("%s\n", names[i]);
		assert_int_equal(count_listed(names[i]), 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guests_are_found_when_they_come_and_gone_when_they_go),
		TEST(a_guest_that_was_forgotten_is_found_again),
		TEST(with_other_sources_the_guests_of_the_old_ones_are_gone),
		TEST(a_source_that_cannot_be_queried_is_reported_once_and_delays_no_other),
		TEST(a_folder_that_cannot_be_read_loses_no_guest_and_is_reported_once),
		TEST(a_socket_that_is_gone_is_gone_even_if_its_folder_cannot_be_read),
		TEST(a_folder_that_does_not_exist_is_no_problem),
		TEST(the_problem_of_a_source_goes_with_it),
		TEST(a_socket_is_found_by_its_path_whatever_that_contains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
