/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* 2 GiB with 1051 MiB of cache: 1000 MiB beyond the 2.5 % that every guest keeps. */
static void begin(struct play *play)
{
	play_begin(play, 8 * GIB);
	play_add(play, 2 * GIB, 2 * GIB, 600 * MIB);
	play->guests[0].abilities = POLICY_CAN_TRIM;
	play->guests[0].cache_bytes = 1051 * MIB + MIB / 4;
}

static uint64_t trim_mib(const struct play *play)
{
	assert_int_equal(play->decisions[0].trim_bytes % MIB, 0);
	return play->decisions[0].trim_bytes / MIB;
}

static void cold_cache_is_trimmed_a_little_all_the_time(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 40);
	play_end(&play);
}

static void a_host_that_is_short_asks_for_more(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.host.available_bytes = 15 * GIB;
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 250);
	play_end(&play);
}

static void who_cannot_be_trimmed_or_moved_is_not_asked(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.guests[0].abilities = POLICY_CAN_ALL & ~POLICY_CAN_TRIM;
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 0);
	play.guests[0].abilities = POLICY_CAN_ALL;
	play.guests[0].rules.mode = POLICY_HELD;
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 0);
	play_end(&play);
}

/* Cache that it had to read again is in use, and so is all that it still has. */
static void after_refaults_the_rest_of_the_cache_counts_as_in_use(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play_seconds(&play, 2);
	play.guests[0].refault_bytes += 20 * MIB;
	play_seconds(&play, 1);
	assert_int_equal(trim_mib(&play), 0);
	play_seconds(&play, 30);
	assert_true(play.decisions[0].demand_bytes >= 1550 * MIB);
	assert_true(trim_mib(&play) < 3);
	play.guests[0].cache_bytes += 500 * MIB;
	play_seconds(&play, 1);
	assert_true(trim_mib(&play) >= 15);
	play_end(&play);
}

static void after_waiting_tasks_it_is_left_alone_for_ten_seconds(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play_seconds(&play, 2);
	play.guests[0].psi_some_us += 30000; /* 3 % */
	play_seconds(&play, 9);
	assert_int_equal(trim_mib(&play), 0);
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 40);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cold_cache_is_trimmed_a_little_all_the_time),
		cmocka_unit_test(a_host_that_is_short_asks_for_more),
		cmocka_unit_test(who_cannot_be_trimmed_or_moved_is_not_asked),
		cmocka_unit_test(after_refaults_the_rest_of_the_cache_counts_as_in_use),
		cmocka_unit_test(after_waiting_tasks_it_is_left_alone_for_ten_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
