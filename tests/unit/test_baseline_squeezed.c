/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/baseline_rig.h"

static struct rig two_guests(uint64_t budget)
{
	struct rig rig = rig_start(&policy_squeezed, budget);

	rig_guest(&rig, 256, 1024, 700, 0);
	rig_guest(&rig, 512, 2048, 700, 600);
	rig_step(&rig);
	return rig;
}

/* (1536 − 768) / (3072 − 768) = 1/3 of each range. */
static void one_gamma_for_all(void **state)
{
	struct rig rig = two_guests(1536);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 256 + 768 / 3);
	assert_int_equal(rig_target(&rig, 1), 512 + 1536 / 3);
	rig_end(&rig);
}

static void gamma_is_at_most_one(void **state)
{
	struct rig rig = two_guests(9000);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 1024);
	assert_int_equal(rig_target(&rig, 1), 2048);
	rig_end(&rig);
}

static void gamma_is_at_least_zero(void **state)
{
	struct rig rig = two_guests(700);

	(void)state;
	assert_int_equal(rig_target(&rig, 0), 256);
	assert_int_equal(rig_target(&rig, 1), 512);
	rig_end(&rig);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_squeezed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_gamma_for_all),
		cmocka_unit_test(gamma_is_at_most_one),
		cmocka_unit_test(gamma_is_at_least_zero),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
