/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Appends the numbers of events: "1 2 3 ". */
static void note(const struct event *event, void *data)
{
	g_string_append_printf(data, "%d ", (int)event->number);
}

static void add(struct events *events, enum event_kind kind)
{
	events_add(events, kind, "alpha", 1, 2, "event of %s", "alpha");
}

static void numbers_begin_at_one_and_have_no_gap(void **state)
{
	struct events *events = events_new();
	g_autoptr(GString) told = g_string_new(NULL);

	(void)state;
	events_listen(events, note, told);
	for (int i = 0; i < 3; i++)
		add(events, EVENT_TARGET);
	assert_string_equal(told->str, "1 2 3 ");
	events_free(events);
}

static void compare_with_what_was_added(const struct event *event, void *data)
{
	int64_t *began_us = data;

	assert_int_equal(event->kind, EVENT_MODE);
	assert_string_equal(event->guest, "beta");
	assert_string_equal(event->text, "beta is held");
	assert_int_equal(event->bytes_before, 7);
	assert_int_equal(event->bytes_after, 8);
	assert_true(event->time_us >= *began_us);
	*began_us = 0;
}

static void an_event_says_what_was_added(void **state)
{
	struct events *events = events_new();
	int64_t began_us = g_get_real_time();

	(void)state;
	events_listen(events, compare_with_what_was_added, &began_us);
	events_add(events, EVENT_MODE, "beta", 7, 8, "%s is held", "beta");
	assert_int_equal(began_us, 0);
	events_free(events);
}

static void an_event_of_the_host_has_no_guest(void **state)
{
	struct events *events = events_new();
	g_autoptr(GString) told = g_string_new(NULL);

	(void)state;
	events_add(events, EVENT_RELOAD, NULL, 0, 0, "reloaded");
	events_replay(events, 0, note, told);
	assert_string_equal(told->str, "1 ");
	events_free(events);
}

static void a_replay_begins_after_a_number(void **state)
{
	struct events *events = events_new();
	g_autoptr(GString) told = g_string_new(NULL);

	(void)state;
	for (int i = 0; i < 5; i++)
		add(events, EVENT_TARGET);
	events_replay(events, 3, note, told);
	assert_string_equal(told->str, "4 5 ");
	events_replay(events, 5, note, told);
	events_replay(events, UINT64_MAX, note, told);
	assert_string_equal(told->str, "4 5 ");
	events_free(events);
}

static void count(const struct event *event, void *data)
{
	uint64_t *numbers = data;

	numbers[0] = numbers[0] ? numbers[0] : event->number;
	numbers[1] = event->number;
	numbers[2]++;
}

static void only_the_last_thousand_are_kept(void **state)
{
	struct events *events = events_new();
	uint64_t numbers[3] = { 0 }; /* first, last, how many */

	(void)state;
	for (int i = 0; i < EVENTS_KEPT + 7; i++)
		add(events, EVENT_TARGET);
	events_replay(events, 0, count, numbers);
	assert_int_equal(numbers[0], 8);
	assert_int_equal(numbers[1], EVENTS_KEPT + 7);
	assert_int_equal(numbers[2], EVENTS_KEPT);
	events_free(events);
}

static void kinds_are_counted_apart_and_for_good(void **state)
{
	struct events *events = events_new();

	(void)state;
	for (int i = 0; i < EVENTS_KEPT + 7; i++)
		add(events, EVENT_TARGET);
	add(events, EVENT_ALARM);
	assert_int_equal(events_count(events, EVENT_TARGET), EVENTS_KEPT + 7);
	assert_int_equal(events_count(events, EVENT_ALARM), 1);
	assert_int_equal(events_count(events, EVENT_RELOAD), 0);
	events_free(events);
}

static void who_left_is_told_no_more(void **state)
{
	struct events *events = events_new();
	g_autoptr(GString) a = g_string_new(NULL), b = g_string_new(NULL);
	guint id = events_listen(events, note, a);

	(void)state;
	events_listen(events, note, b);
	add(events, EVENT_TARGET);
	events_unlisten(events, id);
	events_unlisten(events, 4711);
	add(events, EVENT_TARGET);
	assert_string_equal(a->str, "1 ");
	assert_string_equal(b->str, "1 2 ");
	events_free(events);
}

/* Listeners that come and go while an event is passed on. */
struct crowd {
	struct events *events;
	GString *first, *second, *late;
	guint first_id, second_id;
	bool done;
};

static void leave_and_bring_others(const struct event *event, void *data)
{
	struct crowd *crowd = data;

	note(event, crowd->first);
	if (crowd->done)
		return;
	crowd->done = true;
	events_unlisten(crowd->events, crowd->first_id);
	events_unlisten(crowd->events, crowd->second_id);
	for (int i = 0; i < 64; i++)
		events_listen(crowd->events, note, crowd->late);
}

static void listeners_may_come_and_go_while_one_is_told(void **state)
{
	struct crowd crowd = { .events = events_new(),
			       .first = g_string_new(NULL),
			       .second = g_string_new(NULL),
			       .late = g_string_new(NULL) };

	(void)state;
	crowd.first_id = events_listen(crowd.events, leave_and_bring_others, &crowd);
	crowd.second_id = events_listen(crowd.events, note, crowd.second);
	add(crowd.events, EVENT_TARGET);
	assert_string_equal(crowd.first->str, "1 ");
	assert_string_equal(crowd.second->str, "");
	/* A listener added in the call gets that event by its replay, not by the call. */
	assert_string_equal(crowd.late->str, "");
	add(crowd.events, EVENT_TARGET);
	assert_string_equal(crowd.first->str, "1 ");
	assert_int_equal(crowd.late->len, 64 * strlen("2 "));
	g_string_free(crowd.first, TRUE);
	g_string_free(crowd.second, TRUE);
	g_string_free(crowd.late, TRUE);
	events_free(crowd.events);
}

static void add_many_more(const struct event *event, void *data)
{
	struct events *events = data;

	if (event->number == 1)
		for (int i = 0; i < 2 * EVENTS_KEPT; i++)
			add(events, EVENT_TARGET);
	/* Still valid, though far more events came since than are kept. */
	assert_string_equal(event->text, "event of alpha");
}

static void a_listener_may_add_events(void **state)
{
	struct events *events = events_new();
	uint64_t numbers[3] = { 0 };

	(void)state;
	events_listen(events, add_many_more, events);
	add(events, EVENT_TARGET);
	events_replay(events, 0, count, numbers);
	assert_int_equal(numbers[1], 2 * EVENTS_KEPT + 1);
	assert_int_equal(numbers[2], EVENTS_KEPT);
	events_free(events);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		assert_non_null(event_kind_name(kind));
		for (int other = 0; other < kind; other++)
			assert_string_not_equal(event_kind_name(kind), event_kind_name(other));
	}
	assert_string_equal(event_kind_name(EVENT_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_begin_at_one_and_have_no_gap),
		cmocka_unit_test(an_event_says_what_was_added),
		cmocka_unit_test(an_event_of_the_host_has_no_guest),
		cmocka_unit_test(a_replay_begins_after_a_number),
		cmocka_unit_test(only_the_last_thousand_are_kept),
		cmocka_unit_test(kinds_are_counted_apart_and_for_good),
		cmocka_unit_test(who_left_is_told_no_more),
		cmocka_unit_test(listeners_may_come_and_go_while_one_is_told),
		cmocka_unit_test(a_listener_may_add_events),
		cmocka_unit_test(every_kind_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
