/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests that are not a recent Linux: what they do not report, and how slowly they move. */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WANT (1225 * MIB) /* of a guest of 2 GiB that needs 610 MiB, as in test_policy_pace.c */

/* A guest that has more than the budget. */
static void begin(struct play *play)
{
	play_begin(play, WANT + MIB);
	play_add(play, 2 * GIB, 2 * GIB, 610 * MIB);
}

static uint64_t target(const struct play *play)
{
	return play->guests[0].target_bytes;
}

static enum policy_reason reason(const struct play *play)
{
	return play->decisions[0].reason;
}

static bool says(const struct play *play, const char *words)
{
	return strstr(play->decisions[0].text, words);
}

static void a_guest_that_reports_free_memory_only_is_shrunk_by_that(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.free_only[0] = true;
	play_seconds(&play, 200);
	assert_int_equal(target(&play), WANT);
	assert_true(says(&play, "or less (it reports free memory only)"));
	play_end(&play);
}

/* Free memory beyond the size is as impossible as available memory beyond it. */
static void free_memory_beyond_its_size_is_a_contradiction(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.frozen[0] = true;
	play.guests[0].available_bytes = POLICY_UNSET;
	play.guests[0].free_bytes = 3 * GIB;
	play_seconds(&play, 60);
	assert_int_equal(target(&play), 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_CLAIM);
	play_end(&play);
}

static void a_guest_that_reports_neither_is_left_alone(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.frozen[0] = true;
	play.guests[0].available_bytes = POLICY_UNSET;
	play.guests[0].total_bytes = 2 * GIB;
	play_seconds(&play, 60);
	assert_int_equal(target(&play), 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_SILENT);
	assert_true(says(&play, "do not say what is available"));
	play_end(&play);
}

static void statistics_that_never_came_are_not_old(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.silent[0] = true;
	play.guests[0].taken_us = 0;
	play_seconds(&play, 60);
	assert_int_equal(reason(&play), POLICY_REASON_SILENT);
	assert_true(says(&play, "has reported no statistics"));
	play_end(&play);
}

/* They are recent, and false: nothing in a guest is the same after 64 MiB have gone. */
static void statistics_that_ignore_the_balloon_take_no_more(void **state)
{
	struct play play;
	uint64_t stopped;

	(void)state;
	begin(&play);
	play.frozen[0] = true;
	play_seconds(&play, 40);
	assert_int_equal(reason(&play), POLICY_REASON_SILENT);
	assert_true(says(&play, "stay the same while its size changes"));
	stopped = target(&play);
	assert_true(stopped > 2 * GIB - 300 * MIB);
	play_seconds(&play, 100);
	assert_int_equal(target(&play), stopped);
	play.frozen[0] = false;
	play_seconds(&play, 100);
	assert_int_equal(target(&play), WANT);
	play_end(&play);
}

static void a_guest_at_rest_may_report_the_same_for_hours(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 2 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 1800 * MIB);
	play.frozen[0] = true;
	play_seconds(&play, 7200);
	assert_int_not_equal(reason(&play), POLICY_REASON_SILENT);
	play_end(&play);
}

static void a_slow_balloon_is_waited_for(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.balloon_per_s[0] = 7 * MIB;
	play_seconds(&play, 45);
	assert_int_equal(reason(&play), POLICY_REASON_SLOW);
	assert_true(says(&play, "its balloon follows slowly, at 7 MiB/s"));
	play_seconds(&play, 155);
	assert_int_equal(play.guests[0].actual_bytes, WANT);
	play_end(&play);
}

/* A slow guest of which another waits for memory is not called dead either. */
static void a_very_slow_balloon_is_not_dead(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.balloon_per_s[0] = MIB / 4;
	for (int second = 0; second < 600; second++) {
		play_seconds(&play, 1);
		assert_int_not_equal(reason(&play), POLICY_REASON_INACTIVE);
	}
	assert_int_equal(play.guests[0].actual_bytes, 2 * GIB - 569 * MIB / 4);
	play_end(&play);
}

static void a_balloon_that_stands_still_is_dead_whatever_its_pace_was(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.balloon_per_s[0] = 7 * MIB;
	play_seconds(&play, 45);
	play.dead[0] = true;
	play_seconds(&play, 11);
	assert_int_equal(reason(&play), POLICY_REASON_INACTIVE);
	play_end(&play);
}

/* Slow because there is nothing to take: more pressure would only hurt. */
static void a_slow_balloon_in_a_guest_that_is_short_is_given_up(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 900 * MIB); /* less than it wants: no shrink is regretted */
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play.balloon_per_s[0] = 7 * MIB;
	play_seconds(&play, 33);
	for (int second = 0; second < 8; second++) {
		play.guests[0].swap_in_bytes += 100 * MIB;
		play_seconds(&play, 1);
	}
	assert_int_equal(reason(&play), POLICY_REASON_INACTIVE);
	assert_true(target(&play) >= play.guests[0].actual_bytes);
	play_end(&play);
}

static void a_guest_without_driver_is_called_that(void **state)
{
	struct play play;

	(void)state;
	begin(&play);
	play.guests[0].has_driver = false;
	play.silent[0] = true;
	play.guests[0].taken_us = 0;
	play_seconds(&play, 60);
	assert_int_equal(reason(&play), POLICY_REASON_DRIVER);
	assert_true(says(&play, "it has no balloon driver"));
	play_end(&play);
}

/* Not even a pointer into an array that was never made: sanitizers see that. */
static void a_host_without_guests_is_decided_about(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, POLICY_UNSET);
	play_seconds(&play, 3);
	assert_int_equal(play.outcome.want_bytes, 0);
	assert_true(play.outcome.budget_bytes > GIB && play.outcome.budget_bytes < 64 * GIB);
	assert_false(play.outcome.overcommitted);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_reports_free_memory_only_is_shrunk_by_that),
		cmocka_unit_test(free_memory_beyond_its_size_is_a_contradiction),
		cmocka_unit_test(a_guest_that_reports_neither_is_left_alone),
		cmocka_unit_test(statistics_that_never_came_are_not_old),
		cmocka_unit_test(statistics_that_ignore_the_balloon_take_no_more),
		cmocka_unit_test(a_guest_at_rest_may_report_the_same_for_hours),
		cmocka_unit_test(a_slow_balloon_is_waited_for),
		cmocka_unit_test(a_very_slow_balloon_is_not_dead),
		cmocka_unit_test(a_balloon_that_stands_still_is_dead_whatever_its_pace_was),
		cmocka_unit_test(a_slow_balloon_in_a_guest_that_is_short_is_given_up),
		cmocka_unit_test(a_guest_without_driver_is_called_that),
		cmocka_unit_test(a_host_without_guests_is_decided_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
