/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/baseline_rig.h"

static void everyone_gets_the_same_part_of_his_maximum(void **state)
{
	struct rig rig = rig_start(&policy_static, 2048);

	(void)state;
	rig_guest(&rig, 256, 1024, 1000, 0);
	rig_guest(&rig, 256, 2048, 300, 0);
	rig_guest(&rig, 256, 1024, 600, 500);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 512);
	assert_int_equal(rig_target(&rig, 1), 1024);
	assert_int_equal(rig_target(&rig, 2), 512);
	rig_end(&rig);
}

static void nobody_gets_more_than_his_maximum_or_less_than_his_minimum(void **state)
{
	struct rig rig = rig_start(&policy_static, 5000);

	(void)state;
	rig_guest(&rig, 256, 1024, 512, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1024);
	rig.settings.budget_bytes = 100 * MIB;
	rig.policy->configure(rig.state, &rig.settings);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 256);
	rig_end(&rig);
}

static void a_held_guest_is_taken_off_the_budget(void **state)
{
	struct rig rig = rig_start(&policy_static, 2048);

	(void)state;
	rig_guest(&rig, 256, 1024, 512, 0)->rules.mode = POLICY_HELD;
	rig_guest(&rig, 256, 2048, 512, 0);
	rig_guest(&rig, 256, 1024, 512, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 512);
	assert_int_equal(rig_target(&rig, 1), 1024);
	assert_int_equal(rig_target(&rig, 2), 512);
	rig_end(&rig);
}

/* 2048 of guests and 3048 available, less the host's own 1024: 4072 of 8144. */
static void the_budget_comes_from_the_host_once(void **state)
{
	struct rig rig = rig_start(&policy_static, 0);

	(void)state;
	rig.host.available_bytes = 3048 * MIB;
	rig_guest(&rig, 256, 6144, 1024, 0);
	rig_guest(&rig, 256, 2000, 1024, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 3072);
	assert_int_equal(rig_target(&rig, 1), 1000);
	rig.host.available_bytes = 0;
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 3072);
	rig_end(&rig);
}

static void a_new_guest_changes_all(void **state)
{
	struct rig rig = rig_start(&policy_static, 1024);

	(void)state;
	rig_guest(&rig, 128, 1024, 1024, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1024);
	rig_guest(&rig, 128, 1024, 128, 0);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 512);
	assert_int_equal(rig_target(&rig, 1), 512);
	rig_end(&rig);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_static);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everyone_gets_the_same_part_of_his_maximum),
		cmocka_unit_test(nobody_gets_more_than_his_maximum_or_less_than_his_minimum),
		cmocka_unit_test(a_held_guest_is_taken_off_the_budget),
		cmocka_unit_test(the_budget_comes_from_the_host_once),
		cmocka_unit_test(a_new_guest_changes_all),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
