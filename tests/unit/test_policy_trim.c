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
	assert_int_equal(trim_mib(&play), 20);
	play_end(&play);
}

static void a_host_that_is_short_asks_for_more(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.guests[0].cache_bytes -= 500 * MIB;
	play.host.available_bytes = 15 * GIB;
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 20);
	play_end(&play);
}

/* What turns out to be in use has to be read from a disk again, however large the guest is. */
static void of_a_large_cache_no_more_than_32_mib_per_second_may_be_in_use(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 80 * GIB);
	play_add(&play, 64 * GIB, 64 * GIB, 4 * GIB);
	play.guests[0].abilities = POLICY_CAN_TRIM;
	play.guests[0].cache_bytes = 40 * GIB;
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 32);
	play_end(&play);
}

/* With 300 MiB it read nothing back.  Files that it read in the last seconds may be in use. */
static void what_it_got_along_without_is_given_up_once_it_has_settled(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.guests[0].cache_bytes = 300 * MIB;
	play_seconds(&play, 2);
	assert_true(trim_mib(&play) <= 5);
	play.guests[0].cache_bytes = 1300 * MIB;
	play_seconds(&play, 1);
	assert_true(trim_mib(&play) < 60);
	play_seconds(&play, 25);
	assert_in_range(trim_mib(&play), 240, 255);
	play_end(&play);
}

static void each_request_waits_for_the_effect_of_the_last(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 20);
	play.silent[0] = true;
	play_seconds(&play, 1);
	assert_int_equal(trim_mib(&play), 0);
	play.silent[0] = false;
	play.guests[0].period_us = 2 * SECOND;
	play_seconds(&play, 1);
	assert_int_equal(trim_mib(&play), 40);
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

static void after_waiting_tasks_it_is_left_alone_for_five_seconds(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play_seconds(&play, 2);
	play.guests[0].psi_some_us += 30000; /* 3 %: they drop cache, as they should */
	play_seconds(&play, 1);
	assert_int_equal(trim_mib(&play), 20);
	play.guests[0].psi_some_us += 300000;
	play_seconds(&play, 4);
	assert_int_equal(trim_mib(&play), 0);
	play_seconds(&play, 2);
	assert_int_equal(trim_mib(&play), 20);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cold_cache_is_trimmed_a_little_all_the_time),
		cmocka_unit_test(a_host_that_is_short_asks_for_more),
		cmocka_unit_test(of_a_large_cache_no_more_than_32_mib_per_second_may_be_in_use),
		cmocka_unit_test(what_it_got_along_without_is_given_up_once_it_has_settled),
		cmocka_unit_test(each_request_waits_for_the_effect_of_the_last),
		cmocka_unit_test(who_cannot_be_trimmed_or_moved_is_not_asked),
		cmocka_unit_test(after_refaults_the_rest_of_the_cache_counts_as_in_use),
		cmocka_unit_test(after_waiting_tasks_it_is_left_alone_for_five_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
