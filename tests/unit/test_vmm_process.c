/* SPDX-License-Identifier: BSD-3-Clause */
/* Which process runs a guest: no process of another user, whatever its command line says. */
#include "hypervisor/vmm_process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hypervisor/libvirt_link.h"

#define OTHER_UID 65534
#define NO_UID ((uid_t)-1)

static char *uuid;

static int set_up(void **state)
{
	(void)state;
	uuid = g_uuid_string_random();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	g_free(uuid);
	return 0;
}

/* A process that only looks like a QEMU: a shell that reads until it or this test is killed. */
static pid_t start_lookalike_with(uid_t real, uid_t effective, const char *option)
{
	int ready[2], hold[2];
	char byte;
	pid_t pid;

	assert_return_code(pipe2(ready, O_CLOEXEC), errno);
	assert_return_code(pipe2(hold, O_CLOEXEC), errno); /* ends with this test */
	pid = fork();
	if (!pid) {
		dup2(hold[0], STDIN_FILENO);
		dup2(ready[1], STDOUT_FILENO);
		close(hold[1]);
		if (setresuid(real, effective, effective))
			_exit(1);
		execl("/bin/sh", "sh", "-pc", "echo; read line", "qemu", "-name", "guest=web",
		      "-uuid", uuid, option, "there", NULL);
		_exit(1);
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static pid_t start_lookalike(uid_t real, uid_t effective)
{
	return start_lookalike_with(real, effective, NULL);
}

static void end_lookalike(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static pid_t find_for(uid_t owner)
{
	g_autoptr(GArray) owners = g_array_new(FALSE, FALSE, sizeof(uid_t));

	g_array_append_val(owners, owner);
	return vmm_process_find(uuid, owners, 0);
}

static void its_options_show_whether_the_guest_booted_in_it(void **state)
{
	static const struct {
		const char *option;
		enum hv_origin origin;
	} rows[] = { { NULL, HV_ORIGIN_BOOT },
		     { "-append", HV_ORIGIN_BOOT },
		     { "-incoming", HV_ORIGIN_STATE },
		     { "-loadvm", HV_ORIGIN_STATE } };
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		pid = start_lookalike_with(getuid(), geteuid(), rows[i].option);
		assert_int_equal(vmm_process_find_origin(pid), rows[i].origin);
		end_lookalike(pid);
		assert_int_equal(vmm_process_find_origin(pid), HV_ORIGIN_UNKNOWN);
	}
	assert_int_equal(vmm_process_find_origin(0), HV_ORIGIN_UNKNOWN);
}

static void a_process_of_the_owner_is_found(void **state)
{
	pid_t pid = start_lookalike(getuid(), geteuid());

	(void)state;
	assert_int_equal(find_for(getuid()), pid);
	assert_int_equal(find_for(OTHER_UID - 1), 0);
	end_lookalike(pid);
	assert_int_equal(find_for(getuid()), 0);
}

static void a_process_of_another_user_neither_counts_nor_hides_the_right_one(void **state)
{
	pid_t pid, other;

	(void)state;
	if (geteuid())
		skip();
	other = start_lookalike(OTHER_UID, OTHER_UID);
	assert_int_equal(find_for(0), 0);
	pid = start_lookalike(0, 0);
	assert_int_equal(find_for(0), pid);
	end_lookalike(pid);
	end_lookalike(other);
}

static void a_program_that_another_user_started_with_more_rights_does_not_count(void **state)
{
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = start_lookalike(OTHER_UID, 0); /* as a set-user-ID program of root's */
	assert_int_equal(find_for(0), 0);
	end_lookalike(pid);
}

static void two_processes_of_the_owner_are_neither(void **state)
{
	pid_t first = start_lookalike(getuid(), geteuid());
	pid_t second = start_lookalike(getuid(), geteuid());

	(void)state;
	assert_int_equal(find_for(getuid()), 0);
	end_lookalike(first);
	end_lookalike(second);
}

/* How libvirt writes the user of a DAC label. */
static void the_user_of_a_label_is_a_number_or_a_name(void **state)
{
	static const struct {
		const char *label;
		uid_t uid;
	} rows[] = {
		{ "+0", 0 },	     { "+64055", 64055 },   { "1234", 1234 },
		{ "root", 0 },	     { "", NO_UID },	    { "+", NO_UID },
		{ "+root", NO_UID }, { "-1", NO_UID },	    { "+-1", NO_UID },
		{ "++1", NO_UID },   { "no such", NO_UID }, { "+4294967294", 4294967294 },
		{ "+1 ", NO_UID },   { "0x1", NO_UID },	    { "+4294967295", NO_UID },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		print_message("%s\n", rows[i].label);
		assert_int_equal(libvirt_parse_user(rows[i].label), rows[i].uid);
	}
}

static pid_t find_at(const char *uri, uid_t user)
{
	g_autoptr(GArray) owners = libvirt_list_owners(uri, user);

	return vmm_process_find(uuid, owners, 0);
}

static void the_user_that_libvirt_reports_is_the_only_one(void **state)
{
	pid_t own = start_lookalike(geteuid(), geteuid()), pid;

	(void)state;
	if (geteuid()) {
		end_lookalike(own);
		skip();
	}
	pid = start_lookalike(OTHER_UID, OTHER_UID);
	assert_int_equal(find_at("qemu:///system", OTHER_UID), pid);
	assert_int_equal(find_at("qemu:///system", NO_UID), own);
	assert_int_equal(find_at("qemu:///system", 1), 0);
	end_lookalike(pid);
	end_lookalike(own);
}

static void another_users_libvirt_speaks_for_no_third_user(void **state)
{
	g_autofree char *path = g_strdup_printf("/tmp/libvirt-of-another-%d", (int)getpid());
	g_autofree char *uri = g_strdup_printf("qemu:///session?socket=%s", path);
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	assert_true(g_file_set_contents(path, "", -1, NULL));
	assert_return_code(chown(path, OTHER_UID, OTHER_UID), errno);
	pid = start_lookalike(1, 1);
	assert_int_equal(find_at(uri, 1), 0);
	end_lookalike(pid);
	pid = start_lookalike(OTHER_UID, OTHER_UID);
	assert_int_equal(find_at(uri, 1), pid);
	end_lookalike(pid);
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_of_the_owner_is_found),
		TEST(its_options_show_whether_the_guest_booted_in_it),
		TEST(a_process_of_another_user_neither_counts_nor_hides_the_right_one),
		TEST(a_program_that_another_user_started_with_more_rights_does_not_count),
		TEST(two_processes_of_the_owner_are_neither),
		TEST(the_user_of_a_label_is_a_number_or_a_name),
		TEST(the_user_that_libvirt_reports_is_the_only_one),
		TEST(another_users_libvirt_speaks_for_no_third_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
