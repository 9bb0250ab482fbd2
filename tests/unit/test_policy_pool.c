/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/constants.h"

static int64_t now_us;

static void pass_seconds(struct pool *pool, int seconds, double mib_per_s)
{
	while (seconds--) {
		now_us += SECOND_US;
		pool_update(pool, mib_per_s * (double)MIB, 1, now_us);
	}
}

static uint64_t pool_mib(const struct pool *pool, uint64_t largest_gib)
{
	return pool_bytes(pool, largest_gib * GIB, now_us) / MIB;
}

static void begin(struct pool *pool)
{
	*pool = (struct pool){ 0 };
	now_us = 1000 * SECOND_US;
	pool_update(pool, 0, 0, now_us);
}

static void at_first_a_part_of_the_largest_guest_is_kept(void **state)
{
	struct pool pool;

	(void)state;
	begin(&pool);
	assert_int_equal(pool_mib(&pool, 20), 3072);
	pass_seconds(&pool, 300, 0);
	assert_int_equal(pool_mib(&pool, 20), 1536);
	pass_seconds(&pool, 300, 0);
	assert_int_equal(pool_mib(&pool, 20), 0);
}

/* 1000 MiB in two seconds: six tenths, and up to 19 % more by the classes of the histogram. */
static void growth_within_three_seconds_is_remembered(void **state)
{
	struct pool pool;

	(void)state;
	begin(&pool);
	pass_seconds(&pool, 600, 0);
	pass_seconds(&pool, 2, 500);
	pass_seconds(&pool, 60, 0);
	assert_in_range(pool_mib(&pool, 20), 600, 720);
}

/* 10 MiB/s: never more than 30 MiB within three seconds. */
static void slow_growth_adds_up_to_nothing(void **state)
{
	struct pool pool;

	(void)state;
	begin(&pool);
	pass_seconds(&pool, 700, 10);
	assert_in_range(pool_mib(&pool, 20), 10, 22);
}

/* Only the sum counts: what one guest takes while another gives it back. */
static void a_fall_is_no_growth_and_a_rise_after_it_is(void **state)
{
	struct pool pool;

	(void)state;
	begin(&pool);
	pass_seconds(&pool, 600, 0);
	pass_seconds(&pool, 1, -1000);
	pass_seconds(&pool, 10, 0);
	assert_int_equal(pool_mib(&pool, 20), 0);
	pass_seconds(&pool, 1, 1000);
	pass_seconds(&pool, 10, 0);
	assert_in_range(pool_mib(&pool, 20), 600, 720);
}

static void a_late_step_forgets_what_was_before(void **state)
{
	struct pool pool;

	(void)state;
	begin(&pool);
	pass_seconds(&pool, 600, 0);
	pass_seconds(&pool, 1, 0);
	now_us += 3600 * SECOND_US;
	pool_update(&pool, 100.0 * (double)MIB, 5, now_us);
	pass_seconds(&pool, 1, 0);
	assert_true(pool_mib(&pool, 20) <= 72);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_first_a_part_of_the_largest_guest_is_kept),
		cmocka_unit_test(growth_within_three_seconds_is_remembered),
		cmocka_unit_test(slow_growth_adds_up_to_nothing),
		cmocka_unit_test(a_fall_is_no_growth_and_a_rise_after_it_is),
		cmocka_unit_test(a_late_step_forgets_what_was_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
