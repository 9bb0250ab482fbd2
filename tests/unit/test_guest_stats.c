/* SPDX-License-Identifier: BSD-3-Clause */
/* What is concluded from a guest's statistics before memory is taken from it. */
#include "resize/guest_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static const hv_info gib = { .max_bytes = 1024 * MIB };
static const hv_info deflating = { .max_bytes = 1024 * MIB, .autodeflate = 1 };

/* A guest of 1 GiB that counts 960 MiB as its own, 500 of them usable. */
static struct guest_stats sample(const hv_info *info)
{
	struct guest_stats stats = { .info = info, .known = true };

	stats.latest = (struct hv_stats){ .taken_s = 1000, .last_update_s = 1000, .period_s = 1 };
	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats.latest.value[i] = HV_UNSET;
	stats.latest.value[HV_STAT_ACTUAL] = 1024 * MIB;
	stats.latest.value[HV_STAT_AVAILABLE] = 960 * MIB;
	stats.latest.value[HV_STAT_USABLE] = 500 * MIB;
	return stats;
}

static void need_is_what_is_not_usable(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	assert_int_equal(guest_stats_used_bytes(&stats), 460 * MIB);
}

static void need_counts_from_the_size_where_the_balloon_counts_as_memory(void **state)
{
	struct guest_stats stats = sample(&deflating);

	(void)state;
	assert_int_equal(guest_stats_used_bytes(&stats), 524 * MIB);
}

static void the_least_includes_headroom(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	assert_int_equal(guest_stats_least_bytes(&stats), (524 + 64) * MIB);
}

static void free_memory_counts_where_nothing_better_is_reported(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	stats.latest.value[HV_STAT_USABLE] = HV_UNSET;
	stats.latest.value[HV_STAT_UNUSED] = 544 * MIB;
	assert_int_equal(guest_stats_used_bytes(&stats), (960 - 544) * MIB);
	assert_int_equal(guest_stats_least_bytes(&stats), (1024 - 544 + 64) * MIB);
}

static void a_total_that_does_not_follow_the_balloon_is_no_need(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	stats.latest.value[HV_STAT_ACTUAL] = 600 * MIB;
	stats.latest.value[HV_STAT_AVAILABLE] = 1024 * MIB;
	stats.latest.value[HV_STAT_USABLE] = 400 * MIB;
	assert_int_equal(guest_stats_used_bytes(&stats), 200 * MIB);
}

static void nothing_is_concluded_from_old_absent_or_impossible_figures(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	stats.latest.last_update_s = 990;
	assert_int_equal(guest_stats_least_bytes(&stats), HV_UNSET);
	stats = sample(&gib);
	stats.known = false;
	assert_int_equal(guest_stats_used_bytes(&stats), HV_UNSET);
	stats = sample(&gib);
	stats.latest.value[HV_STAT_USABLE] = HV_UNSET;
	assert_int_equal(guest_stats_least_bytes(&stats), HV_UNSET);
	stats = sample(&gib);
	stats.latest.value[HV_STAT_USABLE] = 1025 * MIB;
	assert_int_equal(guest_stats_least_bytes(&stats), HV_UNSET);
	assert_int_equal(guest_stats_used_bytes(&stats), HV_UNSET);
}

static void a_clock_that_was_set_makes_no_statistics_fresh(void **state)
{
	struct hv_stats stats = { .taken_s = 1000, .last_update_s = 1000, .period_s = 1 };

	(void)state;
	assert_false(hv_stats_stale(&stats));
	/* Both are whole seconds, of two processes. */
	stats.last_update_s = 1001;
	assert_false(hv_stats_stale(&stats));
	stats.last_update_s = 4600;
	assert_true(hv_stats_stale(&stats));
}

static void an_answer_is_one_whatever_the_clock_says(void **state)
{
	struct guest_stats stats = { .known = true, .before.last_update_s = 4600 };

	(void)state;
	stats.latest.last_update_s = 4600;
	assert_false(guest_stats_have_answered(&stats));
	stats.latest.last_update_s = 1000;
	assert_true(guest_stats_have_answered(&stats));
	stats.latest.last_update_s = 0;
	assert_false(guest_stats_have_answered(&stats));
}

static void an_answer_in_the_same_second_is_one(void **state)
{
	struct guest_stats stats = sample(&gib);

	(void)state;
	stats.before = stats.latest;
	assert_false(guest_stats_have_answered(&stats));
	/* The size is the host's number, and no answer. */
	stats.latest.value[HV_STAT_ACTUAL] = 512 * MIB;
	assert_false(guest_stats_have_answered(&stats));
	stats.latest.value[HV_STAT_USABLE]--;
	assert_true(guest_stats_have_answered(&stats));
}

static unsigned int times_read;
static int64_t age_s;

/* Reports the same each time. */
static bool report_again(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			 GError **error)
{
	(void)guest;
	(void)deadline;
	(void)error;
	times_read++;
	*stats = sample(&gib).latest;
	stats->last_update_s = stats->taken_s - age_s;
	return true;
}

static bool accept_period(struct hv_guest *guest, int64_t deadline, int period_s,
			  unsigned int scope, GError **error)
{
	(void)guest;
	(void)deadline;
	(void)period_s;
	(void)scope;
	(void)error;
	return true;
}

static bool is_waited_for(int64_t reported_age_s, bool is_shrinking)
{
	static const struct hv_ops ops = { .kind = "fake",
					   .stats_get = report_again,
					   .stats_period_set = accept_period };
	hv_guest guest = { .ops = &ops, .address = (char *)"fake" };
	struct guest_stats stats;

	times_read = 0;
	age_s = reported_age_s;
	guest_stats_start(&stats, &guest, &gib, false, is_shrinking);
	return times_read > 1;
}

static void only_a_guest_that_gives_memory_is_waited_for_if_it_reported_a_moment_ago(void **state)
{
	(void)state;
	assert_false(is_waited_for(0, false));
	assert_true(is_waited_for(0, true));
	assert_true(is_waited_for(60, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(need_is_what_is_not_usable),
		cmocka_unit_test(need_counts_from_the_size_where_the_balloon_counts_as_memory),
		cmocka_unit_test(the_least_includes_headroom),
		cmocka_unit_test(free_memory_counts_where_nothing_better_is_reported),
		cmocka_unit_test(a_total_that_does_not_follow_the_balloon_is_no_need),
		cmocka_unit_test(nothing_is_concluded_from_old_absent_or_impossible_figures),
		cmocka_unit_test(a_clock_that_was_set_makes_no_statistics_fresh),
		cmocka_unit_test(an_answer_is_one_whatever_the_clock_says),
		cmocka_unit_test(an_answer_in_the_same_second_is_one),
		cmocka_unit_test(
			only_a_guest_that_gives_memory_is_waited_for_if_it_reported_a_moment_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
