/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever standard descriptors a program was started with, what it prints goes nowhere else. */
#include "common/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/hang.h"

/* Runs @body in a child, since it changes what a process has once; returns its exit status. */
static int run_in_child(int (*body)(int), int argument)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(body(argument));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Closes the descriptors of the bits of @closed; the next file must not get one of them. */
static int open_after_closing(int closed)
{
	for (int fd = 0; fd < 3; fd++)
		if (closed & 1 << fd)
			close(fd);
	if (standard_streams_open())
		return 100;
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return 101;
	return open("/dev/zero", O_RDONLY);
}

static void a_closed_descriptor_is_given_to_no_file(void **state)
{
	(void)state;
	for (int closed = 0; closed < 8; closed++)
		assert_in_range(run_in_child(open_after_closing, closed), 3, 99);
}

static int keep_open_ones(int unused)
{
	int before = dup(STDOUT_FILENO);

	(void)unused;
	if (standard_streams_open())
		return 100;
	return open("/dev/zero", O_RDONLY) - before;
}

static void what_is_open_stays(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(keep_open_ones, 0), 1);
}

static int print_to(int fd)
{
	dup2(fd, STDOUT_FILENO);
	puts("a line");
	return -standard_streams_finish();
}

static int print_much_to(int fd)
{
	dup2(fd, STDOUT_FILENO);
	/* More than the buffer, so that it fails before the end. */
	for (int i = 0; i < 100000; i++)
		puts("a line");
	return standard_streams_finish() != 0;
}

static void output_that_is_lost_is_an_error(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(run_in_child(print_to, full), ENOSPC);
	assert_int_equal(run_in_child(print_much_to, full), 1);
	close(full);
}

static void output_that_arrives_is_no_error(void **state)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(run_in_child(print_to, null), 0);
	close(null);
}

static void a_reader_that_has_enough_is_no_error(void **state)
{
	int ends[2];

	(void)state;
	assert_return_code(pipe(ends), errno);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run_in_child(print_to, ends[1]), 0);
	assert_int_equal(run_in_child(print_much_to, ends[1]), 0);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_descriptor_is_given_to_no_file),
		cmocka_unit_test(what_is_open_stays),
		cmocka_unit_test(output_that_is_lost_is_an_error),
		cmocka_unit_test(output_that_arrives_is_no_error),
		cmocka_unit_test(a_reader_that_has_enough_is_no_error),
	};

	alarm(HANG_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
