/* SPDX-License-Identifier: BSD-3-Clause */
/* What does not depend on the kind of guest: the ops table, statistics, finding. */
#include "hypervisor/hypervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool say_400(hv_guest *guest, int64_t deadline, uint64_t *actual_bytes, GError **error)
{
	(void)guest;
	(void)deadline;
	(void)error;
	*actual_bytes = 400;
	return true;
}

static const struct hv_ops poor_ops = { .kind = "poor", .balloon_get = say_400 };

static void a_call_reaches_its_kind(void **state)
{
	hv_guest guest = { .ops = &poor_ops, .address = (char *)"zeta" };
	uint64_t bytes = 0;

	(void)state;
	assert_true(hv_guest_balloon_get(&guest, 0, &bytes, NULL));
	assert_int_equal(bytes, 400);
}

static void expect_unsupported(GError *error)
{
	assert_non_null(error);
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_UNSUPPORTED));
	assert_non_null(strstr(error->message, "zeta: "));
	assert_non_null(strstr(error->message, "reached by poor"));
	g_error_free(error);
}

static void what_a_kind_lacks_is_unsupported(void **state)
{
	hv_guest guest = { .ops = &poor_ops, .address = (char *)"zeta" };
	GError *error = NULL;

	(void)state;
	assert_false(hv_guest_balloon_set(&guest, 0, 1, 0, &error));
	expect_unsupported(g_steal_pointer(&error));
	assert_null(hv_guest_xml_get(&guest, 0, 0, &error));
	expect_unsupported(g_steal_pointer(&error));
	assert_false(hv_guest_xml_define(&guest, 0, "", &error));
	expect_unsupported(g_steal_pointer(&error));
	assert_false(hv_guest_start(&guest, 0, &error));
	expect_unsupported(g_steal_pointer(&error));
	assert_null(hv_guest_monitor(&guest, 0, "{}", &error));
	expect_unsupported(g_steal_pointer(&error));
	assert_false(hv_guest_event_wait(&guest, 0, NULL, &error));
	expect_unsupported(g_steal_pointer(&error));
}

static void every_statistic_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < HV_STAT_COUNT; i++) {
		assert_non_null(hv_stat_table[i].name);
		assert_non_null(hv_stat_table[i].help);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(hv_stat_table[i].name, hv_stat_table[j].name);
	}
}

static bool stale(int64_t age_s, int period_s)
{
	const struct hv_stats stats = { .taken_s = 1000000,
					.last_update_s = 1000000 - age_s,
					.period_s = period_s };

	return hv_stats_stale(&stats);
}

static void statistics_grow_stale_after_three_periods_but_not_before_5_s(void **state)
{
	(void)state;
	assert_false(stale(0, 1));
	assert_false(stale(5, 1));
	assert_true(stale(6, 1));
	assert_false(stale(30, 10));
	assert_true(stale(31, 10));
	assert_false(stale(5, 0));
	assert_true(stale(6, -1));
}

static void statistics_that_never_came_are_stale(void **state)
{
	const struct hv_stats never = { .taken_s = 1000000, .period_s = 1 };

	(void)state;
	assert_int_equal(hv_stats_age_s(&never), -1);
	assert_true(hv_stats_stale(&never));
}

static void statistics_from_the_future_are_of_age_0(void **state)
{
	const struct hv_stats ahead = { .taken_s = 1000, .last_update_s = 1010, .period_s = 1 };

	(void)state;
	assert_int_equal(hv_stats_age_s(&ahead), 0);
}

static void a_monitor_path_is_taken_at_its_word(void **state)
{
	char *none[] = { NULL };
	const struct hv_sources sources = { none, none };
	g_autoptr(hv_guest) guest = hv_find(&sources, "qmp:/run/a.qmp", 0, NULL, NULL);

	(void)state;
	assert_non_null(guest);
	assert_string_equal(guest->address, "qmp:/run/a.qmp");
	assert_string_equal(guest->source, "qmp");
}

static void finding_nothing_explains_where_to_look(void **state)
{
	char *none[] = { NULL };
	const struct hv_sources sources = { none, none };
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_null(hv_find(&sources, "zeta", hv_deadline_ms(1000), NULL, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND));
	assert_non_null(strstr(error->message, "no guest 'zeta'"));
	assert_non_null(strstr(error->message, "--qmp GLOB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_reaches_its_kind),
		cmocka_unit_test(what_a_kind_lacks_is_unsupported),
		cmocka_unit_test(every_statistic_has_a_name_of_its_own),
		cmocka_unit_test(statistics_grow_stale_after_three_periods_but_not_before_5_s),
		cmocka_unit_test(statistics_that_never_came_are_stale),
		cmocka_unit_test(statistics_from_the_future_are_of_age_0),
		cmocka_unit_test(a_monitor_path_is_taken_at_its_word),
		cmocka_unit_test(finding_nothing_explains_where_to_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
