/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/await.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define SECOND INT64_C(1000000)

static struct await shrink(void)
{
	struct await await;

	await_start(&await, 1024 * MIB, 512 * MIB, 0, 10 * SECOND, 60 * SECOND);
	return await;
}

static void reached_within_a_page(void **state)
{
	struct await await = shrink();

	(void)state;
	assert_int_equal(await_step(&await, SECOND, 512 * MIB + 4096), AWAIT_GOING);
	assert_int_equal(await_step(&await, SECOND, 512 * MIB + 4095), AWAIT_REACHED);
	assert_int_equal(await_step(&await, SECOND, 512 * MIB), AWAIT_REACHED);
}

static void reached_at_once_when_already_there(void **state)
{
	struct await await;

	(void)state;
	await_start(&await, 512 * MIB, 512 * MIB, 0, SECOND, SECOND);
	assert_int_equal(await_step(&await, 1, 512 * MIB), AWAIT_REACHED);
	assert_true(await_fraction(&await) == 1);
}

static void stalls_after_no_progress(void **state)
{
	struct await await = shrink();

	(void)state;
	assert_int_equal(await_step(&await, 5 * SECOND, 700 * MIB), AWAIT_GOING);
	assert_int_equal(await_step(&await, 15 * SECOND - 1, 700 * MIB), AWAIT_GOING);
	assert_int_equal(await_step(&await, 15 * SECOND, 700 * MIB), AWAIT_STALLED);
}

static void see_saw_is_a_stall(void **state)
{
	struct await await = shrink();

	(void)state;
	assert_int_equal(await_step(&await, SECOND, 562 * MIB), AWAIT_GOING);
	for (int second = 2; second < 11; second++)
		assert_int_equal(
			await_step(&await, second * SECOND, second % 2 ? 562 * MIB : 598 * MIB),
			AWAIT_GOING);
	assert_int_equal(await_step(&await, 11 * SECOND, 562 * MIB), AWAIT_STALLED);
}

static void creeping_below_a_mib_is_a_stall(void **state)
{
	struct await await = shrink();
	enum await_verdict verdict = AWAIT_GOING;

	(void)state;
	for (int step = 1; step <= 10; step++)
		verdict = await_step(&await, step * SECOND, 1024 * MIB - (uint64_t)step * 4096);
	assert_int_equal(verdict, AWAIT_STALLED);
}

static void slow_but_moving_runs_into_the_timeout(void **state)
{
	struct await await = shrink();

	(void)state;
	for (int second = 1; second < 60; second++)
		assert_int_equal(
			await_step(&await, second * SECOND, (1024 - (uint64_t)second) * MIB),
			AWAIT_GOING);
	assert_int_equal(await_step(&await, 60 * SECOND, 964 * MIB), AWAIT_TIMEOUT);
}

static void notes_the_first_move(void **state)
{
	struct await await = shrink();

	(void)state;
	await_step(&await, SECOND, 1024 * MIB);
	assert_int_equal(await.first_move_us, 0);
	await_step(&await, 2 * SECOND, 1023 * MIB);
	await_step(&await, 3 * SECOND, 1000 * MIB);
	assert_int_equal(await.first_move_us, 2 * SECOND);
}

static void fraction_is_the_way_behind(void **state)
{
	struct await await = shrink();

	(void)state;
	assert_true(await_fraction(&await) == 0);
	await_step(&await, SECOND, 768 * MIB);
	assert_true(await_fraction(&await) == 0.5);
	await_step(&await, SECOND, 2048 * MIB);
	assert_true(await_fraction(&await) == 0);
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
