/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/*
 * A guest of 2 GiB that needs 610 MiB wants 30 % of its maximum above that (view.c); a
 * budget of as much and nobody else makes it give all that is above.
 */
#define WANT (1225 * MIB)

static void begin_idle(struct play *play)
{
	play_begin(play, WANT + MIB);
	play_add(play, 2 * GIB, 2 * GIB, 610 * MIB);
}

/* The same with a budget that is not exceeded: the pool is filled from it, without hurry. */
static void begin_unhurried(struct play *play)
{
	play_begin(play, 2 * GIB);
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

static void gives_only_after_thirty_seconds_of_calm(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 30);
	assert_int_equal(target(&play), 2 * GIB);
	play_seconds(&play, 1);
	assert_true(target(&play) < 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_IDLE);
	play_end(&play);
}

static void growth_ends_the_calm(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	play_seconds(&play, 20);
	play.needs[0] += 40 * MIB;
	play_seconds(&play, 20);
	assert_int_equal(target(&play), 2 * GIB);
	play_end(&play);
}

static void slow_growth_is_growth(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	for (int second = 0; second < 60; second++) {
		play.needs[0] += 2 * MIB;
		play_seconds(&play, 1);
		assert_int_equal(target(&play), 2 * GIB);
	}
	play_end(&play);
}

static void gives_half_of_the_way_at_most(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, WANT);
	play_add(&play, 2 * GIB, WANT + 90 * MIB, 610 * MIB);
	play_seconds(&play, 31);
	assert_int_equal(target(&play), WANT + 45 * MIB);
	play_end(&play);
}

static void gives_a_twentieth_a_step(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	play_seconds(&play, 31);
	/* 2048 / 20 is above 64 MiB/s; the way, to 2048 - 206, is longer than twice that. */
	assert_int_equal(target(&play), (2048 - 64) * MIB);
	play_end(&play);
}

static void gives_four_times_that_when_the_budget_is_exceeded(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 31);
	assert_int_equal(target(&play), (2048 - 256) * MIB);
	play_end(&play);
}

static void gives_the_next_only_when_the_last_has_arrived(void **state)
{
	struct play play;
	uint64_t first;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 31);
	first = target(&play);
	play.dead[0] = true;
	play_seconds(&play, 2);
	assert_int_equal(target(&play), first);
	play.dead[0] = false;
	play_seconds(&play, 1);
	assert_true(target(&play) < first);
	play_end(&play);
}

static void gives_no_further_than_its_want(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 200);
	assert_int_equal(target(&play), WANT);
	play_end(&play);
}

static void is_not_moved_for_less_than_the_dead_band(void **state)
{
	struct play play;

	(void)state;
	/* All of the 34 MiB above what is wanted are to be the pool. */
	play_begin(&play, WANT + 34 * MIB);
	play_add(&play, 2 * GIB, WANT + 31 * MIB, 610 * MIB);
	play_seconds(&play, 100);
	assert_int_equal(target(&play), WANT + 31 * MIB);
	play_end(&play);
}

static void grows_to_its_want_at_once(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 700 * MIB, 610 * MIB);
	play.settings.budget_bytes = 1300 * MIB;
	policy_aerostat.configure(play.state, &play.settings);
	play_seconds(&play, 1);
	assert_int_equal(target(&play), WANT);
	assert_int_equal(reason(&play), POLICY_REASON_DISTRESS);
	play_end(&play);
}

/* Shrinks for five seconds, and is short then; returns what it had before. */
static uint64_t shrink_and_hurt(struct play *play)
{
	uint64_t before = target(play);

	while (target(play) == before)
		play_seconds(play, 1);
	play_seconds(play, 4);
	assert_true(target(play) < before);
	play->guests[0].swap_in_bytes += 100 * MIB;
	play_seconds(play, 1);
	return before;
}

static void regret_undoes_what_the_last_minute_took(void **state)
{
	struct play play;
	uint64_t before;

	(void)state;
	begin_unhurried(&play);
	before = shrink_and_hurt(&play);
	assert_int_equal(target(&play), before);
	play_end(&play);
}

static int seconds_alone(struct play *play)
{
	int seconds = 0;

	while (reason(play) != POLICY_REASON_IDLE) {
		play_seconds(play, 1);
		assert_true(++seconds < 10000);
	}
	return seconds;
}

static void regret_leaves_alone_for_a_minute_then_for_two(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	shrink_and_hurt(&play);
	assert_int_equal(seconds_alone(&play), 60);
	shrink_and_hurt(&play);
	assert_int_equal(seconds_alone(&play), 120);
	for (int again = 0; again < 6; again++) {
		shrink_and_hurt(&play);
		seconds_alone(&play);
	}
	shrink_and_hurt(&play);
	assert_int_equal(seconds_alone(&play), 3600);
	play_end(&play);
}

/* Or one guest keeps for an hour what it does not use, while another starves. */
static void regret_ends_when_others_want(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	shrink_and_hurt(&play);
	play_seconds(&play, 20);
	assert_int_equal(reason(&play), POLICY_REASON_REGRET);
	play_add(&play, 2 * GIB, 600 * MIB, 590 * MIB);
	play_seconds(&play, 20);
	assert_true(target(&play) < 2 * GIB - 400 * MIB);
	assert_true(play.guests[1].target_bytes > GIB - 100 * MIB);
	play_end(&play);
}

static void a_balloon_that_does_not_follow_is_let_go(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1160 * MIB);
	play_add(&play, 2 * GIB, GIB, 500 * MIB);
	play.dead[0] = true;
	play.guests[0].target_bytes = 900 * MIB; /* and it stays at 1 GiB */
	play.guests[0].rules.max_bytes = 900 * MIB;
	play_seconds(&play, 5);
	assert_int_equal(target(&play), 900 * MIB);
	play.guests[0].rules.max_bytes = POLICY_UNSET;
	play_seconds(&play, 1);
	assert_int_equal(target(&play), 1152 * MIB); /* what it has and 128 MiB */
	assert_int_equal(reason(&play), POLICY_REASON_INACTIVE);
	play_end(&play);
}

static void what_an_inactive_guest_has_is_nobody_elses(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 2 * GIB);
	play_add(&play, 2 * GIB, GIB, 610 * MIB);
	play_add(&play, 2 * GIB, GIB, 610 * MIB);
	play.guests[0].has_driver = false;
	play_seconds(&play, 10);
	assert_int_equal(target(&play), GIB);
	assert_int_equal(reason(&play), POLICY_REASON_DRIVER);
	assert_true(play.guests[1].target_bytes <= GIB);
	play_end(&play);
}

static void old_statistics_take_nothing(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 29);
	play.silent[0] = true;
	play_seconds(&play, 6); /* they are believed for five */
	for (int second = 0; second < 100; second++) {
		uint64_t before = target(&play);

		play_seconds(&play, 1);
		assert_int_equal(target(&play), before);
		assert_int_equal(reason(&play), POLICY_REASON_STALE);
	}
	play_end(&play);
}

static void absent_statistics_take_nothing(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play.silent[0] = true;
	play.guests[0].taken_us = 0;
	play_seconds(&play, 100);
	assert_int_equal(target(&play), 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_SILENT);
	assert_int_equal(play.decisions[0].want_bytes, POLICY_UNSET);
	play_end(&play);
}

static void statistics_that_began_anew_take_nothing_for_a_while(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play.guests[0].swap_out_bytes = GIB;
	play_seconds(&play, 29);
	play.guests[0].swap_out_bytes = 0;
	play_seconds(&play, 30);
	assert_int_equal(target(&play), 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_STALE);
	play_seconds(&play, 1);
	assert_true(target(&play) < 2 * GIB);
	play_end(&play);
}

static void a_guest_that_contradicts_the_host_is_not_believed(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play.guests[0].resident_bytes = 300 * MIB; /* and says that it uses 610 */
	play_seconds(&play, 100);
	assert_int_equal(target(&play), 2 * GIB);
	assert_int_equal(reason(&play), POLICY_REASON_CLAIM);
	play_end(&play);
}

static void a_shrink_under_way_ends_with_the_belief(void **state)
{
	struct play play;

	(void)state;
	begin_idle(&play);
	play_seconds(&play, 31);
	assert_true(target(&play) < 2 * GIB);
	play.dead[0] = true;
	play.guests[0].resident_bytes = 300 * MIB;
	play_seconds(&play, 1);
	assert_int_equal(reason(&play), POLICY_REASON_CLAIM);
	assert_int_equal(target(&play), 2 * GIB);
	play_end(&play);
}

static void who_hurts_needs_at_least_what_it_has(void **state)
{
	struct play play;

	(void)state;
	begin_unhurried(&play);
	play_seconds(&play, 1);
	assert_int_equal(play.decisions[0].demand_bytes, 610 * MIB);
	play.guests[0].swap_in_bytes += 100 * MIB;
	play_seconds(&play, 1);
	assert_int_equal(play.decisions[0].demand_bytes, 2 * GIB);
	play_end(&play);
}

static void a_lower_maximum_is_reached_at_the_same_pace(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_seconds(&play, 31);
	play.guests[0].rules.max_bytes = GIB;
	play_seconds(&play, 1);
	assert_int_equal(target(&play), (2048 - 64) * MIB);
	play_seconds(&play, 60);
	assert_int_equal(target(&play), GIB);
	play_end(&play);
}

static void a_host_that_stalls_gets_it_at_once(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_seconds(&play, 31);
	play.settings.budget_bytes = 1500 * MIB;
	policy_aerostat.configure(play.state, &play.settings);
	play.host.critical = true;
	play_seconds(&play, 1);
	assert_int_equal(target(&play), (1500 - 206) * MIB); /* the pool stays */
	assert_int_equal(reason(&play), POLICY_REASON_HOST);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_only_after_thirty_seconds_of_calm),
		cmocka_unit_test(growth_ends_the_calm),
		cmocka_unit_test(slow_growth_is_growth),
		cmocka_unit_test(gives_half_of_the_way_at_most),
		cmocka_unit_test(gives_a_twentieth_a_step),
		cmocka_unit_test(gives_four_times_that_when_the_budget_is_exceeded),
		cmocka_unit_test(gives_the_next_only_when_the_last_has_arrived),
		cmocka_unit_test(gives_no_further_than_its_want),
		cmocka_unit_test(is_not_moved_for_less_than_the_dead_band),
		cmocka_unit_test(grows_to_its_want_at_once),
		cmocka_unit_test(regret_undoes_what_the_last_minute_took),
		cmocka_unit_test(regret_leaves_alone_for_a_minute_then_for_two),
		cmocka_unit_test(regret_ends_when_others_want),
		cmocka_unit_test(a_balloon_that_does_not_follow_is_let_go),
		cmocka_unit_test(what_an_inactive_guest_has_is_nobody_elses),
		cmocka_unit_test(old_statistics_take_nothing),
		cmocka_unit_test(absent_statistics_take_nothing),
		cmocka_unit_test(statistics_that_began_anew_take_nothing_for_a_while),
		cmocka_unit_test(a_guest_that_contradicts_the_host_is_not_believed),
		cmocka_unit_test(a_shrink_under_way_ends_with_the_belief),
		cmocka_unit_test(who_hurts_needs_at_least_what_it_has),
		cmocka_unit_test(a_lower_maximum_is_reached_at_the_same_pace),
		cmocka_unit_test(a_host_that_stalls_gets_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
