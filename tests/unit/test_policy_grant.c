/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Wants, of needs: 690 907, 610 816, 300 454 MiB (test_policy_reserve.c). */

static uint64_t target_mib(const struct play *play, size_t i)
{
	assert_int_equal(play->guests[i].target_bytes % MIB, 0);
	return play->guests[i].target_bytes / MIB;
}

static enum policy_reason reason(const struct play *play, size_t i)
{
	return play->decisions[i].reason;
}

/* Two guests of 700 MiB that need more, one of 1 GiB that does not, and @room beside them. */
static void begin_with_room(struct play *play, uint64_t room, uint64_t need, uint64_t other_need)
{
	play_begin(play, 700 * MIB + 700 * MIB + GIB + room);
	play_add(play, 2 * GIB, 700 * MIB, need);
	play_add(play, 2 * GIB, 700 * MIB, other_need);
	play_add(play, 2 * GIB, GIB, 300 * MIB);
}

static void who_is_about_to_kill_gets_first(void **state)
{
	struct play play;

	(void)state;
	begin_with_room(&play, 60 * MIB, 610 * MIB, 690 * MIB);
	play_seconds(&play, 1);
	assert_true(play.decisions[1].critical && play.decisions[0].pressured);
	assert_int_equal(target_mib(&play, 0), 700);
	assert_int_equal(target_mib(&play, 1), 760);
	play_end(&play);
}

static void alike_guests_get_by_weight(void **state)
{
	struct play play;

	(void)state;
	begin_with_room(&play, 40 * MIB, 610 * MIB, 610 * MIB);
	play.guests[1].rules.weight = 3;
	play_seconds(&play, 1);
	assert_in_range(target_mib(&play, 0), 709, 710);
	assert_in_range(target_mib(&play, 1), 729, 730);
	play_end(&play);
}

static void memory_on_its_way_is_nobodys_yet(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 3 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_add(&play, 2 * GIB, GIB, 950 * MIB);
	play.dead[0] = true;
	play_seconds(&play, 32);
	assert_true(target_mib(&play, 0) < 2048);
	assert_int_equal(target_mib(&play, 1), 1024);
	assert_int_equal(reason(&play, 1), POLICY_REASON_SHARE);
	play.dead[0] = false;
	play_seconds(&play, 1);
	assert_true(target_mib(&play, 1) > 1024);
	play_end(&play);
}

static void asks_again_soon_while_distress_waits(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 3 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_add(&play, 2 * GIB, GIB, 950 * MIB);
	play_seconds(&play, 31);
	assert_int_equal(play.outcome.again_us, play.host.now_us + SECOND / 4);
	play_seconds(&play, 60);
	assert_int_equal(play.outcome.again_us, 0);
	play_end(&play);
}

static void with_plenty_who_is_about_to_kill_gets_all(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 2 * GIB);
	play_add(&play, 2 * GIB, 700 * MIB, 690 * MIB);
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 2048);
	assert_int_equal(reason(&play, 0), POLICY_REASON_DISTRESS);
	play_end(&play);
}

static void who_grew_gets_what_it_wants(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1300 * MIB);
	play_add(&play, 2 * GIB, 730 * MIB, 610 * MIB); /* 120 are available: it is not short */
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 1225);
	assert_int_equal(reason(&play, 0), POLICY_REASON_GROWS);
	play_end(&play);
}

static void surplus_goes_out_but_for_the_pool(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1500 * MIB);
	play_add(&play, 2 * GIB, 900 * MIB, 610 * MIB);
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 1500 - 206);
	assert_int_equal(reason(&play, 0), POLICY_REASON_SURPLUS);
	play_end(&play);
}

static void a_shrink_that_did_not_come_about_is_taken_back_for_nothing(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 700 * MIB);
	play_add(&play, 2 * GIB, 700 * MIB, 610 * MIB);
	play.guests[0].target_bytes = 500 * MIB;
	play.dead[0] = true;
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 700);
	play_end(&play);
}

static void whom_the_host_stalls_is_not_grown(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 700 * MIB, 690 * MIB);
	play.guests[0].stall = 0.2;
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 700);
	assert_int_equal(reason(&play, 0), POLICY_REASON_STALLED);
	play_end(&play);
}

static void below_its_least_a_guest_is_raised_whatever_the_budget(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 100 * MIB);
	play_add(&play, 2 * GIB, 300 * MIB, 100 * MIB);
	play_add(&play, 2 * GIB, 500 * MIB, 100 * MIB);
	play.guests[1].rules.min_bytes = 600 * MIB;
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 360); /* floor.h: 232 + 2048/16 */
	assert_int_equal(target_mib(&play, 1), 600);
	assert_int_equal(reason(&play, 1), POLICY_REASON_BOUND);
	assert_true(play.outcome.overcommitted);
	play_end(&play);
}

static void a_host_whose_guests_merely_have_much_is_not_overcommitted(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 768 * MIB);
	play_add(&play, 512 * MIB, 512 * MIB, 200 * MIB);
	play_add(&play, 512 * MIB, 512 * MIB, 200 * MIB);
	play_seconds(&play, 1);
	assert_int_equal(target_mib(&play, 0), 512);
	assert_int_equal(reason(&play, 0), POLICY_REASON_STALE);
	assert_false(play.outcome.overcommitted);
	play.needs[0] = play.needs[1] = 400 * MIB;
	play_seconds(&play, 2);
	assert_true(play.outcome.overcommitted);
	play_end(&play);
}

static void the_host_gives_half_of_its_reserve_before_guests_swap(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, POLICY_UNSET);
	play.host = world_host(16 * GIB, GIB, play.host.now_us); /* all of it is the reserve */
	play_add(&play, 2 * GIB, 700 * MIB, 690 * MIB);
	play_seconds(&play, 1);
	/* It needs 690, and 80 to be surely not about to kill. */
	assert_int_equal(target_mib(&play, 0), 770);
	assert_false(play.outcome.overcommitted);
	play_end(&play);
}

static void without_the_hosts_numbers_nobody_moves(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, POLICY_UNSET);
	play.host.available_bytes = POLICY_UNSET;
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_add(&play, 2 * GIB, 900 * MIB, 610 * MIB);
	play_seconds(&play, 100);
	assert_int_equal(target_mib(&play, 1), 900);
	play_end(&play);
}

/* Three guests of 512 MiB on 1 GiB: one needs most of it, then another. */
static void memory_follows_the_need_within_seconds(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, GIB);
	for (int i = 0; i < 3; i++)
		play_add(&play, 512 * MIB, 341 * MIB, 150 * MIB);
	play_seconds(&play, 60);
	play.needs[0] = 400 * MIB;
	play_seconds(&play, 10);
	assert_true(target_mib(&play, 0) >= 480); /* 80 available: it is not about to kill */
	play_seconds(&play, 50);
	/* What it needed until now, and does not need now, is not kept for it. */
	play.needs[0] = 150 * MIB;
	play.needs[1] = 400 * MIB;
	play_seconds(&play, 10);
	assert_true(target_mib(&play, 1) >= 480);
	play_end(&play);
}

/* Others give what they have too much even when it is little. */
static void distress_does_not_wait_for_the_dead_band(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1156 * MIB);
	play_add(&play, 2 * GIB, 640 * MIB, 600 * MIB);
	play_add(&play, 512 * MIB, 258 * MIB, 100 * MIB);
	play_add(&play, 512 * MIB, 258 * MIB, 100 * MIB);
	play_seconds(&play, 40);
	assert_true(target_mib(&play, 0) >= 680);
	assert_true(target_mib(&play, 1) < 258);
	play_end(&play);
}

/* 400 used, 80 to be alive: 480; 96 to the want, 576; 100 above the 960 of both. */
static void a_shortage_is_shared_by_weight_within_the_dead_band(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1060 * MIB);
	play_add(&play, 2 * GIB, 530 * MIB, 400 * MIB);
	play_add(&play, 2 * GIB, 530 * MIB, 400 * MIB);
	play.guests[1].rules.weight = 15;
	play_seconds(&play, 100);
	/* 480 + 100 / 16 and 480 + 1500 / 16, but for the dead band. */
	assert_in_range(target_mib(&play, 0), 486, 486 + 32);
	assert_in_range(target_mib(&play, 1), 573 - 32, 573);
	play_end(&play);
}

static void who_is_not_ours_is_left_alone_and_counted(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 2 * GIB);
	play_add(&play, 2 * GIB, 700 * MIB, 690 * MIB);
	play_add(&play, 2 * GIB, 600 * MIB, 100 * MIB);
	play_add(&play, 2 * GIB, 500 * MIB, 100 * MIB);
	play.guests[0].rules.mode = POLICY_HELD;
	play.guests[1].rules.mode = POLICY_OBSERVE;
	play.guests[2].cannot_shrink = 1;
	play_add(&play, GIB, 248 * MIB, 100 * MIB);
	play_seconds(&play, 40);
	assert_int_equal(target_mib(&play, 0), 700);
	assert_int_equal(target_mib(&play, 1), 600);
	assert_int_equal(target_mib(&play, 2), 500);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(reason(&play, i), POLICY_REASON_FIXED);
	assert_int_equal(target_mib(&play, 3), 248); /* nothing is left */
	play_end(&play);
}

static void who_does_not_answer_is_left_alone(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 700 * MIB, 690 * MIB);
	play.guests[0].reachable = false;
	play_seconds(&play, 10);
	assert_int_equal(target_mib(&play, 0), 700);
	assert_int_equal(reason(&play, 0), POLICY_REASON_STALE);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_about_to_kill_gets_first),
		cmocka_unit_test(alike_guests_get_by_weight),
		cmocka_unit_test(memory_on_its_way_is_nobodys_yet),
		cmocka_unit_test(asks_again_soon_while_distress_waits),
		cmocka_unit_test(with_plenty_who_is_about_to_kill_gets_all),
		cmocka_unit_test(who_grew_gets_what_it_wants),
		cmocka_unit_test(surplus_goes_out_but_for_the_pool),
		cmocka_unit_test(a_shrink_that_did_not_come_about_is_taken_back_for_nothing),
		cmocka_unit_test(whom_the_host_stalls_is_not_grown),
		cmocka_unit_test(below_its_least_a_guest_is_raised_whatever_the_budget),
		cmocka_unit_test(a_host_whose_guests_merely_have_much_is_not_overcommitted),
		cmocka_unit_test(the_host_gives_half_of_its_reserve_before_guests_swap),
		cmocka_unit_test(without_the_hosts_numbers_nobody_moves),
		cmocka_unit_test(memory_follows_the_need_within_seconds),
		cmocka_unit_test(distress_does_not_wait_for_the_dead_band),
		cmocka_unit_test(a_shortage_is_shared_by_weight_within_the_dead_band),
		cmocka_unit_test(who_is_not_ours_is_left_alone_and_counted),
		cmocka_unit_test(who_does_not_answer_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
