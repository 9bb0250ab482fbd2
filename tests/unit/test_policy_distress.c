/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/distress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

#define NOW (1000 * SECOND)

enum verdict { WELL, PRESSURED, HURTING, CRITICAL };

/* A guest of 4 GiB with 1 GiB available and a reserve of 512 MiB, after @change in a second. */
static enum verdict after(struct change change, uint64_t available, int64_t later_us)
{
	struct symptoms symptoms;
	struct distress distress;

	symptoms_reset(&symptoms);
	change.seconds = 1;
	symptoms_update(&symptoms, &change, NOW);
	distress = distress_judge(&symptoms, 4 * GIB, available, 512 * MIB, NOW + later_us);
	assert_true(distress.pressured || !(distress.critical || distress.hurting));
	if (distress.critical)
		return CRITICAL;
	if (distress.hurting)
		return HURTING;
	return distress.pressured ? PRESSURED : WELL;
}

static enum verdict with(enum counter counter, double value)
{
	struct change change = { 0 };

	change.counters[counter] = value;
	return after(change, GIB, 0);
}

static void little_available_is_critical(void **state)
{
	struct change quiet = { 0 };

	(void)state;
	assert_int_equal(after(quiet, 122 * MIB, 0), CRITICAL); /* 3 % of 4 GiB are 122.88 MiB */
	assert_int_equal(after(quiet, 123 * MIB, 0), PRESSURED);
}

static void less_than_half_the_reserve_is_pressure(void **state)
{
	struct change quiet = { 0 };

	(void)state;
	assert_int_equal(after(quiet, 255 * MIB, 0), PRESSURED);
	assert_int_equal(after(quiet, 256 * MIB, 0), WELL);
}

static void below_64_mib_any_guest_is_critical(void **state)
{
	struct symptoms symptoms;

	(void)state;
	symptoms_reset(&symptoms);
	assert_true(distress_judge(&symptoms, 200 * MIB, 63 * MIB, 0, NOW).critical);
	assert_false(distress_judge(&symptoms, 200 * MIB, 64 * MIB, 0, NOW).critical);
}

static void a_kill_is_critical_for_ten_seconds(void **state)
{
	struct change kill = { 0 };

	(void)state;
	kill.counters[COUNTER_OOM_KILLS] = 1;
	assert_int_equal(after(kill, GIB, 10 * SECOND - 1), CRITICAL);
	assert_int_equal(after(kill, GIB, 10 * SECOND), WELL);
}

static void stalls_count_only_with_scans(void **state)
{
	struct change change = { 0 };

	(void)state;
	change.counters[COUNTER_ALLOC_STALLS] = 1000;
	assert_int_equal(after(change, GIB, 0), WELL); /* a limit inside the guest */
	change.counters[COUNTER_DIRECT_SCAN] = 100.0 * (double)MIB;
	assert_int_equal(after(change, GIB, 0), CRITICAL);
	change.counters[COUNTER_ALLOC_STALLS] = 0;
	assert_int_equal(after(change, GIB, 0), WELL);
}

static void swapping_in_hurts(void **state)
{
	(void)state;
	assert_int_equal(with(COUNTER_SWAP_IN, (double)MIB), WELL);
	assert_int_equal(with(COUNTER_SWAP_IN, (double)MIB + 4096), HURTING);
}

static void swapping_out_does_not(void **state)
{
	(void)state;
	assert_int_equal(with(COUNTER_SWAP_OUT, 100.0 * (double)MIB), WELL);
}

static void waiting_for_memory_hurts(void **state)
{
	(void)state;
	assert_int_equal(with(COUNTER_PSI_SOME, 100000), WELL);
	assert_int_equal(with(COUNTER_PSI_SOME, 100001), HURTING);
}

/* Whether @faults in a second are distress after @usual ones in each of many. */
static bool faulting(double usual, double faults)
{
	struct change change = { .seconds = 1 };
	struct symptoms symptoms;

	symptoms_reset(&symptoms);
	change.counters[COUNTER_MAJOR_FAULTS] = usual;
	for (int second = 0; second < 100; second++)
		symptoms_update(&symptoms, &change, NOW);
	change.counters[COUNTER_MAJOR_FAULTS] = faults;
	symptoms_update(&symptoms, &change, NOW);
	return distress_judge(&symptoms, 4 * GIB, GIB, 512 * MIB, NOW).hurting;
}

static void three_times_the_usual_faults_hurt(void **state)
{
	(void)state;
	assert_false(faulting(200, 600));
	assert_true(faulting(200, 601));
}

static void a_few_faults_never_hurt(void **state)
{
	(void)state;
	assert_false(faulting(1, 100));
	assert_true(faulting(1, 101));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(little_available_is_critical),
		cmocka_unit_test(less_than_half_the_reserve_is_pressure),
		cmocka_unit_test(below_64_mib_any_guest_is_critical),
		cmocka_unit_test(a_kill_is_critical_for_ten_seconds),
		cmocka_unit_test(stalls_count_only_with_scans),
		cmocka_unit_test(swapping_in_hurts),
		cmocka_unit_test(swapping_out_does_not),
		cmocka_unit_test(waiting_for_memory_hurts),
		cmocka_unit_test(three_times_the_usual_faults_hurt),
		cmocka_unit_test(a_few_faults_never_hurt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
