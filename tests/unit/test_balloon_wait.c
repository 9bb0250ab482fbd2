/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize/balloon_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define SECOND INT64_C(1000000)

static struct balloon_wait shrink(void)
{
	struct balloon_wait wait;

	balloon_wait_start(&wait, 1024 * MIB, 512 * MIB, 0, 10 * SECOND, 60 * SECOND);
	return wait;
}

static void reached_within_a_page(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	assert_int_equal(balloon_wait_update(&wait, SECOND, 512 * MIB + 4096), BALLOON_WAIT_GOING);
	assert_int_equal(balloon_wait_update(&wait, SECOND, 512 * MIB + 4095),
			 BALLOON_WAIT_REACHED);
	assert_int_equal(balloon_wait_update(&wait, SECOND, 512 * MIB), BALLOON_WAIT_REACHED);
}

static void reached_at_once_when_already_there(void **state)
{
	struct balloon_wait wait;

	(void)state;
	balloon_wait_start(&wait, 512 * MIB, 512 * MIB, 0, SECOND, SECOND);
	assert_int_equal(balloon_wait_update(&wait, 1, 512 * MIB), BALLOON_WAIT_REACHED);
	assert_true(balloon_wait_fraction(&wait) == 1);
}

static void stalls_after_no_progress(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	assert_int_equal(balloon_wait_update(&wait, 5 * SECOND, 700 * MIB), BALLOON_WAIT_GOING);
	assert_int_equal(balloon_wait_update(&wait, 15 * SECOND - 1, 700 * MIB),
			 BALLOON_WAIT_GOING);
	assert_int_equal(balloon_wait_update(&wait, 15 * SECOND, 700 * MIB), BALLOON_WAIT_STALLED);
}

static void see_saw_is_a_stall(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	assert_int_equal(balloon_wait_update(&wait, SECOND, 562 * MIB), BALLOON_WAIT_GOING);
	for (int second = 2; second < 11; second++)
		assert_int_equal(balloon_wait_update(&wait, second * SECOND,
						     second % 2 ? 562 * MIB : 598 * MIB),
				 BALLOON_WAIT_GOING);
	assert_int_equal(balloon_wait_update(&wait, 11 * SECOND, 562 * MIB), BALLOON_WAIT_STALLED);
}

static void creeping_below_a_mib_is_a_stall(void **state)
{
	struct balloon_wait wait = shrink();
	enum balloon_wait_verdict verdict = BALLOON_WAIT_GOING;

	(void)state;
	for (int step = 1; step <= 10; step++)
		verdict = balloon_wait_update(&wait, step * SECOND,
					      1024 * MIB - (uint64_t)step * 4096);
	assert_int_equal(verdict, BALLOON_WAIT_STALLED);
}

static void slow_but_moving_runs_into_the_timeout(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	for (int second = 1; second < 60; second++)
		assert_int_equal(balloon_wait_update(&wait, second * SECOND,
						     (1024 - (uint64_t)second) * MIB),
				 BALLOON_WAIT_GOING);
	assert_int_equal(balloon_wait_update(&wait, 60 * SECOND, 964 * MIB), BALLOON_WAIT_TIMEOUT);
}

static void notes_the_first_move(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	balloon_wait_update(&wait, SECOND, 1024 * MIB);
	assert_int_equal(wait.first_move_us, 0);
	balloon_wait_update(&wait, 2 * SECOND, 1023 * MIB);
	balloon_wait_update(&wait, 3 * SECOND, 1000 * MIB);
	assert_int_equal(wait.first_move_us, 2 * SECOND);
}

static void fraction_is_the_way_behind(void **state)
{
	struct balloon_wait wait = shrink();

	(void)state;
	assert_true(balloon_wait_fraction(&wait) == 0);
	balloon_wait_update(&wait, SECOND, 768 * MIB);
	assert_true(balloon_wait_fraction(&wait) == 0.5);
	balloon_wait_update(&wait, SECOND, 2048 * MIB);
	assert_true(balloon_wait_fraction(&wait) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reached_within_a_page),
		cmocka_unit_test(reached_at_once_when_already_there),
		cmocka_unit_test(stalls_after_no_progress),
		cmocka_unit_test(see_saw_is_a_stall),
		cmocka_unit_test(creeping_below_a_mib_is_a_stall),
		cmocka_unit_test(slow_but_moving_runs_into_the_timeout),
		cmocka_unit_test(notes_the_first_move),
		cmocka_unit_test(fraction_is_the_way_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
