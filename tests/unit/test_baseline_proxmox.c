/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/baseline_rig.h"

/* The host's goal: 8000 MiB less what is used of 10000. */
static void set_goal(struct rig *rig, int64_t goal_mib)
{
	rig->host.available_bytes = (uint64_t)(2000 + goal_mib) * MIB;
}

/* One guest of 1024 that is not comfortable, and one that is. */
static struct rig two_guests(int64_t goal_mib)
{
	struct rig rig = rig_start(&policy_proxmox, 0);

	rig_guest(&rig, 512, 2048, 1024, 50);
	rig_guest(&rig, 512, 2048, 1024, 500);
	set_goal(&rig, goal_mib);
	rig_step(&rig);
	return rig;
}

/* The first may have all of the 150, moves 100; the 50 that are left go to the other. */
static void grows_first_who_is_not_comfortable(void **state)
{
	struct rig rig = two_guests(150);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 1124);
	assert_int_equal(rig_target(&rig, 1), 1074);
	rig_end(&rig);
}

static void shrinks_first_who_is_comfortable(void **state)
{
	struct rig rig = two_guests(-150);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 974);
	assert_int_equal(rig_target(&rig, 1), 924);
	rig_end(&rig);
}

static void a_small_goal_is_none(void **state)
{
	struct rig rig = two_guests(10);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 1024);
	rig_end(&rig);
	rig = two_guests(-10);
	assert_int_equal(rig_target(&rig, 1), 1024);
	rig_end(&rig);
}

/* Exactly a quarter of the minimum is not more than that. */
static void comfort_is_more_than_a_quarter_of_the_minimum(void **state)
{
	struct rig rig = rig_start(&policy_proxmox, 0);

	(void)state;
	rig_guest(&rig, 512, 2048, 1024, 128);
	rig_guest(&rig, 512, 2048, 1024, 129);
	set_goal(&rig, 60);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1084);
	assert_int_equal(rig_target(&rig, 1), 1024);
	rig_end(&rig);
}

/*
 * 88 each above the minimum and the 100: 276, of which 3 shares are 207, 719 in all and more than
 * 100 away; one share is 69, 581 in all, and that guest has more already.
 */
static void divides_by_shares(void **state)
{
	struct rig rig = rig_start(&policy_proxmox, 0);

	(void)state;
	rig_guest(&rig, 512, 2048, 600, 0)->rules.weight = 3;
	rig_guest(&rig, 512, 2048, 600, 0);
	set_goal(&rig, 100);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 700);
	assert_int_equal(rig_target(&rig, 1), 600);
	rig_end(&rig);
}

static void keeps_to_minimum_and_maximum(void **state)
{
	struct rig rig = rig_start(&policy_proxmox, 0);

	(void)state;
	rig_guest(&rig, 512, 1050, 1000, 0);
	rig_guest(&rig, 512, 2048, 560, 500);
	set_goal(&rig, 1000);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1050);
	rig.host.now_us += 10 * SECOND;
	set_goal(&rig, -1000);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 1), 512);
	rig_end(&rig);
}

static void a_round_is_due_every_ten_seconds(void **state)
{
	struct rig rig = two_guests(0);

	(void)state;
	set_goal(&rig, 150);
	rig.host.now_us += 10 * SECOND - 1;
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1024);
	rig.host.now_us += 1;
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1124);
	rig_end(&rig);
}

static void a_budget_stands_for_the_goal(void **state)
{
	struct rig rig = rig_start(&policy_proxmox, 1084);

	(void)state;
	rig_guest(&rig, 512, 2048, 1024, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1084);
	rig_end(&rig);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_proxmox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_first_who_is_not_comfortable),
		cmocka_unit_test(shrinks_first_who_is_comfortable),
		cmocka_unit_test(a_small_goal_is_none),
		cmocka_unit_test(comfort_is_more_than_a_quarter_of_the_minimum),
		cmocka_unit_test(divides_by_shares),
		cmocka_unit_test(keeps_to_minimum_and_maximum),
		cmocka_unit_test(a_round_is_due_every_ten_seconds),
		cmocka_unit_test(a_budget_stands_for_the_goal),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
