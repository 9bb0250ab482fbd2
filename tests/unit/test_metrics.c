/* SPDX-License-Identifier: BSD-3-Clause */
/* The format as a whole is checked by tests/behaviour/prometheus.py. */
#include "tests/unit/api_rig.h"

#include <math.h>
#include <string.h>

static int set_up(void **state)
{
	static struct manager manager;

	manager_fill(&manager);
	manager.status.rounds = 10;
	*state = &manager;
	return 0;
}

static int tear_down(void **state)
{
	manager_empty(*state);
	return 0;
}

/* Whether a line of the metrics begins with @begin, and is all of @line when that is not NULL. */
static bool has_line(const struct manager *manager, const char *begin, const char *line)
{
	g_autofree char *text = metrics_text(&manager->status);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	bool found = false;

	for (char **each = lines; *each; each++)
		if (g_str_has_prefix(*each, begin))
			found |= !line || !strcmp(*each, line);
	return found;
}

static void assert_line(const struct manager *manager, const char *line)
{
	if (!has_line(manager, line, line))
		fail_msg("there is no line: %s", line);
}

static void assert_no_line(const struct manager *manager, const char *begin)
{
	if (has_line(manager, begin, NULL))
		fail_msg("there is a line: %s", begin);
}

static void a_guest_shows_each_number_in_its_place(void **state)
{
	static const struct {
		const char *name, *value;
	} samples[] = {
		{ "reachable", "1" },
		{ "driver_ready", "1" },
		{ "max_bytes", "212860928" },
		{ "actual_bytes", "213909504" },
		{ "target_bytes", "214958080" },
		{ "before_bytes", "229638144" },
		{ "resident_bytes", "216006656" },
		{ "min_bytes", "210763776" },
		{ "limit_bytes", "211812352" },
		{ "weight", "1.5" },
		{ "need_bytes", "230686720" },
		{ "demand_bytes", "231735296" },
		{ "reserve_bytes", "232783872" },
		{ "want_bytes", "233832448" },
		{ "floor_bytes", "234881024" },
		{ "pressured", "1" },
		{ "critical", "0" },
		{ "targets_set_total", "225" },
		{ "targets_failed_total", "226" },
		{ "stats_available_bytes", "217055232" },
		{ "stats_free_bytes", "218103808" },
		{ "stats_total_bytes", "219152384" },
		{ "stats_cache_bytes", "220200960" },
		{ "swap_in_bytes_total", "221249536" },
		{ "swap_out_bytes_total", "222298112" },
		{ "major_faults_total", "213" },
		{ "oom_kills_total", "214" },
		{ "alloc_stalls_total", "215" },
		{ "direct_scan_bytes_total", "226492416" },
		{ "psi_some_seconds_total", "2.170000" },
		{ "psi_full_seconds_total", "2.180001" },
	};

	manager_add(*state, "alpha", "qmp:/a");
	for (size_t i = 0; i < G_N_ELEMENTS(samples); i++) {
		g_autofree char *line =
			g_strdup_printf("aerostat_guest_%s{guest=\"alpha\",source=\"qmp\"} %s",
					samples[i].name, samples[i].value);

		assert_line(*state, line);
	}
	assert_line(*state, "aerostat_guest_mode{guest=\"alpha\",source=\"qmp\",mode=\"auto\"} 1");
	assert_line(*state, "aerostat_guest_mode{guest=\"alpha\",source=\"qmp\",mode=\"held\"} 0");
	assert_line(*state, "aerostat_host_guests{mode=\"auto\"} 1");
	assert_line(*state, "aerostat_host_guests{mode=\"off\"} 0");
}

/* 20 s, and some more on a busy machine. */
static void the_age_of_statistics_is_in_seconds(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");

	guest->seen.taken_us = g_get_monotonic_time() - 20 * G_USEC_PER_SEC;
	assert_true(has_line(*state,
			     "aerostat_guest_stats_age_seconds{guest=\"alpha\","
			     "source=\"qmp\"} 2",
			     NULL));
}

static void the_host_shows_each_number_in_its_place(void **state)
{
	static const char *const lines[] = {
		"aerostat_build_info{version=\"" AEROSTAT_VERSION "\",policy=\"aerostat\"} 1",
		"aerostat_start_time_seconds 11.000001",
		"aerostat_rounds_total 10",
		"aerostat_round_late_seconds 0.012000",
		"aerostat_round_late_max_seconds 13.000000",
		"aerostat_policy_step_seconds 0.000014",
		"aerostat_recording 1",
		"aerostat_host_total_bytes 20",
		"aerostat_host_available_bytes 21",
		"aerostat_host_free_bytes 22",
		"aerostat_host_cache_bytes 23",
		"aerostat_host_swap_used_bytes 24",
		"aerostat_host_pressure_ratio 0.25",
		"aerostat_host_critical 0",
		"aerostat_host_trigger 1",
		"aerostat_host_budget_bytes 30",
		"aerostat_host_want_bytes 31",
		"aerostat_host_overcommitted 1",
		"aerostat_host_reserved_bytes 150",
	};
	struct manager *manager = *state;
	struct manager_status *status = &manager->status;

	manager_add_reservation(manager, 1, 100);
	manager_add_reservation(manager, 2, 50);
	status->started_us = 11000001;
	status->late_us = 12000;
	status->late_max_us = 13000000;
	status->step_us = 14;
	status->trigger = status->recording = true;
	status->host = (struct policy_host){ 0, 20, 21, 22, 23, 24, 0.25, 25, false };
	status->outcome = (struct policy_outcome){ .budget_bytes = 30,
						   .want_bytes = 31,
						   .overcommitted = true };
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		assert_line(manager, lines[i]);
}

static void events_and_problems_are_shown_by_kind_and_source(void **state)
{
	struct manager *manager = *state;

	events_add(manager->status.events, EVENT_TARGET, "alpha", 1, 2, "so");
	g_hash_table_insert(manager->status.problems, (char *)"qemu:///system", (char *)"gone");
	assert_line(manager, "aerostat_events_total{kind=\"target\"} 1");
	assert_line(manager, "aerostat_events_total{kind=\"alarm\"} 0");
	assert_line(manager, "aerostat_source_problem{source=\"qemu:///system\"} 1");
}

static void what_is_not_known_is_left_out(void **state)
{
	struct manager *manager = *state;
	struct managed *guest = manager_add(manager, "alpha", "qmp:/a");

	guest->seen.swap_in_bytes = POLICY_UNSET;
	guest->seen.psi_some_us = POLICY_UNSET;
	guest->seen.rules.min_bytes = POLICY_UNSET;
	guest->seen.rules.weight = NAN;
	guest->driver = HV_DRIVER_UNKNOWN;
	assert_no_line(manager, "aerostat_guest_swap_in_bytes_total{");
	assert_no_line(manager, "aerostat_guest_psi_some_seconds_total{");
	assert_no_line(manager, "aerostat_guest_min_bytes{");
	assert_no_line(manager, "aerostat_guest_weight{");
	assert_no_line(manager, "aerostat_guest_driver_ready{");
	guest->seen.taken_us = 0;
	assert_no_line(manager, "aerostat_guest_stats_");
	guest->decision.text[0] = '\0';
	assert_no_line(manager, "aerostat_guest_need_bytes{");
	assert_true(has_line(manager, "aerostat_guest_actual_bytes{", NULL));
	guest->answered = false;
	assert_no_line(manager, "aerostat_guest_actual_bytes{");
	assert_line(manager, "aerostat_guest_reachable{guest=\"alpha\",source=\"qmp\"} 0");
	manager->status.rounds = 0;
	assert_no_line(manager, "aerostat_host_available_bytes ");
}

static void a_guest_that_does_not_answer_is_not_reachable(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");

	guest->problem = g_strdup("no answer");
	guest->driver = HV_DRIVER_ABSENT;
	assert_line(*state, "aerostat_guest_reachable{guest=\"alpha\",source=\"qmp\"} 0");
	assert_line(*state, "aerostat_guest_driver_ready{guest=\"alpha\",source=\"qmp\"} 0");
}

static void names_are_escaped(void **state)
{
	manager_add(*state, "a\\b\"c\nd\xff", "qmp:/a");
	assert_line(*state,
		    "aerostat_guest_weight{guest=\"a\\\\b\\\"c\\\\x0ad\\\\xff\",source=\"qmp\"} "
		    "1.5");
}

static void guests_of_one_name_are_told_apart_by_their_addresses(void **state)
{
	manager_add(*state, "twin", "qmp:/a");
	manager_add(*state, "twin", "qmp:/b");
	manager_add(*state, "alpha", "qmp:/c");
	assert_line(*state, "aerostat_guest_weight{guest=\"twin\",source=\"qmp\","
			    "address=\"qmp:/a\"} 1.5");
	assert_line(*state, "aerostat_guest_weight{guest=\"twin\",source=\"qmp\","
			    "address=\"qmp:/b\"} 1.5");
	assert_line(*state, "aerostat_guest_weight{guest=\"alpha\",source=\"qmp\"} 1.5");
}

static void each_metric_stands_below_its_help_and_type(void **state)
{
	manager_add(*state, "alpha", "qmp:/a");
	assert_line(*state, "# TYPE aerostat_rounds_total counter");
	assert_line(*state, "# TYPE aerostat_guest_actual_bytes gauge");
	assert_line(*state, "# HELP aerostat_guest_actual_bytes Current size of the guest.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_shows_each_number_in_its_place),
		TEST(the_age_of_statistics_is_in_seconds),
		TEST(the_host_shows_each_number_in_its_place),
		TEST(events_and_problems_are_shown_by_kind_and_source),
		TEST(what_is_not_known_is_left_out),
		TEST(a_guest_that_does_not_answer_is_not_reachable),
		TEST(names_are_escaped),
		TEST(guests_of_one_name_are_told_apart_by_their_addresses),
		TEST(each_metric_stands_below_its_help_and_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
