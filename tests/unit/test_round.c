/* SPDX-License-Identifier: BSD-3-Clause */
/* When rounds are opened, by a clock of the test's own; there are no guests to ask. */
#include "aerostatd/round.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000)
#define TIMERS 8

struct timer {
	guint id; /* 0: it is free */
	int64_t due_us;
	GSourceFunc fn;
	gpointer data;
};

static struct {
	int64_t now_us;
	guint last_id;
	struct timer timers[TIMERS];
	char *folder;
	struct config *config;
	struct manager_status status;
	struct guests *guests;
	struct reservations *reservations;
	struct recorder *recorder;
	struct round *round;
	int64_t again_us; /* what the policy asks for; 0: nothing */
} rig;

guint __wrap_g_timeout_add(guint interval_ms, GSourceFunc fn, gpointer data);
gboolean __wrap_g_source_remove(guint id);
gint64 __wrap_g_get_monotonic_time(void);

guint __wrap_g_timeout_add(guint interval_ms, GSourceFunc fn, gpointer data)
{
	for (int i = 0; i < TIMERS; i++) {
		struct timer *timer = &rig.timers[i];

		if (timer->id)
			continue;
		*timer = (struct timer){ ++rig.last_id, rig.now_us + interval_ms * MS, fn, data };
		return timer->id;
	}
	fail_msg("more than %d timers", TIMERS);
	return 0;
}

gboolean __wrap_g_source_remove(guint id)
{
	for (int i = 0; i < TIMERS; i++)
		if (rig.timers[i].id == id)
			rig.timers[i].id = 0;
	return TRUE;
}

gint64 __wrap_g_get_monotonic_time(void)
{
	return rig.now_us;
}

/* The next timer that is due by then; NULL if there is none. */
static struct timer *find_due_timer(int64_t until_us)
{
	struct timer *next = NULL;

	for (int i = 0; i < TIMERS; i++) {
		struct timer *timer = &rig.timers[i];

		if (timer->id && timer->due_us <= until_us &&
		    (!next || timer->due_us < next->due_us))
			next = timer;
	}
	return next;
}

/* Returns how many rounds have closed meanwhile. */
static unsigned int let_pass(int64_t us)
{
	int64_t until_us = rig.now_us + us;
	uint64_t before = rig.status.rounds;
	struct timer *timer;

	while ((timer = find_due_timer(until_us))) {
		struct timer due = *timer;

		rig.now_us = due.due_us;
		timer->id = 0;
		assert_false(due.fn(due.data)); /* none of these repeats */
	}
	rig.now_us = until_us;
	return (unsigned int)(rig.status.rounds - before);
}

static int step_and_ask_again(struct policy_state *state, const struct policy_host *host,
			      const struct policy_guest *guests, size_t count,
			      struct policy_decision *decisions, struct policy_outcome *outcome)
{
	int code = policy_aerostat.step(state, host, guests, count, decisions, outcome);

	outcome->again_us = rig.again_us;
	return code;
}

static int set_up(void **state)
{
	static struct policy_ops policy;

	(void)state;
	rig.now_us = 1000 * G_USEC_PER_SEC;
	rig.again_us = 0;
	policy = policy_aerostat;
	policy.step = step_and_ask_again;
	rig.folder = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	rig.config = config_load("/dev/null", NULL);
	assert_non_null(rig.config);
	rig.config->policy = &policy;
	rig.status = (struct manager_status){ .config = rig.config, .events = events_new() };
	rig.guests = guests_new(rig.folder, NULL, NULL, NULL);
	rig.reservations = reservations_new(rig.status.events);
	rig.recorder = recorder_new();
	rig.round = round_new(&(struct round_context){
		.proc = "/proc",
		.policy_clock = 1,
		.status = &rig.status,
		.guests = rig.guests,
		.reservations = rig.reservations,
		.recorder = rig.recorder,
	});
	/* The first tick is early, and the others come once per second. */
	assert_int_equal(let_pass(150 * MS), 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	round_free(rig.round);
	recorder_free(rig.recorder);
	reservations_free(rig.reservations);
	guests_free(rig.guests);
	events_free(rig.status.events);
	config_free(rig.config);
	g_rmdir(rig.folder);
	g_free(rig.folder);
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(rig.timers[i].id, 0);
	return 0;
}

static void a_round_is_opened_once_per_second(void **state)
{
	(void)state;
	assert_int_equal(let_pass(5 * G_USEC_PER_SEC), 5);
}

static void a_round_that_is_asked_for_is_opened_at_once(void **state)
{
	(void)state;
	let_pass(500 * MS);
	round_hurry(rig.round);
	assert_int_equal(let_pass(1 * MS), 1);
}

/* The last one was 50 ms ago. */
static void a_round_that_is_asked_for_too_early_is_opened_late_rather_than_never(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		round_hurry(rig.round);
	assert_int_equal(let_pass(190 * MS), 0);
	assert_int_equal(let_pass(20 * MS), 1);
	assert_int_equal(let_pass(500 * MS), 0);
}

static void one_that_is_asked_for_while_one_is_open_follows_it(void **state)
{
	(void)state;
	let_pass(500 * MS);
	round_hurry(rig.round); /* opens it */
	round_hurry(rig.round);
	assert_int_equal(let_pass(1 * MS), 1);
	assert_int_equal(let_pass(300 * MS), 1);
}

/* The policy wants the next one later than whoever is in a hurry. */
static void a_hurry_is_not_put_off_until_a_later_round_that_is_planned(void **state)
{
	(void)state;
	rig.again_us = rig.now_us + 800 * MS;
	let_pass(400 * MS);
	round_hurry(rig.round);
	assert_int_equal(let_pass(1 * MS), 1);
	round_hurry(rig.round);
	assert_int_equal(let_pass(251 * MS), 1);
}

static void the_policy_is_asked_again_when_it_wants(void **state)
{
	(void)state;
	let_pass(500 * MS);
	rig.again_us = rig.now_us + 300 * MS;
	round_hurry(rig.round);
	assert_int_equal(let_pass(1 * MS), 1);
	rig.again_us = 0;
	assert_int_equal(let_pass(298 * MS), 0);
	assert_int_equal(let_pass(5 * MS), 1);
}

static void after_its_end_no_round_is_opened(void **state)
{
	(void)state;
	round_hurry(rig.round);
	round_stop(rig.round);
	round_hurry(rig.round);
	assert_int_equal(let_pass(5 * G_USEC_PER_SEC), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_round_is_opened_once_per_second),
		TEST(a_round_that_is_asked_for_is_opened_at_once),
		TEST(a_round_that_is_asked_for_too_early_is_opened_late_rather_than_never),
		TEST(one_that_is_asked_for_while_one_is_open_follows_it),
		TEST(a_hurry_is_not_put_off_until_a_later_round_that_is_planned),
		TEST(the_policy_is_asked_again_when_it_wants),
		TEST(after_its_end_no_round_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
