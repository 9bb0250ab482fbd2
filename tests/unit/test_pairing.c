/* SPDX-License-Identifier: BSD-3-Clause */
/* Which size belongs to which statistics. */
#include "aerostatd/pairing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define S G_USEC_PER_SEC

/* Statistics of the second @second, read at the @read_s of the wall clock. */
static struct hv_stats stats(int64_t second, int64_t read_s, uint64_t actual_mib,
			     uint64_t total_mib)
{
	struct hv_stats stats = { .taken_s = read_s, .last_update_s = second, .period_s = 1 };

	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats.value[i] = HV_UNSET;
	stats.value[HV_STAT_ACTUAL] = actual_mib * MIB;
	stats.value[HV_STAT_AVAILABLE] = total_mib * MIB;
	return stats;
}

/* A guest of 1024 MiB, of which its kernel counts 60 less, that stood still for two readings. */
static struct pairing quiet(void)
{
	struct pairing pairing;
	struct hv_stats first = stats(100, 100, 1024, 964), second = stats(101, 101, 1024, 964);

	pairing_init(&pairing);
	assert_true(pairing_take(&pairing, &first, 10 * S, false));
	assert_true(pairing_take(&pairing, &second, 11 * S, false));
	return pairing;
}

static void statistics_of_a_guest_that_stands_still_belong_to_its_size(void **state)
{
	struct pairing pairing = quiet();

	(void)state;
	assert_int_equal(pairing.actual_then_bytes, 1024 * MIB);
	assert_int_equal(pairing.stats_us, 11 * S);
}

static void statistics_that_were_seen_before_are_not_new(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats again = stats(101, 102, 1000, 940);

	(void)state;
	assert_false(pairing_take(&pairing, &again, 12 * S, false));
	assert_int_equal(pairing.stats_us, 11 * S);
	assert_int_equal(pairing.actual_then_bytes, 1024 * MIB);
}

static void statistics_of_a_guest_that_never_answered_are_none(void **state)
{
	struct pairing pairing;
	struct hv_stats never = stats(0, 100, 1024, 964);

	(void)state;
	pairing_init(&pairing);
	assert_false(pairing_take(&pairing, &never, 10 * S, false));
	assert_int_equal(pairing.stats_us, 0);
	assert_true(pairing.stats.value[HV_STAT_AVAILABLE] == HV_UNSET);
}

static void the_total_tells_the_size_at_the_moment_of_the_statistics(void **state)
{
	struct pairing pairing = quiet();
	/* It had 700 when it answered and has 512 now. */
	struct hv_stats moving = stats(102, 102, 512, 700 - 60);

	(void)state;
	assert_true(pairing_take(&pairing, &moving, 12 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 700 * MIB);
}

static void a_forged_total_tells_no_size_that_the_guest_did_not_pass(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats high = stats(102, 102, 512, 9000), low;

	(void)state;
	assert_true(pairing_take(&pairing, &high, 12 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 1024 * MIB);
	pairing = quiet();
	low = stats(102, 102, 512, 1);
	assert_true(pairing_take(&pairing, &low, 12 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 512 * MIB);
}

static void with_deflate_on_oom_a_small_move_is_halved(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats moving = stats(102, 102, 1000, 964);

	(void)state;
	assert_true(pairing_take(&pairing, &moving, 12 * S, true));
	assert_int_equal(pairing.actual_then_bytes, 1012 * MIB);
}

static void with_deflate_on_oom_a_large_move_leaves_the_statistics_out_twice(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats first = stats(102, 102, 900, 964), second = stats(103, 103, 700, 964),
			third = stats(104, 104, 500, 964);

	(void)state;
	assert_false(pairing_take(&pairing, &first, 12 * S, true));
	assert_false(pairing_take(&pairing, &second, 13 * S, true));
	assert_int_equal(pairing.stats_us, 11 * S);
	assert_true(pairing_take(&pairing, &third, 14 * S, true));
	assert_int_equal(pairing.actual_then_bytes, 600 * MIB);
}

static void statistics_are_left_out_again_when_it_moves_far_again(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats moves[] = { stats(102, 102, 900, 964), stats(103, 103, 700, 964),
				    stats(104, 104, 500, 964), stats(105, 105, 900, 964) };

	(void)state;
	for (int i = 0; i < 3; i++)
		pairing_take(&pairing, &moves[i], (12 + i) * S, true);
	assert_false(pairing_take(&pairing, &moves[3], 15 * S, true));
}

/* The same, after it was seen that MemTotal follows the size. */
static struct pairing following(void)
{
	struct pairing pairing = quiet();
	struct hv_stats moves[] = { stats(102, 102, 960, 900), stats(103, 103, 960, 900),
				    stats(104, 104, 1024, 964), stats(105, 105, 1024, 964) };

	for (int i = 0; i < 4; i++)
		assert_true(pairing_take(&pairing, &moves[i], (12 + i) * S, false));
	return pairing;
}

/* Windows: all memory is counted, whatever the balloon has. */
static void a_total_that_stays_when_the_size_changes_is_no_measure(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats small = stats(102, 102, 984, 964), still = stats(103, 103, 984, 964),
			back = stats(104, 104, 1024, 964);

	(void)state;
	/* Not known yet: the middle. */
	assert_true(pairing_take(&pairing, &small, 12 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 1004 * MIB);
	assert_true(pairing_take(&pairing, &still, 13 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 984 * MIB);
	assert_int_equal(pairing.total, TOTAL_STAYS);
	assert_true(pairing_take(&pairing, &back, 14 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 1004 * MIB);
}

/* Even if it wanders a little by itself. */
static void a_total_that_stays_is_no_measure_when_it_wanders(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats small = stats(102, 102, 984, 964), still = stats(103, 103, 984, 964),
			next = stats(104, 104, 944, 963);

	(void)state;
	pairing_take(&pairing, &small, 12 * S, false);
	pairing_take(&pairing, &still, 13 * S, false);
	assert_true(pairing_take(&pairing, &next, 14 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 964 * MIB);
}

static void another_system_in_the_guest_is_learned_anew(void **state)
{
	struct pairing pairing = following();
	struct hv_stats moves[] = { stats(106, 106, 900, 964), stats(107, 107, 900, 964),
				    stats(108, 108, 800, 864), stats(109, 109, 800, 864) };

	(void)state;
	assert_int_equal(pairing.total, TOTAL_FOLLOWS);
	for (int i = 0; i < 2; i++)
		pairing_take(&pairing, &moves[i], (16 + i) * S, false);
	assert_int_equal(pairing.total, TOTAL_STAYS);
	for (int i = 2; i < 4; i++)
		pairing_take(&pairing, &moves[i], (16 + i) * S, false);
	pairing_take(&pairing, &moves[3], 20 * S, false);
	moves[0] = stats(110, 110, 800, 864);
	pairing_take(&pairing, &moves[0], 21 * S, false);
	assert_int_equal(pairing.total, TOTAL_FOLLOWS);
}

static void a_total_that_lags_behind_the_size_is_no_measure(void **state)
{
	struct pairing pairing = following();
	struct hv_stats lags = stats(106, 106, 900, 964), next = stats(107, 107, 700, 740);

	(void)state;
	assert_true(pairing_take(&pairing, &lags, 16 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 1024 * MIB);
	assert_true(pairing_take(&pairing, &next, 17 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 800 * MIB);
}

static void a_total_that_still_changes_is_no_measure(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats changes = stats(102, 102, 1024, 940), next = stats(103, 103, 512, 640);

	(void)state;
	assert_true(pairing_take(&pairing, &changes, 12 * S, false));
	assert_true(pairing_take(&pairing, &next, 13 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 700 * MIB);
}

static void an_answer_from_before_anybody_looked_belongs_to_no_size(void **state)
{
	struct pairing pairing;
	struct hv_stats old = stats(70, 100, 512, 964), next = stats(101, 101, 512, 452);

	(void)state;
	pairing_init(&pairing);
	assert_false(pairing_take(&pairing, &old, 50 * S, false));
	assert_int_equal(pairing.stats_us, 0);
	assert_true(pairing_take(&pairing, &next, 51 * S, false));
	assert_int_equal(pairing.actual_then_bytes, 512 * MIB);
}

static void an_answer_of_just_now_is_believed_at_once(void **state)
{
	struct pairing pairing;
	struct hv_stats young = stats(99, 100, 1024, 964);

	(void)state;
	pairing_init(&pairing);
	assert_true(pairing_take(&pairing, &young, 50 * S, false));
	assert_int_equal(pairing.stats_us, 49 * S);
}

static void a_wall_clock_that_jumps_makes_no_answer_older_than_the_last_reading(void **state)
{
	struct pairing pairing = quiet();
	struct hv_stats same = stats(101, 102, 1024, 964), ahead = stats(103, 5000, 1024, 964),
			behind = stats(9000, 104, 1024, 964);

	(void)state;
	assert_false(pairing_take(&pairing, &same, 12 * S, false));
	assert_true(pairing_take(&pairing, &ahead, 13 * S, false));
	assert_in_range(pairing.stats_us, 12 * S + 1, 13 * S);
	assert_true(pairing_take(&pairing, &behind, 14 * S, false));
	assert_int_equal(pairing.stats_us, 14 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statistics_of_a_guest_that_stands_still_belong_to_its_size),
		cmocka_unit_test(statistics_that_were_seen_before_are_not_new),
		cmocka_unit_test(statistics_of_a_guest_that_never_answered_are_none),
		cmocka_unit_test(the_total_tells_the_size_at_the_moment_of_the_statistics),
		cmocka_unit_test(a_forged_total_tells_no_size_that_the_guest_did_not_pass),
		cmocka_unit_test(with_deflate_on_oom_a_small_move_is_halved),
		cmocka_unit_test(with_deflate_on_oom_a_large_move_leaves_the_statistics_out_twice),
		cmocka_unit_test(statistics_are_left_out_again_when_it_moves_far_again),
		cmocka_unit_test(a_total_that_stays_when_the_size_changes_is_no_measure),
		cmocka_unit_test(a_total_that_stays_is_no_measure_when_it_wanders),
		cmocka_unit_test(another_system_in_the_guest_is_learned_anew),
		cmocka_unit_test(a_total_that_lags_behind_the_size_is_no_measure),
		cmocka_unit_test(a_total_that_still_changes_is_no_measure),
		cmocka_unit_test(an_answer_from_before_anybody_looked_belongs_to_no_size),
		cmocka_unit_test(an_answer_of_just_now_is_believed_at_once),
		cmocka_unit_test(
			a_wall_clock_that_jumps_makes_no_answer_older_than_the_last_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
