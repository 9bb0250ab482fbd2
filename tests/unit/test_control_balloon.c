/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's commands and events. */
#include "tests/unit/control_rig.h"

#include "tests/hang.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define UNSET "18446744073709551615"
#define BACKEND "/machine/peripheral/balloon0/virtio-backend"

/*
 * The balloon
 */

static void without_memory_the_balloon_is_not_active(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"query-balloon\"}", "\"class\": \"DeviceNotActive\"");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 1048576}}",
		 "\"class\": \"DeviceNotActive\"");
	ask(rig, "{\"execute\": \"query-memory-size-summary\"}",
	    "{\"return\": {\"base-memory\": 0, \"plugged-memory\": 0}}");
}

static void the_target_is_set_and_clamped(void **state)
{
	struct rig *rig = *state;
	struct balloon_info info;

	ask(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 33554432}}",
	    "{\"return\": {}}");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, 32 * MIB);
	ask(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 9223372036854775807}}",
	    "{\"return\": {}}");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, RAM);
}

static void a_target_of_nothing_is_refused(void **state)
{
	struct rig *rig = *state;
	struct balloon_info info;

	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 0}}", "GenericError");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": -1}}", "GenericError");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, RAM);
}

static void actual_is_what_the_driver_says(void **state)
{
	struct rig *rig = *state;

	driver_says_balloon_holds(rig, 256);
	hear(rig, rig->fd);
	ask(rig, "{\"execute\": \"query-balloon\"}", "{\"return\": {\"actual\": 66060288}}");
	ask(rig, "{\"execute\": \"query-memory-size-summary\"}",
	    "{\"return\": {\"base-memory\": 67108864, \"plugged-memory\": 0}}");
}

static void a_change_is_told_at_once_and_the_last_one_in_the_end(void **state)
{
	struct rig *rig = *state;
	struct control_event_state *event = &rig->control->events.kinds[CONTROL_BALLOON_CHANGE];
	uint64_t start_ns = loop_now_ns();

	driver_says_balloon_holds(rig, 256);
	hear(rig, rig->fd);
	assert_true(event->next_ns >= start_ns + NS_PER_S);
	event->next_ns = loop_now_ns() + HANG_NS; /* however slow this machine is */
	expect_part(rig, "{\"timestamp\": {\"seconds\": ");
	expect_part(rig, "\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 66060288}}");
	driver_says_balloon_holds(rig, 512);
	driver_says_balloon_holds(rig, 1024);
	assert_true(hears_nothing(rig, rig->fd));
	assert_int_equal(rig->control->events.timer.due_ns, event->next_ns);
	/* As if one second had passed. */
	event->next_ns = rig->control->events.timer.due_ns = loop_now_ns();
	hear(rig, rig->fd);
	expect_part(rig, "\"data\": {\"actual\": 62914560}}");
	assert_true(hears_nothing(rig, rig->fd));
	assert_int_equal(rig->control->events.timer.due_ns, LOOP_NEVER);
}

static void a_pull_is_reported_at_once_and_again_after_50_ms(void **state)
{
	struct rig *rig = *state;
	struct control_event_state *event = &rig->control->events.kinds[CONTROL_X_PULL];
	uint64_t start_ns = loop_now_ns();

	control_report_event(rig->control, BALLOON_EVENT_PULL);
	hear(rig, rig->fd);
	expect_part(rig,
		    "\"event\": \"X_PULL\", \"data\": {\"size\": 67108864, \"waiting\": false}}");
	assert_in_range(event->next_ns - start_ns, NS_PER_S / 20, NS_PER_S / 20 + HANG_NS);
	control_report_event(rig->control, BALLOON_EVENT_PULL);
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_PULL\"");
}

static void events_go_to_all_who_negotiated(void **state)
{
	struct rig *rig = *state;
	int ready = connect_ready(rig), greeted = connect_to(rig);

	hear(rig, greeted);
	control_set_vmm_connected(rig->control, true);
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_VMM\", \"data\": {\"connected\": true}");
	hear(rig, ready);
	expect_part(rig, "X_VMM");
	assert_true(hears_nothing(rig, greeted));
	close(ready);
	close(greeted);
}

static void with_nobody_listening_an_event_wakes_nobody(void **state)
{
	struct rig *rig = *state;

	close(rig->fd);
	rig->fd = -1;
	while (rig->control->clients.slots[0])
		assert_int_equal(loop_round(rig->loop, 1000000), 0);
	driver_says_balloon_holds(rig, 256);
	assert_int_equal(rig->control->events.timer.due_ns, LOOP_NEVER);
}

/*
 * The object tree and statistics
 */

static void the_balloon_is_found_as_in_qemu(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/peripheral\"}}",
	    "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, "
	    "{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}]}");
	ask_part(rig,
		 "{\"execute\": \"qom-list\", \"arguments\": "
		 "{\"path\": \"/machine/peripheral/balloon0\"}}",
		 "{\"name\": \"virtio-backend\", \"type\": \"child<virtio-balloon-device>\"}");
	ask_part(rig,
		 "{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/elsewhere\"}}",
		 "\"class\": \"DeviceNotFound\"");
}

#define GET(name)                                                                                  \
	"{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"" BACKEND                          \
	"\", \"property\": \"" name "\"}}"
#define SET(name, value)                                                                           \
	"{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"" BACKEND                          \
	"\", \"property\": \"" name "\", \"value\": " value "}}"

static void properties_say_what_was_offered(void **state)
{
	struct rig *rig = *state;

	ask(rig, GET("deflate-on-oom"), "{\"return\": false}");
	ask(rig, GET("free-page-reporting"), "{\"return\": true}");
	ask_part(rig, GET("nonsense"), "Property 'virtio-balloon-device.nonsense' not found");
	ask_part(rig, SET("deflate-on-oom", "true"), "is read-only");
}

static void without_a_sample_all_is_unset(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, GET("guest-stats"), "{\"return\": {\"stats\": {\"stat-swap-in\": " UNSET);
	for (int i = 0; i < BALLOON_STATS_KNOWN; i++)
		expect_part(rig, balloon_stat_table[i].name);
	expect_part(rig, "}, \"last-update\": 0}}");
}

static void a_sample_comes_with_the_time_it_came(void **state)
{
	struct rig *rig = *state;
	time_t before = time(NULL), update;
	const char *text;

	driver_gives_stats(rig, 0, 123456789);
	hear(rig, rig->fd); /* X_DRIVER */
	ask_part(rig, GET("guest-stats"), "\"stat-free-memory\": 123456789");
	expect_part(rig, "\"stat-total-memory\": " UNSET);
	text = strstr(rig->line, "\"last-update\": ");
	assert_non_null(text);
	update = atoll(text + strlen("\"last-update\": "));
	assert_true(update >= before - 1 && update <= time(NULL));
}

static void polling_asks_at_once_and_then_each_interval(void **state)
{
	struct rig *rig = *state;
	uint64_t start_ns = loop_now_ns();

	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd); /* X_DRIVER */
	assert_int_equal(stats_returned(rig), 0);
	ask(rig, SET("guest-stats-polling-interval", "600"), "{\"return\": {}}");
	ask(rig, GET("guest-stats-polling-interval"), "{\"return\": 600}");
	assert_int_equal(stats_returned(rig), 1);
	driver_gives_stats(rig, 1, 2);
	assert_int_equal(stats_returned(rig), 1);
	assert_true(rig->control->samples.timer.due_ns >= start_ns + 600 * NS_PER_S);
	assert_true(rig->control->samples.timer.due_ns <= loop_now_ns() + 600 * NS_PER_S);
	/* As if ten minutes had passed. */
	rig->control->samples.timer.due_ns = loop_now_ns();
	assert_int_equal(loop_round(rig->loop, 0), 0);
	assert_int_equal(loop_round(rig->loop, 0), 0);
	assert_int_equal(stats_returned(rig), 2);
	ask(rig, SET("guest-stats-polling-interval", "0"), "{\"return\": {}}");
	assert_int_equal(rig->control->samples.timer.due_ns, LOOP_NEVER);
}

static void an_interval_that_is_none_is_refused(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, SET("guest-stats-polling-interval", "-1"), "greater than zero");
	ask_part(rig, SET("guest-stats-polling-interval", "4294967296"), "too big");
	ask_part(rig, SET("guest-stats-polling-interval", "\"1\""), "expected: integer");
	ask(rig, GET("guest-stats-polling-interval"), "{\"return\": 0}");
}

static void the_status_tells_of_a_driver(void **state)
{
	struct rig *rig = *state;
	static const char request[] =
		"{\"execute\": \"x-query-virtio-status\", \"arguments\": {\"path\": \"" BACKEND
		"\"}}";

	ask_part(rig, request, "\"statuses\": []");
	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_DRIVER\", \"data\": {\"ready\": true}");
	ask_part(rig, request, "DRIVER_OK");
}

/*
 * The rest
 */

static void the_guest_runs_while_a_vmm_is_there(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"query-status\"}",
	    "{\"return\": {\"status\": \"prelaunch\", \"running\": false}}");
	control_set_vmm_connected(rig->control, true);
	hear(rig, rig->fd);
	ask(rig, "{\"execute\": \"query-status\"}",
	    "{\"return\": {\"status\": \"running\", \"running\": true}}");
}

static void quit_is_answered_and_told(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"quit\"}", "{\"return\": {}}");
	assert_int_equal(rig->quits, 1);
}

static void every_command_is_listed_and_helped(void **state)
{
	struct rig *rig = *state;
	char name[64];

	for (size_t i = 0; i < control_command_count; i++) {
		snprintf(name, sizeof(name), "{\"name\": \"%s\"}", control_commands[i].name);
		ask_part(rig, "{\"execute\": \"query-commands\"}", name);
		ask_part(rig, "{\"execute\": \"x-help\"}", control_commands[i].help);
	}
}

static void every_counter_is_told(void **state)
{
	struct rig *rig = *state;

	say(rig->fd, "{\"execute\": \"x-query-counters\"}");
	hear(rig, rig->fd);
	for (int i = 0; i < BALLOON_C_COUNT; i++)
		expect_part(rig, balloon_counter_table[i].name);
}

static void the_balloon_tells_all_about_itself(void **state)
{
	struct rig *rig = *state;

	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd);
	ask_part(rig, "{\"execute\": \"x-query-balloon\"}", "\"max\": 67108864, ");
	expect_part(rig, "\"transport\": \"vfio-user\"");
	expect_part(rig, "\"driver-ready\": true");
	expect_part(rig, "\"acknowledged\": [\"stats\", \"version-1\"]");
	expect_part(rig, "\"memory\": {\"anonymous\": 67108864}, \"regions\": 1");
	expect_part(rig, "\"hinting\": \"stopped\"");
}

static void an_audit_is_started_and_its_end_told(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"x-query-audit\"}", "\"age-ms\": null");
	ask(rig, "{\"execute\": \"x-audit\"}", "{\"return\": {}}");
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_AUDIT\", \"data\": {\"running\": false, ");
	ask_part(rig, "{\"execute\": \"x-query-audit\"}", "\"resident-pages\": 0");
}

static void reporting_is_switched(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"x-set-reporting\", \"arguments\": {\"enable\": false}}",
	    "{\"return\": {}}");
	assert_false(balloon_reporting(rig->balloon));
	ask(rig, "{\"execute\": \"x-set-reporting\", \"arguments\": {\"enable\": true}}",
	    "{\"return\": {}}");
	assert_true(balloon_reporting(rig->balloon));
}

static void hinting_without_a_driver_is_refused(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"x-hint\", \"arguments\": {\"action\": \"start\"}}",
		 "hinting cannot start now: it is stopped");
	ask_part(rig, "{\"execute\": \"x-hint\", \"arguments\": {\"action\": \"go\"}}",
		 "start, stop or done, not 'go'");
}

static void a_credit_is_set_shown_and_taken_away(void **state)
{
	struct rig *rig = *state;
	const char *query = "{\"execute\": \"x-query-balloon\"}";

	assert_true(balloon_set_features(rig->balloon, BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |
							       BALLOON_BIT(VIRTIO_F_VERSION_1)));
	ask_part(rig, query,
		 "\"gate\": {\"credit\": null, \"ceiling\": null, \"allowed\": null, "
		 "\"waiting\": false}");
	ask(rig,
	    "{\"execute\": \"x-set-credit\", \"arguments\": {\"credit\": 0, \"ceiling\": "
	    "33554432}}",
	    "{\"return\": {}}");
	ask_part(rig, query, "\"gate\": {\"credit\": 0, \"ceiling\": 33554432, ");
	ask(rig, "{\"execute\": \"x-set-credit\"}", "{\"return\": {}}");
	ask_part(rig, query, "\"gate\": {\"credit\": null, ");
}

static void a_negative_credit_is_refused(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"x-set-credit\", \"arguments\": {\"credit\": -1}}",
		 "Parameter 'credit' expects a size");
	ask_part(rig,
		 "{\"execute\": \"x-set-credit\", \"arguments\": {\"credit\": 1, \"ceiling\": -1}}",
		 "Parameter 'ceiling' expects a size");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(without_memory_the_balloon_is_not_active),
		WITH_RAM(the_target_is_set_and_clamped),
		WITH_RAM(a_target_of_nothing_is_refused),
		WITH_RAM(actual_is_what_the_driver_says),
		WITH_RAM(a_change_is_told_at_once_and_the_last_one_in_the_end),
		WITH_RAM(a_pull_is_reported_at_once_and_again_after_50_ms),
		WITH_RAM(a_credit_is_set_shown_and_taken_away),
		WITH_RAM(a_negative_credit_is_refused),
		BARE(events_go_to_all_who_negotiated),
		WITH_RAM(with_nobody_listening_an_event_wakes_nobody),
		BARE(the_balloon_is_found_as_in_qemu),
		BARE(properties_say_what_was_offered),
		BARE(without_a_sample_all_is_unset),
		WITH_RAM(a_sample_comes_with_the_time_it_came),
		WITH_RAM(polling_asks_at_once_and_then_each_interval),
		BARE(an_interval_that_is_none_is_refused),
		WITH_RAM(the_status_tells_of_a_driver),
		BARE(the_guest_runs_while_a_vmm_is_there),
		BARE(quit_is_answered_and_told),
		BARE(every_command_is_listed_and_helped),
		BARE(every_counter_is_told),
		WITH_RAM(the_balloon_tells_all_about_itself),
		WITH_RAM(an_audit_is_started_and_its_end_told),
		BARE(reporting_is_switched),
		BARE(hinting_without_a_driver_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
