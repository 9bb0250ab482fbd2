/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/constants.h"
#include "policy/reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

static uint64_t reserve_mib(uint64_t demand_mib, const struct growth *growth)
{
	return (reserve_for((double)(demand_mib * MIB), growth) + MIB / 2) / MIB;
}

static double mib(double bytes)
{
	return bytes / (double)MIB;
}

static void is_never_below_128_mib(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	assert_int_equal(reserve_mib(0, &growth), 128);
	assert_int_equal(reserve_mib(150, &growth), 128);
}

static void is_the_floor_of_the_size_that_it_makes(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	/* 816 = 610 + floor(816), as floor(816) = 104 + 816/8 */
	assert_int_equal(reserve_mib(610, &growth), 206);
	/* 453 = 300 + floor(453), as floor(453) = 40 + 453/4 */
	assert_int_equal(reserve_mib(300, &growth), 153);
}

static void is_15_percent_of_a_large_demand(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	assert_int_equal(reserve_mib(4000, &growth), 600);
}

static void covers_the_growth_until_relief(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record(&growth, 200.0 * (double)MIB, 1);
	/* Within a class of 19 %. */
	assert_true(mib(growth_exceeded(&growth, GROWTH_RARE)) >= 200 &&
		    mib(growth_exceeded(&growth, GROWTH_RARE)) < 238);
	/* Twice that: two seconds until relief, before any was measured. */
	assert_in_range(reserve_mib(610, &growth), 400, 476);
}

static void forgets_growth_that_is_rarer_than_one_percent(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record(&growth, 200.0 * (double)MIB, 1);
	for (int second = 0; second < 90; second++)
		growth_record(&growth, 0, 1);
	assert_true(growth_exceeded(&growth, GROWTH_RARE) > 0);
	for (int second = 0; second < 20; second++)
		growth_record(&growth, 0, 1);
	assert_true(growth_exceeded(&growth, GROWTH_RARE) == 0);
}

static void takes_the_99th_percentile_not_the_largest(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record(&growth, 1000.0 * (double)MIB, 1);
	for (int second = 0; second < 10; second++)
		growth_record(&growth, 50.0 * (double)MIB, 1);
	for (int second = 0; second < 200; second++)
		growth_record(&growth, 0, 1);
	assert_true(mib(growth_exceeded(&growth, GROWTH_RARE)) >= 50 &&
		    mib(growth_exceeded(&growth, GROWTH_RARE)) < 60);
}

static void growth_fades_with_an_hour(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record(&growth, 200.0 * (double)MIB, 100);
	growth_record(&growth, 0, 3600);
	assert_true(growth.seconds[0] == 3600);
	for (int class = 1; class < GROWTH_CLASSES; class ++)
		assert_true(growth.seconds[class] == 0 || growth.seconds[class] == 37.5F);
}

static void relief_is_the_mean_of_what_was_measured(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record_relief(&growth, 4);
	assert_true(growth.relief_s == 2.5); /* a quarter of the way from 2 */
}

static void a_stuck_guest_does_not_make_relief_endless(void **state)
{
	struct growth growth = { 0 };

	(void)state;
	growth_record_relief(&growth, 1000);
	assert_true(growth.relief_s == 4); /* as if it had been 10 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_never_below_128_mib),
		cmocka_unit_test(is_the_floor_of_the_size_that_it_makes),
		cmocka_unit_test(is_15_percent_of_a_large_demand),
		cmocka_unit_test(covers_the_growth_until_relief),
		cmocka_unit_test(forgets_growth_that_is_rarer_than_one_percent),
		cmocka_unit_test(takes_the_99th_percentile_not_the_largest),
		cmocka_unit_test(growth_fades_with_an_hour),
		cmocka_unit_test(relief_is_the_mean_of_what_was_measured),
		cmocka_unit_test(a_stuck_guest_does_not_make_relief_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
