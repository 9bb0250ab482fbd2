/* SPDX-License-Identifier: BSD-3-Clause */
/* The launcher's arguments, paths and sockets. */
#include "aerostat-qemu/guest_socket.h"
#include "aerostat-qemu/qemu_args.h"
#include "hypervisor/adopt.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define READ(args, ...) qemu_args_parse((char *[]){ (char *)"qemu", __VA_ARGS__ NULL }, args)
#define A(arg) (char *)arg,

/* ---- arguments ---- */

static void our_device_has_its_socket(void **state)
{
	g_auto(qemu_args) args = { 0 };

	(void)state;
	READ(&args,
	     A("-device") A("{\"driver\":\"virtio-blk-pci\",\"id\":\"virtio-disk0\"}") A("-device")
		     A("{\"id\":\"aerostat0\",\"socket\":{\"type\":\"unix\",\"path\":\"/s\"}}"));
	assert_string_equal(args.socket, "/s");
}

static void devices_of_others_do_not(void **state)
{
	static const char *const others[] = {
		"{\"id\":\"mine\",\"socket\":{\"path\":\"/s\"}}",
		"{\"id\":\"aerostat-port\"}",
		"{\"id\":\"aerostat0\"}",
		"{\"id\":\"aerostat0\",\"socket\":\"/s\"}",
		"vfio-user-pci,id=aerostat0,socket.path=/s",
		"[1",
		"",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
		g_auto(qemu_args) args = { 0 };

		READ(&args, A("-device") A(others[i]));
		assert_null(args.socket);
	}
}

static void a_probe_for_capabilities_has_no_device(void **state)
{
	g_auto(qemu_args) args = { 0 };

	(void)state;
	READ(&args, A("-S") A("-machine") A("none,accel=tcg") A("-device"));
	assert_null(args.socket);
}

static void the_guests_name_and_uuid_are_read(void **state)
{
	g_auto(qemu_args) args = { 0 };

	(void)state;
	READ(&args, A("-name") A("guest=alpha,debug-threads=on") A("-uuid") A("u-u"));
	assert_string_equal(args.name, "alpha");
	assert_string_equal(args.uuid, "u-u");
}

static void a_comma_in_a_name_is_written_twice(void **state)
{
	g_auto(qemu_args) args = { 0 };

	(void)state;
	READ(&args, A("-name") A("guest=a,,b,,,debug-threads=on"));
	assert_string_equal(args.name, "a,b,");
}

/* ---- paths ---- */

static void places_of(const char *uri, struct adopt_dirs *places)
{
	g_setenv("XDG_RUNTIME_DIR", "/run/user/7", TRUE);
	adopt_dirs_find(uri, places);
}

static void system_and_session_have_folders_of_their_own(void **state)
{
	g_auto(adopt_dirs) system = { 0 };
	g_auto(adopt_dirs) session = { 0 };

	(void)state;
	places_of("qemu:///system?socket=/x/session", &system);
	places_of("qemu:///session", &session);
	assert_string_equal(system.sockets, "/run/aerostat");
	assert_string_equal(system.emulators, "/var/lib/aerostat/emulators");
	assert_string_equal(session.sockets, "/run/user/7/aerostat");
}

static void a_link_names_its_emulator(void **state)
{
	g_auto(adopt_dirs) places = { 0 };
	g_autofree char *link = NULL;

	(void)state;
	places_of("qemu:///system", &places);
	link = adopt_format_link(&places, "/usr/bin/qemu-system-x86_64");
	assert_string_equal(adopt_parse_link(link), "/usr/bin/qemu-system-x86_64");
	assert_null(adopt_parse_link("/usr/bin/aerostat-qemu"));
	assert_null(adopt_parse_link("/var/lib/aerostat/emulators"));
}

static void the_two_sockets_lie_side_by_side(void **state)
{
	g_auto(adopt_dirs) places = { 0 };
	g_autofree char *socket = NULL;
	g_autofree char *control = NULL;

	(void)state;
	places_of("qemu:///system", &places);
	socket = adopt_format_socket(&places, "a.sock.b", NULL);
	control = adopt_format_control(socket);
	assert_string_equal(socket, "/run/aerostat/a.sock.b.sock");
	assert_string_equal(control, "/run/aerostat/a.sock.b.qmp");
}

static void a_name_too_long_for_a_socket_is_refused(void **state)
{
	g_auto(adopt_dirs) places = { 0 };
	g_autofree char *name = g_strnfill(108 - strlen("/run/aerostat/.sock"), 'n');
	g_autoptr(GError) error = NULL;
	g_autofree char *longest = NULL;

	(void)state;
	places_of("qemu:///system", &places);
	assert_null(adopt_format_socket(&places, name, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED));
	longest = adopt_format_socket(&places, name + 1, NULL);
	assert_non_null(longest);
}

/* ---- files ---- */

static int make_folder(void **state)
{
	*state = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	return *state ? 0 : -1;
}

static int drop_folder(void **state)
{
	const char *argv[] = { "rm", "-rf", *state, NULL };

	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
		     NULL);
	g_free(*state);
	return 0;
}

static void a_link_is_made_once_and_follows_the_launcher(void **state)
{
	g_autofree char *link = g_build_filename(*state, "deep/er/qemu", NULL);
	g_autofree char *target = NULL;
	bool made;

	assert_true(adopt_make_link(link, "/bin/one", &made, NULL));
	assert_true(made);
	assert_true(adopt_make_link(link, "/bin/one", &made, NULL));
	assert_false(made);
	assert_true(adopt_make_link(link, "/bin/two", &made, NULL));
	target = g_file_read_link(link, NULL);
	assert_string_equal(target, "/bin/two");
}

static void a_socket_listens_for_its_user_only(void **state)
{
	g_autofree char *path = g_build_filename(*state, "new/a.sock", NULL);
	int fd = guest_socket_open(path, NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(g_lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_false(guest_socket_wait_free(path, 0));
	close(fd);
}

static void what_a_dead_process_left_is_free_and_replaced(void **state)
{
	g_autofree char *path = g_build_filename(*state, "a.sock", NULL);
	int fd = guest_socket_open(path, NULL);

	close(fd);
	assert_true(guest_socket_wait_free(path, 0));
	fd = guest_socket_open(path, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void a_path_that_is_not_there_is_free(void **state)
{
	g_autofree char *path = g_build_filename(*state, "none", NULL);

	assert_true(guest_socket_wait_free(path, 0));
}

static void nothing_is_made_behind_another_users_link(void **state)
{
	g_autofree char *precious = g_build_filename(*state, "precious", NULL);
	g_autofree char *link = g_build_filename(*state, "link", NULL);
	g_autofree char *socket = g_build_filename(link, "new/a.sock", NULL);
	g_autofree char *emulator = g_build_filename(link, "deep/er/qemu", NULL);
	g_autofree char *made = g_build_filename(precious, "new", NULL);
	g_autofree char *deep = g_build_filename(precious, "deep", NULL);
	bool is_made;

	if (geteuid() != 0)
		skip();
	assert_int_equal(g_mkdir(precious, 0755), 0);
	assert_int_equal(symlink(precious, link), 0);
	assert_int_equal(lchown(link, 65533, 65533), 0);
	assert_int_equal(guest_socket_open(socket, NULL), -1);
	assert_false(adopt_make_link(emulator, "/bin/one", &is_made, NULL));
	assert_int_not_equal(g_access(made, F_OK), 0);
	assert_int_not_equal(g_access(deep, F_OK), 0);
}

static void a_path_too_long_is_refused(void **state)
{
	g_autofree char *name = g_strnfill(120, 'n');
	g_autofree char *path = g_build_filename(*state, name, NULL);
	g_autoptr(GError) error = NULL;

	assert_int_equal(guest_socket_open(path, &error), -1);
	assert_non_null(strstr(error->message, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_device_has_its_socket),
		cmocka_unit_test(devices_of_others_do_not),
		cmocka_unit_test(a_probe_for_capabilities_has_no_device),
		cmocka_unit_test(the_guests_name_and_uuid_are_read),
		cmocka_unit_test(a_comma_in_a_name_is_written_twice),
		cmocka_unit_test(system_and_session_have_folders_of_their_own),
		cmocka_unit_test(a_link_names_its_emulator),
		cmocka_unit_test(the_two_sockets_lie_side_by_side),
		cmocka_unit_test(a_name_too_long_for_a_socket_is_refused),
		cmocka_unit_test_setup_teardown(a_link_is_made_once_and_follows_the_launcher,
						make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(a_socket_listens_for_its_user_only, make_folder,
						drop_folder),
		cmocka_unit_test_setup_teardown(what_a_dead_process_left_is_free_and_replaced,
						make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(a_path_that_is_not_there_is_free, make_folder,
						drop_folder),
		cmocka_unit_test_setup_teardown(nothing_is_made_behind_another_users_link,
						make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(a_path_too_long_is_refused, make_folder,
						drop_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
