/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/api_rig.h"

#include "tests/hang.h"

#include <string.h>

/* Compares @json with @text, which has ' in the place of ".  Drops the reference. */
static void assert_json(json_t *json, const char *text)
{
	g_autofree char *quoted = g_strdelimit(g_strdup(text), "'", '"');
	json_t *expected = json_loads(quoted, JSON_DECODE_ANY, NULL);
	char *is = json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	char *should = json_dumps(expected, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	assert_non_null(expected);
	assert_string_equal(is, should);
	free(is);
	free(should);
	json_decref(expected);
	json_decref(json);
}

static int set_up(void **state)
{
	static struct manager manager;

	manager_fill(&manager);
	*state = &manager;
	return 0;
}

static int tear_down(void **state)
{
	manager_empty(*state);
	return 0;
}

/* The guest without the age of its statistics, which is at least 1 us. */
static json_t *guest_without_age(const struct managed *guest)
{
	json_t *json = report_guest(guest, false), *stats = json_object_get(json, "stats");
	json_int_t age_us = json_integer_value(json_object_get(stats, "age_us"));

	assert_in_range(age_us, 1, HANG_US);
	json_object_del(stats, "age_us");
	return json;
}

static void a_guest_is_told_with_each_number_in_its_place(void **state)
{
	assert_json(guest_without_age(manager_add(*state, "alpha", "qmp:/a")),
		    "{'id':1,'name':'alpha','uuid':null,'address':'qmp:/a','source':'qmp',"
		    "'pid':4711,'state':'running','driver':'ready','autodeflate':true,"
		    "'obstacle':null,'problem':null,'mode':'auto','mode_by':'file',"
		    "'held_bytes':null,'weight':1.5,'max_bytes':212860928,"
		    "'actual_bytes':213909504,'target_bytes':214958080,"
		    "'before_bytes':229638144,'resident_bytes':216006656,"
		    "'min_bytes':210763776,'limit_bytes':211812352,'limit_path':null,"
		    "'pulled_bytes':240123904,'trimmed_bytes':241172480,"
		    "'credit_bytes':238026752,'ceiling_bytes':239075328,"
		    "'gains':[{'ability':'pull','bytes':null}],"
		    "'free_page_reporting':false,'abilities':['report','gate'],"
		    "'stats':{'available_bytes':217055232,'free_bytes':218103808,"
		    "'total_bytes':219152384,'cache_bytes':220200960,'swap_in_bytes':221249536,"
		    "'swap_out_bytes':222298112,'major_faults':213,'oom_kills':214,"
		    "'alloc_stalls':215,'direct_scan_bytes':226492416,'psi_some_us':2170000,"
		    "'psi_full_us':2180001},'need_bytes':230686720,'demand_bytes':231735296,"
		    "'reserve_bytes':232783872,'want_bytes':233832448,'floor_bytes':234881024,"
		    "'pressured':true,'critical':false,'reason':'idle','text':'it is idle',"
		    "'times_set':225,'times_failed':226}");
}

static void assert_key(json_t *json, const char *key, const char *text)
{
	assert_json(json_incref(json_object_get(json, key)), text);
}

static void words_follow_the_states(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json;

	guest->uuid = g_strdup("4b3a");
	guest->pid = 0;
	guest->state = HV_STATE_PAUSED;
	guest->driver = HV_DRIVER_ABSENT;
	guest->autodeflate = -1;
	guest->obstacle = HV_OBSTACLE_DEVICES;
	guest->problem = g_strdup("it does not answer");
	guest->mode_by_person = true;
	guest->seen.rules.mode = POLICY_HELD;
	guest->held_bytes = 256 * MIB;
	guest->decision.critical = true;
	json = report_guest(guest, false);
	assert_key(json, "uuid", "'4b3a'");
	assert_key(json, "pid", "null");
	assert_key(json, "state", "'paused'");
	assert_key(json, "driver", "'absent'");
	assert_key(json, "autodeflate", "null");
	assert_string_equal(json_string_value(json_object_get(json, "obstacle")),
			    hv_obstacle_text(HV_OBSTACLE_DEVICES));
	assert_key(json, "problem", "'it does not answer'");
	assert_key(json, "mode_by", "'person'");
	assert_key(json, "mode", "'held'");
	assert_key(json, "held_bytes", "268435456");
	assert_key(json, "critical", "true");
	json_decref(json);
	guest->driver = HV_DRIVER_UNKNOWN;
	guest->autodeflate = 0;
	json = report_guest(guest, false);
	assert_key(json, "driver", "'unknown'");
	assert_key(json, "autodeflate", "false");
	json_decref(json);
}

static void a_size_that_nobody_holds_is_not_told(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json;

	guest->held_bytes = 256 * MIB;
	json = report_guest(guest, false);
	assert_key(json, "held_bytes", "null");
	json_decref(json);
}

static void what_is_not_known_is_null_never_a_number(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json;

	guest->seen.actual_bytes = POLICY_UNSET;
	guest->seen.swap_in_bytes = POLICY_UNSET;
	guest->decision.need_bytes = POLICY_UNSET;
	json = report_guest(guest, false);
	assert_key(json, "actual_bytes", "null");
	assert_key(json, "need_bytes", "null");
	assert_key(json_object_get(json, "stats"), "swap_in_bytes", "null");
	assert_key(json_object_get(json, "stats"), "swap_out_bytes", "222298112");
	json_decref(json);
}

static void a_number_that_no_guest_has_is_null(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json;

	guest->seen.available_bytes = UINT64_C(1) << 63;
	guest->seen.free_bytes = INT64_MAX;
	json = report_guest(guest, false);
	assert_key(json_object_get(json, "stats"), "available_bytes", "null");
	assert_key(json_object_get(json, "stats"), "free_bytes", "9223372036854775807");
	json_decref(json);
}

static void a_guest_that_never_told_statistics_has_none(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json;

	guest->seen.taken_us = 0;
	json = report_guest(guest, false);
	assert_json(json_incref(json_object_get(json, "stats")),
		    "{'age_us':null,'available_bytes':null,'free_bytes':null,'total_bytes':null,"
		    "'cache_bytes':null,'swap_in_bytes':null,'swap_out_bytes':null,"
		    "'major_faults':null,'oom_kills':null,'alloc_stalls':null,"
		    "'direct_scan_bytes':null,'psi_some_us':null,'psi_full_us':null}");
	assert_key(json, "actual_bytes", "213909504");
	json_decref(json);
}

static void a_guest_that_has_not_answered_has_no_numbers(void **state)
{
	struct managed *guest = manager_add(*state, "qmp:/a", "qmp:/a");
	json_t *json;

	guest->answered = false;
	g_clear_pointer(&guest->name, g_free);
	guest->decision = (struct policy_decision){ 0 };
	json = report_guest(guest, false);
	assert_key(json, "name", "'qmp:/a'");
	assert_key(json, "max_bytes", "null");
	assert_key(json, "before_bytes", "null");
	assert_key(json, "weight", "null");
	assert_key(json, "need_bytes", "null");
	assert_key(json, "floor_bytes", "null");
	assert_key(json, "reason", "'none'");
	assert_key(json_object_get(json, "stats"), "age_us", "null");
	assert_key(json_object_get(json, "stats"), "available_bytes", "null");
	json_decref(json);
}

static void names_that_are_not_utf_8_are_told_all_the_same(void **state)
{
	struct managed *guest = manager_add(*state, "al\xffpha\"\n", "qmp:/\xfe");
	json_t *json = report_guest(guest, false);

	assert_string_equal(json_string_value(json_object_get(json, "name")), "al\\xffpha\"\\x0a");
	assert_string_equal(json_string_value(json_object_get(json, "address")), "qmp:/\\xfe");
	json_decref(json);
}

static void remember(struct managed *guest, int64_t time_us)
{
	struct managed_past *past = g_new0(struct managed_past, 1);

	*past = (struct managed_past){ .time_us = time_us,
				       .actual_bytes = 1,
				       .target_before_bytes = POLICY_UNSET,
				       .decision = guest->decision };
	g_queue_push_head(&guest->history, past);
}

static void one_guest_alone_is_told_with_its_history_the_newest_first(void **state)
{
	struct managed *guest = manager_add(*state, "alpha", "qmp:/a");
	json_t *json, *history;

	remember(guest, 1000);
	remember(guest, 2000);
	json = report_guest(guest, true);
	history = json_object_get(json, "history");
	assert_string_equal(json_string_value(json_object_get(json, "reason_help")),
			    policy_reason_help(POLICY_REASON_IDLE));
	assert_int_equal(json_array_size(history), 2);
	assert_json(json_incref(json_array_get(history, 0)),
		    "{'time_us':2000,'actual_bytes':1,'target_before_bytes':null,"
		    "'target_bytes':214958080,'reason':'idle','text':'it is idle',"
		    "'need_bytes':230686720,'demand_bytes':231735296,'reserve_bytes':232783872,"
		    "'want_bytes':233832448}");
	json_decref(json);
	json = report_guest(guest, false);
	assert_null(json_object_get(json, "history"));
	assert_null(json_object_get(json, "reason_help"));
	json_decref(json);
}

static void a_reservation_counts_its_seconds_down_to_0(void **state)
{
	struct reservation reservation = { 7, 100, 50, 0, (char *)"for beta" };
	json_t *json = NULL;
	int64_t now_us;

	(void)state;
	/* Again if a second has passed meanwhile. */
	do {
		json_decref(json);
		now_us = g_get_monotonic_time();
		reservation.until_us = now_us + 100 * G_USEC_PER_SEC;
		json = report_reservation(&reservation);
	} while (g_get_monotonic_time() - now_us >= G_USEC_PER_SEC);
	assert_json(json,
		    "{'id':7,'bytes':100,'free_bytes':50,'seconds_left':100,'note':'for beta'}");
	reservation.until_us = now_us - 5 * G_USEC_PER_SEC;
	reservation.note = NULL;
	assert_json(report_reservation(&reservation),
		    "{'id':7,'bytes':100,'free_bytes':50,'seconds_left':0,'note':''}");
}

static void an_event_is_told_with_its_sizes_or_null(void **state)
{
	const struct event target = {
		3, 4, EVENT_TARGET, (char *)"alpha", (char *)"why", NULL, 5, 6
	};
	const struct event reload = { 4,    5,	      EVENT_RELOAD, NULL, (char *)"done",
				      NULL, HV_UNSET, HV_UNSET };

	(void)state;
	assert_json(report_event(&target),
		    "{'number':3,'time_us':4,'kind':'target',"
		    "'guest':'alpha','text':'why','reason':null,'bytes_before':5,"
		    "'bytes_after':6}");
	assert_json(report_event(&reload),
		    "{'number':4,'time_us':5,'kind':'reload','guest':null,"
		    "'text':'done','reason':null,'bytes_before':null,'bytes_after':null}");
}

static void fill_status(struct manager *manager)
{
	manager->status.rounds = 10;
	manager->status.started_us = 11;
	manager->status.late_us = 12;
	manager->status.late_max_us = 13;
	manager->status.step_us = 14;
	manager->status.trigger = true;
	manager->status.host = (struct policy_host){ .total_bytes = 20,
						     .available_bytes = 21,
						     .free_bytes = 22,
						     .cache_bytes = 23,
						     .swap_used_bytes = 24,
						     .pressure = 0.25,
						     .reserved_bytes = 25,
						     .critical = true };
	manager->status.outcome = (struct policy_outcome){
		.budget_bytes = 30, .pool_bytes = 7, .want_bytes = 31, .overcommitted = true
	};
}

static void the_status_is_told_with_each_number_in_its_place(void **state)
{
	struct manager *manager = *state;

	fill_status(manager);
	assert_json(report_status(&manager->status),
		    "{'version':'" AEROSTAT_VERSION "','policy':'aerostat','started_us':11,"
		    "'rounds':10,'late_us':12,'late_max_us':13,'step_us':14,'trigger':true,"
		    "'recording':false,'host':{'total_bytes':20,'available_bytes':21,"
		    "'free_bytes':22,'cache_bytes':23,'swap_used_bytes':24,'pressure':0.25,"
		    "'reserved_bytes':25,'critical':true},'budget_bytes':30,'usable_bytes':30,'in_"
		    "reserve_bytes':37,"
		    "'want_bytes':31,"
		    "'overcommitted':true,'to_restore':0,'guests':[],'reservations':[],'limits':[],"
		    "'problems':[]}");
}

static void before_the_first_round_nothing_is_known_of_the_host(void **state)
{
	struct manager *manager = *state;
	json_t *json;

	fill_status(manager);
	manager->status.rounds = 0;
	json = report_status(&manager->status);
	assert_key(json, "budget_bytes", "null");
	assert_key(json, "want_bytes", "null");
	assert_key(json_object_get(json, "host"), "available_bytes", "null");
	json_decref(json);
}

static void the_status_lists_guests_reservations_and_problems(void **state)
{
	static const char *const sources[] = { "d", "a", "e", "c", "b" };
	struct manager *manager = *state;
	json_t *json, *guests;

	manager_add(manager, "alpha", "qmp:/a");
	manager_add(manager, "beta", "qmp:/b");
	manager_add_reservation(manager, 5, 100);
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
		g_hash_table_insert(manager->status.problems, (char *)sources[i], (char *)"gone");
	json = report_status(&manager->status);
	guests = json_object_get(json, "guests");
	assert_int_equal(json_array_size(guests), 2);
	assert_key(json_array_get(guests, 1), "name", "'beta'");
	assert_null(json_object_get(json_array_get(guests, 1), "history"));
	assert_key(json_array_get(json_object_get(json, "reservations"), 0), "id", "5");
	assert_key(json, "problems",
		   "[{'source':'a','text':'gone'},{'source':'b','text':'gone'},"
		   "{'source':'c','text':'gone'},{'source':'d','text':'gone'},"
		   "{'source':'e','text':'gone'}]");
	json_decref(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_is_told_with_each_number_in_its_place),
		TEST(words_follow_the_states),
		TEST(a_size_that_nobody_holds_is_not_told),
		TEST(what_is_not_known_is_null_never_a_number),
		TEST(a_number_that_no_guest_has_is_null),
		TEST(a_guest_that_never_told_statistics_has_none),
		TEST(a_guest_that_has_not_answered_has_no_numbers),
		TEST(names_that_are_not_utf_8_are_told_all_the_same),
		TEST(one_guest_alone_is_told_with_its_history_the_newest_first),
		TEST(a_reservation_counts_its_seconds_down_to_0),
		TEST(an_event_is_told_with_its_sizes_or_null),
		TEST(the_status_is_told_with_each_number_in_its_place),
		TEST(before_the_first_round_nothing_is_known_of_the_host),
		TEST(the_status_lists_guests_reservations_and_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
