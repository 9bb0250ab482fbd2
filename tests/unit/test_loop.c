/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's event loop, with eventfds; only the tests of timers depend on time. */
#include "io/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define MS UINT64_C(1000000)

/* An eventfd that is always readable, unless a test says otherwise. */
struct probe {
	struct loop_source source;
	struct loop *loop;
	struct probe *victim; /* is removed by this one's callback */
	unsigned int turns;
};

static void take_turn(struct loop_source *source, uint32_t events)
{
	struct probe *probe = CONTAINER(source, struct probe, source);

	assert_true(events & EPOLLIN);
	probe->turns++;
	if (probe->victim)
		loop_remove(probe->loop, &probe->victim->source);
}

static void open_probe(struct probe *probe, struct loop *loop, unsigned int value)
{
	*probe = (struct probe){ .loop = loop };
	probe->source.fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
	probe->source.ready = take_turn;
	assert_true(probe->source.fd >= 0);
	assert_int_equal(loop_add(loop, &probe->source, EPOLLIN), 0);
}

static void close_probe(struct probe *probe)
{
	loop_remove(probe->loop, &probe->source);
	close(probe->source.fd);
}

static int setup(void **state)
{
	*state = loop_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static void a_source_is_told_while_it_is_ready(void **state)
{
	struct probe probe;
	uint64_t value;

	open_probe(&probe, *state, 1);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 2);
	assert_int_equal(read(probe.source.fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 2);
	close_probe(&probe);
}

static void a_source_is_told_only_of_what_it_asked_for(void **state)
{
	struct probe probe;

	open_probe(&probe, *state, 1);
	assert_int_equal(loop_change(*state, &probe.source, 0), 0);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 0);
	assert_int_equal(loop_change(*state, &probe.source, EPOLLIN), 0);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 1);
	close_probe(&probe);
}

static void a_removed_source_has_no_turn_in_the_same_round(void **state)
{
	struct probe first, second;

	open_probe(&first, *state, 1);
	open_probe(&second, *state, 1);
	first.victim = &second;
	second.victim = &first;
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(first.turns + second.turns, 1);
	close_probe(&first);
	close_probe(&second);
}

static void a_source_may_remove_itself_and_come_back(void **state)
{
	struct probe probe;

	open_probe(&probe, *state, 1);
	probe.victim = &probe;
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 1);
	assert_false(probe.source.added);
	assert_int_equal(loop_add(*state, &probe.source, EPOLLIN), 0);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(probe.turns, 2);
	close_probe(&probe);
}

static void sources_are_bounded(void **state)
{
	struct probe *probes = calloc(LOOP_SOURCES_MAX + 1, sizeof(*probes));
	struct loop_source one_more;

	for (int i = 0; i < LOOP_SOURCES_MAX; i++)
		open_probe(&probes[i], *state, 0);
	one_more = probes[0].source;
	assert_int_equal(loop_add(*state, &one_more, EPOLLIN), -ENOSPC);
	close_probe(&probes[0]);
	open_probe(&probes[0], *state, 0);
	for (int i = 0; i < LOOP_SOURCES_MAX; i++)
		close_probe(&probes[i]);
	free(probes);
}

static void a_source_that_cannot_be_watched_is_refused(void **state)
{
	struct loop_source source = { .fd = -1, .ready = take_turn };

	assert_int_equal(loop_add(*state, &source, EPOLLIN), -EBADF);
	assert_false(source.added);
	loop_remove(*state, &source);
}

struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	unsigned int rings;
	bool again; /* at once */
	struct alarm *victim;
};

static void ring(struct loop_timer *timer)
{
	struct alarm *alarm = CONTAINER(timer, struct alarm, timer);

	assert_int_equal(timer->due_ns, LOOP_NEVER);
	alarm->rings++;
	if (alarm->again)
		timer->due_ns = 0;
	if (alarm->victim)
		loop_remove_timer(alarm->loop, &alarm->victim->timer);
}

static struct alarm new_alarm(struct loop *loop, uint64_t due_ns)
{
	return (struct alarm){ .timer = { .due_ns = due_ns, .due = ring }, .loop = loop };
}

static void a_timer_rings_once_and_not_early(void **state)
{
	uint64_t due_ns = loop_now_ns() + 3 * MS;
	struct alarm alarm = new_alarm(*state, due_ns);

	loop_add_timer(*state, &alarm.timer);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_true(alarm.rings == 0 || loop_now_ns() >= due_ns);
	while (!alarm.rings)
		assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_true(loop_now_ns() >= due_ns);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(alarm.rings, 1);
	loop_remove_timer(*state, &alarm.timer);
}

static void sleeping_until_a_timer_takes_one_round(void **state)
{
	struct alarm alarm = new_alarm(*state, LOOP_NEVER);

	loop_add_timer(*state, &alarm.timer);
	/* Less than a millisecond, the unit of epoll_wait(). */
	alarm.timer.due_ns = loop_now_ns() + MS * 9 / 10;
	assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_int_equal(alarm.rings, 1);
}

static void a_timer_set_to_now_rings_once_a_round(void **state)
{
	struct alarm alarm = new_alarm(*state, 0);

	alarm.again = true;
	loop_add_timer(*state, &alarm.timer);
	assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_int_equal(alarm.rings, 1);
	assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_int_equal(alarm.rings, 2);
}

static void a_timer_may_remove_another_that_is_due(void **state)
{
	struct alarm first = new_alarm(*state, 1), second = new_alarm(*state, 2);

	first.victim = &second;
	loop_add_timer(*state, &second.timer);
	loop_add_timer(*state, &first.timer);
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(first.rings, 1);
	assert_int_equal(second.rings, 0);
}

static void a_timer_added_twice_is_there_once(void **state)
{
	struct alarm twice = new_alarm(*state, LOOP_NEVER), other = new_alarm(*state, LOOP_NEVER);

	loop_add_timer(*state, &twice.timer);
	loop_add_timer(*state, &other.timer);
	loop_add_timer(*state, &twice.timer);
	loop_remove_timer(*state, &twice.timer);
	twice.timer.due_ns = other.timer.due_ns = 0;
	assert_int_equal(loop_round(*state, 0), 0);
	assert_int_equal(twice.rings, 0);
	assert_int_equal(other.rings, 1);
}

struct work {
	struct loop *loop;
	unsigned int left, steps;
	uint64_t then_ns;
};

static uint64_t work_a_step(void *data)
{
	struct work *work = data;

	work->steps++;
	if (work->left && --work->left)
		return 0;
	return work->then_ns;
}

static void work_and_sockets_take_turns(void **state)
{
	struct work work = { .left = 100, .then_ns = LOOP_NEVER };
	struct probe probe;

	open_probe(&probe, *state, 1);
	loop_set_work(*state, work_a_step, &work);
	for (int i = 0; i < 100; i++)
		assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_int_equal(work.steps, 100);
	assert_int_equal(probe.turns, 100);
	close_probe(&probe);
}

static void work_is_called_again_when_it_wants(void **state)
{
	struct work work = { .then_ns = 2 * MS };
	uint64_t began_ns = loop_now_ns();

	loop_set_work(*state, work_a_step, &work);
	assert_int_equal(loop_round(*state, LOOP_NEVER), 0);
	assert_true(loop_now_ns() - began_ns >= 2 * MS);
}

static uint64_t quit_at_once(void *data)
{
	loop_quit(data);
	return LOOP_NEVER;
}

static void quit_ends_the_run_without_sleeping(void **state)
{
	loop_set_work(*state, quit_at_once, *state);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(loop_run(*state), 0);
}

static uint64_t quit_in_the_second_step(void *data)
{
	struct work *work = data;

	if (++work->steps == 2)
		loop_quit(work->loop);
	return 0;
}

static void a_loop_that_was_quit_runs_again(void **state)
{
	struct work work = { .loop = *state };

	loop_quit(*state);
	assert_int_equal(loop_run(*state), 0);
	loop_set_work(*state, quit_in_the_second_step, &work);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(work.steps, 2);
}

static void quit_before_the_run_counts(void **state)
{
	loop_quit(*state);
	assert_int_equal(loop_run(*state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_source_is_told_while_it_is_ready, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_source_is_told_only_of_what_it_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_removed_source_has_no_turn_in_the_same_round,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_source_may_remove_itself_and_come_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sources_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_source_that_cannot_be_watched_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_timer_rings_once_and_not_early, setup, teardown),
		cmocka_unit_test_setup_teardown(sleeping_until_a_timer_takes_one_round, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_timer_set_to_now_rings_once_a_round, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_timer_may_remove_another_that_is_due, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_timer_added_twice_is_there_once, setup, teardown),
		cmocka_unit_test_setup_teardown(work_and_sockets_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(work_is_called_again_when_it_wants, setup,
						teardown),
		cmocka_unit_test_setup_teardown(quit_ends_the_run_without_sleeping, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_loop_that_was_quit_runs_again, setup, teardown),
		cmocka_unit_test_setup_teardown(quit_before_the_run_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
