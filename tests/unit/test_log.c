/* SPDX-License-Identifier: BSD-3-Clause */
/* The log, written to a pipe. */
#include "io/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)
#define START (1000 * S)

struct rig {
	int fds[2];
	struct log log;
	char text[1 << 17];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	unsetenv("JOURNAL_STREAM");
	assert_int_equal(pipe2(rig->fds, O_NONBLOCK | O_CLOEXEC), 0);
	log_init(&rig->log, rig->fds[1], LOG_LEVEL_INFO);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close(rig->fds[0]);
	close(rig->fds[1]);
	free(rig);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

/* Reads what was written since the last call. */
static const char *written(struct rig *rig)
{
	ssize_t n = read(rig->fds[0], rig->text, sizeof(rig->text) - 1);

	rig->text[n > 0 ? n : 0] = '\0';
	return rig->text;
}

static unsigned int lines(const char *text)
{
	unsigned int count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void a_line_has_a_word_for_people(void **state)
{
	struct rig *rig = *state;

	log_line(&rig->log, LOG_LEVEL_ERROR, "disk %d", 3);
	log_line(&rig->log, LOG_LEVEL_WARNING, "w");
	log_line(&rig->log, LOG_LEVEL_INFO, "i");
	log_line(&rig->log, LOG_LEVEL_DEBUG, "d");
	assert_string_equal(written(rig), "error: disk 3\nwarning: w\ni\n");
}

static void the_journal_gets_priorities(void **state)
{
	struct rig *rig = *state;
	struct stat st;
	char stream[64];

	fstat(rig->fds[1], &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(&rig->log, rig->fds[1], LOG_LEVEL_DEBUG);
	log_line(&rig->log, LOG_LEVEL_ERROR, "e");
	log_line(&rig->log, LOG_LEVEL_DEBUG, "d");
	assert_string_equal(written(rig), "<3>e\n<7>d\n");
}

static void a_journal_that_is_not_ours_gets_words(void **state)
{
	struct rig *rig = *state;
	struct stat st;
	char stream[64];

	fstat(rig->fds[1], &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(&rig->log, rig->fds[1], LOG_LEVEL_INFO);
	log_line(&rig->log, LOG_LEVEL_ERROR, "e");
	assert_string_equal(written(rig), "error: e\n");
}

static void a_line_is_one_line_and_bounded(void **state)
{
	struct rig *rig = *state;
	char text[2 * LOG_LINE_MAX];

	log_line(&rig->log, LOG_LEVEL_INFO, "a\nb\033[31m");
	assert_string_equal(written(rig), "a?b?[31m\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_line(&rig->log, LOG_LEVEL_WARNING, "%s", text);
	assert_true(strlen(written(rig)) <= LOG_LINE_MAX);
	assert_int_equal(lines(rig->text), 1);
	assert_int_equal(rig->text[strlen(rig->text) - 1], '\n');
}

static void a_flood_is_cut_and_counted(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 1000; i++)
		log_line_at(&rig->log, START, LOG_LEVEL_INFO, "flood");
	assert_int_equal(lines(written(rig)), LOG_BURST);
	log_line_at(&rig->log, START + S, LOG_LEVEL_INFO, "later");
	assert_string_equal(written(rig), "warning: 950 log lines were dropped here\nlater\n");
	log_line_at(&rig->log, START + S, LOG_LEVEL_INFO, "and on");
	assert_string_equal(written(rig), "and on\n");
}

static void a_quiet_while_allows_a_burst_again(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < LOG_BURST; i++)
		log_line_at(&rig->log, START, LOG_LEVEL_INFO, "flood");
	written(rig);
	for (int i = 0; i < 1000; i++)
		log_line_at(&rig->log, START + 1000 * S, LOG_LEVEL_INFO, "flood");
	assert_int_equal(lines(written(rig)), LOG_BURST);
}

static void a_reader_that_does_not_read_holds_up_nothing(void **state)
{
	struct rig *rig = *state;

	fcntl(rig->fds[1], F_SETFL, 0);
	assert_int_equal(fcntl(rig->fds[1], F_SETPIPE_SZ, 8192), 8192);
	for (uint64_t i = 0; i < 4096; i++)
		log_line_at(&rig->log, START + i * S, LOG_LEVEL_INFO, "flood");
	assert_true(rig->log.dropped > 0);
	written(rig);
	log_line_at(&rig->log, START + 5000 * S, LOG_LEVEL_INFO, "at last");
	assert_non_null(strstr(written(rig), "log lines were dropped here\nat last\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_a_word_for_people, setup, teardown),
		cmocka_unit_test_setup_teardown(the_journal_gets_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_that_is_not_ours_gets_words, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_line_is_one_line_and_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_is_cut_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_quiet_while_allows_a_burst_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_does_not_read_holds_up_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
