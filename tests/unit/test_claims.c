/* SPDX-License-Identifier: BSD-3-Clause */
/* What guests claim about themselves is bounded by what can be. */
#include "aerostatd/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)
#define PIB (UINT64_C(1) << 50)

static const hv_guest here = { .address = (char *)"qmp:/run/a.qmp", .source = (char *)"qmp" };

static bool can_have(uint64_t max_bytes, uint64_t space_bytes)
{
	const hv_info info = { .max_bytes = max_bytes };

	return claims_check_maximum(&here, &info, space_bytes, 24 * GIB, NULL);
}

static void a_maximum_beyond_host_and_process_is_impossible(void **state)
{
	const hv_info info = { .max_bytes = 8 * PIB };
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_true(can_have(0, HV_UNSET));
	assert_true(can_have(24 * GIB, HV_UNSET));
	assert_true(can_have(24 * GIB, 1 * GIB));
	assert_false(can_have(24 * GIB + 1, 1 * GIB));
	assert_false(can_have(24 * GIB + 1, HV_UNSET));
	assert_false(can_have(INT64_MAX, 64 * GIB));
	assert_false(claims_check_maximum(&here, &info, HV_UNSET, 24 * GIB, &error));
	assert_string_equal(error->message,
			    "qmp:/run/a.qmp: it claims to have 8 PiB; this host has 24 GiB of RAM "
			    "and swap, and its process maps less than that");
}

static void a_large_guest_whose_process_maps_its_memory_is_believed(void **state)
{
	(void)state;
	assert_true(can_have(64 * GIB, 65 * GIB));
}

static void this_host_and_this_process_are_measured(void **state)
{
	const hv_info small = { .max_bytes = 1 << 20, .pid = getpid() };
	const hv_info huge = { .max_bytes = INT64_MAX, .pid = getpid() };
	const hv_info nobody = { .max_bytes = 8 * PIB };

	(void)state;
	assert_true(claims_check_guest(&here, &small, NULL));
	assert_false(claims_check_guest(&here, &huge, NULL));
	assert_false(claims_check_guest(&here, &nobody, NULL));
}

static void guests_of_other_hosts_are_not_measured_here(void **state)
{
	const hv_guest there = { .address = (char *)"web",
				 .source = (char *)"qemu+ssh://other/system" };
	const hv_info info = { .max_bytes = 8 * PIB };

	(void)state;
	assert_true(claims_check_guest(&there, &info, NULL));
}

static struct hv_stats unknown_stats(void)
{
	struct hv_stats stats = { 0 };

	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats.value[i] = HV_UNSET;
	return stats;
}

static void statistics_that_contradict_each_other_are_bounded(void **state)
{
	struct hv_stats stats = unknown_stats();

	(void)state;
	stats.value[HV_STAT_ACTUAL] = 8 * PIB;
	stats.value[HV_STAT_AVAILABLE] = 3 * GIB;
	stats.value[HV_STAT_USABLE] = 4 * GIB;
	stats.value[HV_STAT_UNUSED] = INT64_MAX;
	stats.value[HV_STAT_DISK_CACHES] = 9 * GIB;
	claims_bound_stats(&stats, 4 * GIB);
	assert_int_equal(stats.value[HV_STAT_ACTUAL], 4 * GIB);
	assert_int_equal(stats.value[HV_STAT_AVAILABLE], 3 * GIB);
	assert_int_equal(stats.value[HV_STAT_USABLE], 3 * GIB);
	assert_int_equal(stats.value[HV_STAT_UNUSED], 3 * GIB);
	assert_int_equal(stats.value[HV_STAT_DISK_CACHES], 3 * GIB);
}

static void without_a_total_the_maximum_bounds(void **state)
{
	struct hv_stats stats = unknown_stats();

	(void)state;
	stats.value[HV_STAT_UNUSED] = 5 * GIB;
	claims_bound_stats(&stats, 4 * GIB);
	assert_int_equal(stats.value[HV_STAT_UNUSED], 4 * GIB);
}

static void honest_and_unknown_statistics_stay(void **state)
{
	struct hv_stats stats = unknown_stats(), before;

	(void)state;
	before = stats;
	claims_bound_stats(&stats, 4 * GIB);
	assert_memory_equal(&stats, &before, sizeof(stats));
	stats.value[HV_STAT_AVAILABLE] = 4 * GIB;
	stats.value[HV_STAT_USABLE] = 2 * GIB;
	stats.value[HV_STAT_UNUSED] = 1 * GIB;
	stats.value[HV_STAT_SWAP_IN] = 9 * PIB; /* a counter, which may be any size */
	before = stats;
	claims_bound_stats(&stats, 4 * GIB);
	assert_memory_equal(&stats, &before, sizeof(stats));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_maximum_beyond_host_and_process_is_impossible),
		cmocka_unit_test(a_large_guest_whose_process_maps_its_memory_is_believed),
		cmocka_unit_test(this_host_and_this_process_are_measured),
		cmocka_unit_test(guests_of_other_hosts_are_not_measured_here),
		cmocka_unit_test(statistics_that_contradict_each_other_are_bounded),
		cmocka_unit_test(without_a_total_the_maximum_bounds),
		cmocka_unit_test(honest_and_unknown_statistics_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
