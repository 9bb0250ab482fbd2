/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/floor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void follows_hyper_v_bands(void **state)
{
	(void)state;
	assert_int_equal(floor_bytes(64 * MIB), 40 * MIB);
	assert_int_equal(floor_bytes(256 * MIB), 104 * MIB);
	assert_int_equal(floor_bytes(1024 * MIB), 232 * MIB);
	assert_int_equal(floor_bytes(4096 * MIB), 488 * MIB);
	assert_int_equal(floor_bytes(16384 * MIB), 1000 * MIB);
}

static void never_exceeds_the_guest(void **state)
{
	(void)state;
	assert_int_equal(floor_bytes(0), 0);
	assert_int_equal(floor_bytes(4 * MIB), 4 * MIB);
}

static void never_falls_as_the_guest_grows(void **state)
{
	(void)state;
	for (uint64_t mib = 1; mib < 16384; mib++)
		assert_true(floor_bytes(mib * MIB) >= floor_bytes((mib - 1) * MIB));
}

static void headroom_is_64_mib_or_3_percent(void **state)
{
	(void)state;
	assert_int_equal(headroom_bytes(0), 64 * MIB);
	assert_int_equal(headroom_bytes(2133 * MIB), 64 * MIB);
	assert_int_equal(headroom_bytes(10000 * MIB), 300 * MIB);
	assert_int_equal(headroom_bytes(UINT64_MAX), UINT64_MAX / 100 * 3);
}

static void free_memory_stands_in_for_what_is_available(void **state)
{
	(void)state;
	assert_int_equal(estimate_available_bytes(500 * MIB, 100 * MIB), 500 * MIB);
	assert_int_equal(estimate_available_bytes(0, 100 * MIB), 0);
	assert_int_equal(estimate_available_bytes(UINT64_MAX, 100 * MIB), 100 * MIB);
	assert_int_equal(estimate_available_bytes(UINT64_MAX, UINT64_MAX), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_hyper_v_bands),
		cmocka_unit_test(free_memory_stands_in_for_what_is_available),
		cmocka_unit_test(headroom_is_64_mib_or_3_percent),
		cmocka_unit_test(never_exceeds_the_guest),
		cmocka_unit_test(never_falls_as_the_guest_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
