/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a guest is still the guest it was. */
#include "aerostatd/identity.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void the_name_of_a_process_does_not_hide_its_start(void **state)
{
	uint64_t ticks = process_start_ticks(getpid());
	char name[16];

	(void)state;
	assert_true(ticks > 0);
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, ") S 1 (2) 3"), 0);
	assert_int_equal(process_start_ticks(getpid()), ticks);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
}

/* Field 22, counted as in a name without spaces. */
static void the_start_is_that_of_proc(void **state)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) words = NULL;

	(void)state;
	assert_true(g_file_get_contents("/proc/self/stat", &text, NULL, NULL));
	words = g_strsplit(text, " ", -1);
	assert_int_equal(process_start_ticks(getpid()), g_ascii_strtoull(words[21], NULL, 10));
}

static void a_dead_process_has_no_start(void **state)
{
	siginfo_t ended;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_start_ticks(child), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_start_ticks(child), 0);
	assert_int_equal(process_start_ticks(0), 0);
	assert_int_equal(process_start_ticks(-1), 0);
}

static void a_process_is_running_until_it_ends(void **state)
{
	siginfo_t ended;
	uint64_t ticks;
	int ready[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		char byte;

		close(ready[1]);
		_exit((int)read(ready[0], &byte, 1));
	}
	ticks = process_start_ticks(child);
	assert_int_equal(process_find_state(child, ticks), PROCESS_RUNNING);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_find_state(child, ticks), PROCESS_ENDED);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_find_state(child, ticks), PROCESS_ENDED);
}

static void a_number_that_was_given_to_a_later_process_has_ended(void **state)
{
	(void)state;
	assert_int_equal(process_find_state(getpid(), process_start_ticks(getpid()) - 1),
			 PROCESS_ENDED);
}

static void an_unknown_process_has_not_ended(void **state)
{
	(void)state;
	assert_int_equal(process_find_state(0, 0), PROCESS_UNKNOWN);
	assert_int_equal(process_find_state(0, 5), PROCESS_UNKNOWN);
	assert_int_equal(process_find_state(getpid(), 0), PROCESS_UNKNOWN);
}

/* Without a free descriptor nothing can be looked at, and that proves nothing. */
static void a_process_that_cannot_be_looked_at_has_not_ended(void **state)
{
	uint64_t ticks = process_start_ticks(getpid());
	struct rlimit before, none;
	enum process_state now, later;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	now = process_find_state(getpid(), ticks);
	later = process_find_state(getpid(), ticks - 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(now, PROCESS_UNKNOWN);
	assert_int_equal(later, PROCESS_UNKNOWN);
}

/* What is known of a guest of this process, of another one that runs, or of none. */
enum who { US, OTHER, NOBODY };

/* As with /proc mounted with hidepid=2: here, an empty folder is mounted over /proc. */
static void a_process_that_is_hidden_has_not_ended(void **state)
{
	uint64_t ticks = process_start_ticks(getpid());
	pid_t parent = getpid(), child = fork();
	int status;

	(void)state;
	if (child == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "/proc", "tmpfs", 0, NULL))
			_exit(77);
		_exit(process_find_state(parent, ticks));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WEXITSTATUS(status) == 77)
		skip(); /* it takes root */
	assert_int_equal(WEXITSTATUS(status), PROCESS_UNKNOWN);
}

static void another_guest_is_told_apart(void **state)
{
	static const struct {
		const char *what;
		enum who known_pid;
		bool known_start, was_earlier_run;
		const char *known_uuid, *known_name;
		enum who pid;
		const char *uuid, *name;
		bool same;
	} rows[] = {
		{ "the same process", US, true, false, "u", "n", US, "u", "n", true },
		{ "the same process, renamed", US, true, false, "u", "n", US, "v", "m", true },
		{ "another process", US, true, false, "u", "n", OTHER, "u", "n", false },
		{ "a later process of that number", US, true, true, "u", "n", US, "u", "n", false },
		{ "it ended, and what answers is not identified", US, true, true, NULL, NULL,
		  NOBODY, NULL, NULL, false },
		{ "start unknown, same UUID", US, false, false, "u", "n", US, "u", "m", true },
		{ "start unknown, another UUID", US, false, false, "u", "n", US, "v", "n", false },
		{ "start unknown, no UUID, renamed", US, false, false, NULL, "n", US, NULL, "m",
		  true },
		{ "start unknown, another process", US, false, false, "u", "n", OTHER, "u", "n",
		  false },
		{ "no process, same UUID", NOBODY, false, false, "u", "n", US, "u", "m", true },
		{ "no process, another UUID", NOBODY, false, false, "u", "n", US, "v", "n", false },
		{ "no process, no UUID, same name", NOBODY, false, false, NULL, "n", US, "u", "n",
		  true },
		{ "no process, no UUID, another name", NOBODY, false, false, NULL, "n", US, "u",
		  "m", false },
		{ "nothing known", NOBODY, false, false, NULL, NULL, US, "u", "n", true },
		{ "nothing answered", US, true, false, "u", "n", NOBODY, NULL, NULL, true },
	};
	const pid_t pids[] = { [US] = getpid(), [OTHER] = getppid(), [NOBODY] = 0 };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct identity guest = {
			.pid = pids[rows[i].known_pid],
			.start_ticks = rows[i].known_start ? process_start_ticks(getpid()) -
								     rows[i].was_earlier_run
							   : 0,
			.uuid = rows[i].known_uuid,
			.name = rows[i].known_name,
		};
		const struct hv_info info = {
			.pid = pids[rows[i].pid],
			.uuid = (char *)rows[i].uuid,
			.name = (char *)rows[i].name,
		};

		if (identity_matches(&guest, &info) != rows[i].same)
			fail_msg("%s", rows[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_of_a_process_does_not_hide_its_start),
		cmocka_unit_test(the_start_is_that_of_proc),
		cmocka_unit_test(a_dead_process_has_no_start),
		cmocka_unit_test(a_process_is_running_until_it_ends),
		cmocka_unit_test(a_number_that_was_given_to_a_later_process_has_ended),
		cmocka_unit_test(an_unknown_process_has_not_ended),
		cmocka_unit_test(a_process_that_cannot_be_looked_at_has_not_ended),
		cmocka_unit_test(a_process_that_is_hidden_has_not_ended),
		cmocka_unit_test(another_guest_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
