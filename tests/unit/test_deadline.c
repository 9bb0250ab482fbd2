/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that are given up at a deadline: which thread frees the data. */
#include "hypervisor/deadline.h"

#include "tests/hang.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define SHORT_US 20000

/* What a test and its work function share. */
struct stage {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open; /* the work may end */
	int ran;
	int freed;
};

#define STAGE                                                                                      \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER             \
	}

struct task {
	struct stage *stage;
	int answer;
};

static struct task *task_new(struct stage *stage)
{
	struct task *task = g_new0(struct task, 1);

	task->stage = stage;
	return task;
}

static void task_free(void *data)
{
	struct task *task = data;
	struct stage *stage = task->stage;

	g_free(task);
	pthread_mutex_lock(&stage->lock);
	stage->freed++;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

/* Waits until the stage is open. */
static void work_when_open(void *data)
{
	struct task *task = data;
	struct stage *stage = task->stage;

	pthread_mutex_lock(&stage->lock);
	stage->ran++;
	while (!stage->open)
		pthread_cond_wait(&stage->changed, &stage->lock);
	pthread_mutex_unlock(&stage->lock);
	task->answer = 42;
}

static void open_stage(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	stage->open = true;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void wait_until_freed(struct stage *stage, int count)
{
	int64_t deadline = g_get_monotonic_time() + HANG_US;

	pthread_mutex_lock(&stage->lock);
	while (stage->freed < count)
		assert_true(deadline_wait(&stage->changed, &stage->lock, deadline));
	pthread_mutex_unlock(&stage->lock);
}

static void test_done_in_time_leaves_data_to_the_caller(void **state)
{
	struct stage stage = STAGE;
	struct task *task = task_new(&stage);

	(void)state;
	stage.open = true;
	assert_int_equal(
		deadline_call(g_get_monotonic_time() + HANG_US, work_when_open, task, task_free),
		DEADLINE_DONE);
	assert_int_equal(task->answer, 42);
	assert_int_equal(stage.freed, 0);
	task_free(task);
}

static void test_too_late_returns_at_the_deadline_and_the_thread_frees(void **state)
{
	struct stage stage = STAGE;
	int64_t deadline = g_get_monotonic_time() + SHORT_US;

	(void)state;
	assert_int_equal(deadline_call(deadline, work_when_open, task_new(&stage), task_free),
			 DEADLINE_LATE);
	assert_true(g_get_monotonic_time() >= deadline);
	open_stage(&stage);
	wait_until_freed(&stage, 1);
	assert_int_equal(stage.freed, 1);
}

static void test_past_deadline_runs_nothing_and_frees(void **state)
{
	struct stage stage = STAGE;

	(void)state;
	assert_int_equal(
		deadline_call(g_get_monotonic_time(), work_when_open, task_new(&stage), task_free),
		DEADLINE_LATE);
	assert_int_equal(stage.ran, 0);
	assert_int_equal(stage.freed, 1);
}

static void test_a_stuck_call_does_not_delay_another(void **state)
{
	struct stage stuck = STAGE;
	struct stage free_stage = STAGE;
	struct task *task = task_new(&free_stage);

	(void)state;
	free_stage.open = true;
	assert_int_equal(deadline_call(g_get_monotonic_time() + SHORT_US, work_when_open,
				       task_new(&stuck), task_free),
			 DEADLINE_LATE);
	assert_int_equal(
		deadline_call(g_get_monotonic_time() + HANG_US, work_when_open, task, task_free),
		DEADLINE_DONE);
	task_free(task);
	open_stage(&stuck);
	wait_until_freed(&stuck, 1);
}

static void work_on_a_closed_pipe(void *data)
{
	struct task *task = data;
	int ends[2];

	if (pipe(ends) == 0) {
		close(ends[0]);
		task->answer = write(ends[1], "x", 1) < 0 ? errno : 0;
		close(ends[1]);
	}
}

static void test_a_broken_pipe_does_not_end_the_program(void **state)
{
	struct stage stage = STAGE;
	struct task *task = task_new(&stage);

	(void)state;
	assert_int_equal(deadline_call(g_get_monotonic_time() + HANG_US, work_on_a_closed_pipe,
				       task, task_free),
			 DEADLINE_DONE);
	assert_int_equal(task->answer, EPIPE);
	task_free(task);
}

static void work_of_random_length(void *data)
{
	struct task *task = data;

	g_usleep(g_random_int_range(0, 200));
	task->answer = 42;
}

/* Work that ends close to its deadline is freed exactly once, by either thread. */
static void test_ending_at_the_deadline_frees_once(void **state)
{
	struct stage stage = STAGE;
	int calls = 2000;

	(void)state;
	for (int i = 0; i < calls; i++) {
		struct task *task = task_new(&stage);

		if (deadline_call(g_get_monotonic_time() + 150, work_of_random_length, task,
				  task_free) == DEADLINE_DONE) {
			assert_int_equal(task->answer, 42);
			task_free(task);
		}
	}
	wait_until_freed(&stage, calls);
	assert_int_equal(stage.freed, calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done_in_time_leaves_data_to_the_caller),
		cmocka_unit_test(test_too_late_returns_at_the_deadline_and_the_thread_frees),
		cmocka_unit_test(test_past_deadline_runs_nothing_and_frees),
		cmocka_unit_test(test_a_stuck_call_does_not_delay_another),
		cmocka_unit_test(test_a_broken_pipe_does_not_end_the_program),
		cmocka_unit_test(test_ending_at_the_deadline_frees_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
