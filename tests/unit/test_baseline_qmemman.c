/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/baseline_rig.h"

/* 400 used prefer 520; 100 used prefer the least, 200; 1440 is twice what is preferred. */
static void the_rest_is_divided_in_proportion(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 1440);

	(void)state;
	rig_guest(&rig, 100, 4096, 1000, 600);
	rig_guest(&rig, 100, 4096, 1000, 900);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1040);
	assert_int_equal(rig_target(&rig, 1), 400);
	assert_false(rig.outcome.overcommitted);
	rig_end(&rig);
}

/*
 * 300 used prefer 390 and have 1000: a donor.  1000 used prefer 1300 and 500 used prefer 650, and
 * have less: for these 1950 there are 1560 − 390, which is 0.6 of it.
 */
static void donors_give_to_acceptors(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 1560);

	(void)state;
	rig_guest(&rig, 100, 4096, 1000, 700);
	rig_guest(&rig, 100, 4096, 1000, 0);
	rig_guest(&rig, 100, 4096, 500, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 390);
	assert_int_equal(rig_target(&rig, 1), 780);
	assert_int_equal(rig_target(&rig, 2), 390);
	assert_true(rig.outcome.overcommitted);
	rig_end(&rig);
}

/* 100 used, 100 cache of no account, 300 in swap: 400 used. */
static void cache_is_free_and_swap_is_used(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 520);
	struct policy_guest *guest = rig_guest(&rig, 100, 4096, 300, 100);

	(void)state;
	guest->cache_bytes = 100 * MIB;
	guest->swap_out_bytes = 700 * MIB;
	guest->swap_in_bytes = 400 * MIB;
	rig_step(&rig);
	assert_int_equal(rig.outcome.want_bytes, 520 * MIB);
	assert_int_equal(rig_target(&rig, 0), 520);
	rig_end(&rig);
}

static void nobody_prefers_more_than_his_maximum(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 4000);

	(void)state;
	rig_guest(&rig, 100, 1024, 1000, 0);
	rig_step(&rig);
	assert_int_equal(rig.outcome.want_bytes, 1024 * MIB);
	assert_int_equal(rig_target(&rig, 0), 1024);
	rig_end(&rig);
}

static void small_changes_are_not_worth_it(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 1140);

	(void)state;
	rig_guest(&rig, 100, 4096, 1000, 500);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1000);
	rig.guests[0].free_bytes = 0; /* below what it prefers: 15 MiB are */
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1140);
	rig_end(&rig);
}

static void without_a_report_a_guest_prefers_what_it_has(void **state)
{
	struct rig rig = rig_start(&policy_qmemman, 700);

	(void)state;
	rig_guest(&rig, 100, 4096, 700, 0)->taken_us = 0;
	rig_step(&rig);
	assert_int_equal(rig.outcome.want_bytes, 700 * MIB);
	assert_int_equal(rig_target(&rig, 0), 700);
	rig_end(&rig);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_qmemman);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_is_divided_in_proportion),
		cmocka_unit_test(donors_give_to_acceptors),
		cmocka_unit_test(cache_is_free_and_swap_is_used),
		cmocka_unit_test(nobody_prefers_more_than_his_maximum),
		cmocka_unit_test(small_changes_are_not_worth_it),
		cmocka_unit_test(without_a_report_a_guest_prefers_what_it_has),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
