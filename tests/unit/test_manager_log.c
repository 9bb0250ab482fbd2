/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's log: standard error is a pipe that the test reads afterwards. */
#include "aerostatd/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	int fds[2];
	int stderr_fd; /* the real one, kept for the end */
	char text[1 << 17];
};

static int setup(void **state)
{
	struct rig *rig = g_new0(struct rig, 1);

	g_unsetenv("JOURNAL_STREAM");
	assert_int_equal(pipe2(rig->fds, O_NONBLOCK | O_CLOEXEC), 0);
	rig->stderr_fd = dup(STDERR_FILENO);
	dup2(rig->fds[1], STDERR_FILENO);
	manager_log_verbose(false);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	dup2(rig->stderr_fd, STDERR_FILENO);
	close(rig->stderr_fd);
	close(rig->fds[0]);
	close(rig->fds[1]);
	g_free(rig);
	return 0;
}

/* What was written since the last call. */
static const char *written(struct rig *rig)
{
	ssize_t n = read(rig->fds[0], rig->text, sizeof(rig->text) - 1);

	rig->text[n > 0 ? n : 0] = '\0';
	return rig->text;
}

static void say_that_stderr_is_the_journal(int inode_off)
{
	g_autofree char *stream = NULL;
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	stream = g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev,
				 (uintmax_t)st.st_ino + (uintmax_t)inode_off);
	g_setenv("JOURNAL_STREAM", stream, TRUE);
}

static void a_line_begins_with_its_kind_in_words(void **state)
{
	manager_log(LOG_ERR, "no %s", "guest");
	assert_string_equal(written(*state), "error: no guest\n");
	manager_log(LOG_WARNING, "late");
	assert_string_equal(written(*state), "warning: late\n");
	manager_log(LOG_INFO, "web: %d MiB", 512);
	assert_string_equal(written(*state), "web: 512 MiB\n");
}

static void under_systemd_a_line_begins_with_its_level(void **state)
{
	say_that_stderr_is_the_journal(0);
	manager_log(LOG_INFO, "ready");
	assert_string_equal(written(*state), "<6>ready\n");
	manager_log(LOG_ERR, "no");
	assert_string_equal(written(*state), "<3>no\n");
}

static void a_journal_that_is_not_at_our_standard_error_does_not_count(void **state)
{
	say_that_stderr_is_the_journal(1);
	manager_log(LOG_ERR, "no");
	assert_string_equal(written(*state), "error: no\n");
}

static void details_are_told_only_when_they_are_asked_for(void **state)
{
	manager_log(LOG_DEBUG, "a detail");
	assert_string_equal(written(*state), "");
	manager_log_verbose(true);
	manager_log(LOG_DEBUG, "a detail");
	assert_string_equal(written(*state), "debug: a detail\n");
	say_that_stderr_is_the_journal(0);
	manager_log(LOG_DEBUG, "a detail");
	assert_string_equal(written(*state), "<7>a detail\n");
}

static void a_name_cannot_begin_a_line(void **state)
{
	manager_log(LOG_INFO, "found %s", "web\n<0>panic\x1b[1m");
	assert_string_equal(written(*state), "found web\\x0a<0>panic\\x1b[1m\n");
}

static void a_long_line_is_cut(void **state)
{
	g_autofree char *text = g_strnfill(10000, 'x');
	const char *line;

	manager_log(LOG_INFO, "%s", text);
	line = written(*state);
	assert_int_equal(strlen(line), 2047);
	assert_string_equal(line + 2045, "x\n");
}

static void a_reader_that_does_not_read_holds_up_nobody(void **state)
{
	struct rig *rig = *state;

	fcntl(rig->fds[1], F_SETFL, 0);
	for (int i = 0; i < 20000; i++)
		manager_log(LOG_INFO, "line %d", i);
	assert_true(g_str_has_prefix(written(rig), "line 0\nline 1\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_begins_with_its_kind_in_words),
		TEST(under_systemd_a_line_begins_with_its_level),
		TEST(a_journal_that_is_not_at_our_standard_error_does_not_count),
		TEST(details_are_told_only_when_they_are_asked_for),
		TEST(a_name_cannot_begin_a_line),
		TEST(a_long_line_is_cut),
		TEST(a_reader_that_does_not_read_holds_up_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
