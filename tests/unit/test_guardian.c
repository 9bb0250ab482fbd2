/* SPDX-License-Identifier: BSD-3-Clause */
/* A daemon that dies, and its guardian (guardian_rig.h). */
#include "tests/unit/guardian_rig.h"

#include "aerostatd/guardian.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A daemon dies
 */

static void the_guests_of_a_killed_daemon_are_restored(void **state)
{
	struct guardian_rig *rig = *state;

	rig_add(rig, 0);
	rig_add(rig, 1)->before_period_s = 3;
	rig_save(rig);
	rig_start_daemon(rig);
	rig_assert_heard(rig->fakes[0], "");
	rig_kill_daemon(rig);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_heard(rig->fakes[1], PERIOD "=3\n" SIZE);
	rig_assert_left(rig, 0, false);
}

static void what_was_saved_last_counts(void **state)
{
	struct guardian_rig *rig = *state;

	rig_start_daemon(rig);
	rig_add(rig, 0);
	rig_save(rig);
	rig_kill_daemon(rig);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
}

static void signals_that_end_a_daemon_do_not_end_its_guardian(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	struct guardian_rig *rig = *state;

	rig_add(rig, 0);
	rig_save(rig);
	rig_start_daemon(rig);
	assert_int_equal(getsid(rig->guardian), rig->guardian);
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		kill(rig->guardian, signals[i]);
	rig_kill_daemon(rig);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
}

static void a_new_daemon_continues_from_the_file(void **state)
{
	struct guardian_rig *rig = *state;
	int lock;

	rig_add(rig, 0);
	rig_save(rig);
	rig_start_daemon(rig);
	/* So that the lock is ours before the guardian can have it. */
	kill(rig->guardian, SIGSTOP);
	rig_kill_daemon(rig);
	lock = state_folder_lock(rig->folder, 0, NULL);
	assert_true(lock >= 0);
	kill(rig->guardian, SIGCONT);
	assert_int_equal(rig_guardian_ends(rig), 0);
	close(lock);
	rig_assert_heard(rig->fakes[0], "");
	rig_assert_left(rig, 1, true);
}

/* Holds the lock for a moment after the daemon's death; whether that was no longer than the
 * guardian waits, as it is if this process is scheduled. */
static bool release_lock_late(struct guardian_rig *rig)
{
	int64_t held_us;
	int lock;

	rig_start_daemon(rig);
	kill(rig->guardian, SIGSTOP);
	rig_kill_daemon(rig);
	lock = state_folder_lock(rig->folder, 0, NULL);
	assert_true(lock >= 0);
	held_us = g_get_monotonic_time();
	kill(rig->guardian, SIGCONT);
	g_usleep(100000);
	close(lock);
	held_us = g_get_monotonic_time() - held_us;
	assert_int_equal(rig_guardian_ends(rig), 0);
	return held_us < G_USEC_PER_SEC;
}

static void a_lock_that_is_released_a_moment_later_is_waited_for(void **state)
{
	struct guardian_rig *rig = *state;
	bool in_time;

	rig_add(rig, 0);
	do {
		rig_save(rig);
		in_time = release_lock_late(rig);
	} while (!in_time);
	rig_assert_left(rig, 0, false);
	rig_wait_heard(rig->fakes[0], RESTORED);
}

static void the_lock_is_kept_until_the_guest_has_its_size(void **state)
{
	struct guardian_rig *rig = *state;
	GError *error = NULL;

	will_answer(rig->fakes[0], "query-balloon", SMALL);
	rig_add(rig, 0);
	rig_save(rig);
	rig_start_daemon(rig);
	rig_kill_daemon(rig);
	rig_wait_heard(rig->fakes[0], RESTORED);
	assert_int_equal(state_folder_lock(rig->folder, 200, &error), -1);
	assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN));
	g_clear_error(&error);
	rig_assert_left(rig, 1, true);
	will_answer(rig->fakes[0], "query-balloon", LARGE);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_left(rig, 0, false);
}

static void a_guest_that_does_not_answer_delays_no_other(void **state)
{
	struct guardian_rig *rig = *state;

	will_answer(rig->fakes[0], "query-status", NULL);
	rig_add(rig, 0);
	rig_add(rig, 1);
	rig_save(rig);
	rig_start_daemon(rig);
	rig_kill_daemon(rig);
	rig_wait_heard(rig->fakes[1], RESTORED);
	rig_assert_heard(rig->fakes[0], "");
	fake_kill(rig->fakes[0]);
	assert_int_equal(rig_guardian_ends(rig), 1);
	rig_assert_left(rig, 1, true);
}

static void a_guardian_that_cannot_read_the_file_fails(void **state)
{
	struct guardian_rig *rig = *state;

	assert_true(g_file_set_contents(rig->file, "{", -1, NULL));
	rig_start_daemon(rig);
	rig_kill_daemon(rig);
	assert_int_equal(rig_guardian_ends(rig), 1);
	assert_int_equal(access(rig->file, F_OK), 0);
}

static void a_guardian_that_cannot_lock_restores_nothing(void **state)
{
	struct guardian_rig *rig = *state;
	g_autofree char *lock = g_build_filename(rig->folder, "lock", NULL);

	rig_add(rig, 0);
	rig_save(rig);
	rig_start_daemon(rig);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink("elsewhere", lock), 0);
	rig_kill_daemon(rig);
	assert_int_equal(rig_guardian_ends(rig), 1);
	rig_assert_heard(rig->fakes[0], "");
	rig_assert_left(rig, 1, true);
}

/*
 * The daemon's side, with the test as the daemon
 */

static struct guardian *start_here(struct guardian_rig *rig)
{
	GError *error = NULL;
	struct guardian *guardian = guardian_start("/proc/self/exe", rig->folder, &error);

	if (!guardian)
		fail_msg("%s", error->message);
	assert_true(rig_find_guardian(getpid()) > 0);
	return guardian;
}

static void a_dismissed_guardian_restores_nothing(void **state)
{
	struct guardian_rig *rig = *state;
	struct guardian *guardian = start_here(rig);
	pid_t pid = rig_find_guardian(getpid());

	rig_add(rig, 0);
	rig_save(rig);
	guardian_dismiss(guardian);
	/* If it takes longer than a second to end, it is not waited for. */
	RUN_UNTIL(kill(pid, 0) || waitpid(pid, NULL, WNOHANG) == pid);
	rig_assert_heard(rig->fakes[0], "");
	rig_assert_left(rig, 1, true);
	guardian_dismiss(NULL);
}

static void a_guardian_that_is_stopped_when_it_is_dismissed_is_not_waited_for(void **state)
{
	struct guardian_rig *rig = *state;
	struct guardian *guardian = start_here(rig);

	rig->guardian = rig_find_guardian(getpid());
	rig_add(rig, 0);
	rig_save(rig);
	kill(rig->guardian, SIGSTOP);
	guardian_dismiss(guardian);
	kill(rig->guardian, SIGCONT);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_heard(rig->fakes[0], "");
}

static void a_guardian_that_ends_is_started_again_after_a_second(void **state)
{
	struct guardian_rig *rig = *state;
	struct guardian *guardian = start_here(rig);
	pid_t first = rig_find_guardian(getpid());
	int64_t killed_us = g_get_monotonic_time();

	rig_add(rig, 0);
	rig_save(rig);
	kill(first, SIGKILL);
	RUN_UNTIL(!rig_find_guardian(getpid()));
	RUN_UNTIL(rig_find_guardian(getpid()));
	assert_int_not_equal(rig_find_guardian(getpid()), first);
	assert_true(g_get_monotonic_time() - killed_us >= G_USEC_PER_SEC);
	rig_assert_heard(rig->fakes[0], "");
	guardian_dismiss(guardian);
	rig_assert_heard(rig->fakes[0], "");
}

static void a_guardian_may_be_dismissed_while_there_is_none(void **state)
{
	struct guardian_rig *rig = *state;
	struct guardian *guardian = start_here(rig);

	kill(rig_find_guardian(getpid()), SIGKILL);
	RUN_UNTIL(!rig_find_guardian(getpid()));
	guardian_dismiss(guardian);
	assert_false(g_main_context_pending(NULL));
}

static void a_guardian_that_died_unnoticed_may_be_dismissed(void **state)
{
	struct guardian_rig *rig = *state;
	struct guardian *guardian = start_here(rig);
	siginfo_t ended;
	pid_t pid = rig_find_guardian(getpid());

	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
	guardian_dismiss(guardian);
	assert_int_equal(kill(pid, 0), -1);
}

/* Pipes that a program started by this process would inherit. */
static unsigned int inheritable_pipes(void)
{
	unsigned int count = 0;

	for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
		struct stat about;

		count += fstat(fd, &about) == 0 && S_ISFIFO(about.st_mode) &&
			 !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	return count;
}

static void other_programs_of_the_daemon_do_not_hold_the_pipe_open(void **state)
{
	unsigned int before = inheritable_pipes();
	struct guardian *guardian = start_here(*state);

	assert_int_equal(inheritable_pipes(), before);
	guardian_dismiss(guardian);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
	struct guardian_rig *rig = *state;
	GError *error = NULL;

	assert_null(guardian_start("/nowhere/aerostatd", rig->folder, &error));
	assert_non_null(strstr(error->message, "/nowhere/aerostatd"));
	g_error_free(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guardian_rig_setup, guardian_rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_guests_of_a_killed_daemon_are_restored),
		TEST(what_was_saved_last_counts),
		TEST(signals_that_end_a_daemon_do_not_end_its_guardian),
		TEST(a_new_daemon_continues_from_the_file),
		TEST(a_lock_that_is_released_a_moment_later_is_waited_for),
		TEST(the_lock_is_kept_until_the_guest_has_its_size),
		TEST(a_guest_that_does_not_answer_delays_no_other),
		TEST(a_guardian_that_cannot_read_the_file_fails),
		TEST(a_guardian_that_cannot_lock_restores_nothing),
		TEST(a_dismissed_guardian_restores_nothing),
		TEST(a_guardian_that_is_stopped_when_it_is_dismissed_is_not_waited_for),
		TEST(a_guardian_that_ends_is_started_again_after_a_second),
		TEST(a_guardian_may_be_dismissed_while_there_is_none),
		TEST(a_guardian_that_died_unnoticed_may_be_dismissed),
		TEST(other_programs_of_the_daemon_do_not_hold_the_pipe_open),
		TEST(a_program_that_is_not_there_is_an_error),
	};
	int code = guardian_rig_role(argc, argv);

	return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
