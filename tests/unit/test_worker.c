/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's worker, against a fake QEMU (fake_qemu.h). */
#include "tests/unit/fake_qemu.h"
#include "tests/unit/run_until.h"

#include "aerostatd/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define PERIOD "qom-set " DEVICE " guest-stats-polling-interval"

static struct {
	struct worker *worker;
	unsigned int samples, errors, sets, failed_sets, restores;
	enum restore_outcome outcome;
	uint64_t max_bytes, actual_bytes, set_bytes;
	int before_period_s;
	char *problem;
} seen;

static void on_sampled(void *data, const struct worker_sample *sample)
{
	(void)data;
	if (sample->error) {
		seen.errors++;
		g_free(seen.problem);
		seen.problem = g_strdup(sample->error->message);
		return;
	}
	seen.samples++;
	seen.max_bytes = sample->info->max_bytes;
	seen.actual_bytes = sample->info->actual_bytes;
	seen.before_period_s = sample->before_period_s;
}

static void on_set(void *data, uint64_t target_bytes, const GError *error)
{
	(void)data;
	seen.sets++;
	seen.failed_sets += error != NULL;
	seen.set_bytes = target_bytes;
}

static void on_restored(void *data, enum restore_outcome outcome, const GError *error)
{
	(void)data;
	assert_int_equal(outcome == RESTORE_FAILED, error != NULL);
	seen.outcome = outcome;
	seen.restores++;
}

static const struct worker_ops ops = { on_sampled, on_set, on_restored };

static void begin(struct fake *fake, bool manage)
{
	seen.worker = worker_new(hv_qmp_open(fake->path), manage, &ops, NULL, NULL);
}

static int set_up(void **state)
{
	memset(&seen, 0, sizeof(seen));
	return fake_setup(state);
}

static int tear_down(void **state)
{
	worker_free(seen.worker);
	g_free(seen.problem);
	return fake_teardown(state);
}

static void ask(void)
{
	unsigned int answers = seen.samples + seen.errors;

	worker_request_sample(seen.worker);
	assert_true(worker_is_busy(seen.worker));
	RUN_UNTIL(seen.samples + seen.errors > answers);
	assert_false(worker_is_busy(seen.worker));
}

static bool was_heard(struct fake *fake, const char *text)
{
	g_autofree char *all = heard(fake);

	return strstr(all, text);
}

static void a_sample_has_the_guests_sizes(void **state)
{
	begin(*state, true);
	ask();
	assert_int_equal(seen.samples, 1);
	assert_true(seen.max_bytes >= seen.actual_bytes && seen.actual_bytes > 0);
}

static void a_managed_guest_answers_every_second_and_its_old_period_is_known(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "qom-get " DEVICE " guest-stats-polling-interval", "\"return\": 7");
	begin(fake, true);
	ask();
	ask();
	assert_true(was_heard(fake, PERIOD "=1"));
	assert_int_equal(seen.before_period_s, 7);
}

/* As over a connection of libvirt that only reads. */
static void a_period_that_was_refused_is_not_to_be_restored(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, PERIOD, REFUSED);
	begin(fake, true);
	ask();
	ask();
	assert_int_equal(seen.samples, 2);
	assert_int_equal(seen.before_period_s, -1);
	will_answer(fake, PERIOD, "\"return\": {}");
	ask();
	assert_int_equal(seen.before_period_s, 2);
}

static void a_period_that_may_have_been_set_is_to_be_restored(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, PERIOD, "\"neither\": 1");
	begin(fake, true);
	ask();
	assert_int_equal(seen.before_period_s, 2);
}

static void the_period_of_an_unmanaged_guest_is_left_alone(void **state)
{
	begin(*state, false);
	ask();
	ask();
	assert_false(was_heard(*state, PERIOD));
	assert_int_equal(seen.before_period_s, -1);
	worker_set_managed(seen.worker, true);
	ask();
	assert_true(was_heard(*state, PERIOD));
}

static void a_target_is_passed_on(void **state)
{
	begin(*state, true);
	worker_request_target(seen.worker, 300 * MIB);
	RUN_UNTIL(seen.sets == 1);
	assert_int_equal(seen.set_bytes, 300 * MIB);
	assert_int_equal(seen.failed_sets, 0);
	assert_true(was_heard(*state, "balloon=314572800"));
	assert_false(worker_is_busy(seen.worker));
}

static void of_targets_that_wait_only_the_newest_is_passed_on(void **state)
{
	struct fake *fake = *state;

	/* Held up in a sample until its deadline. */
	will_answer(fake, "query-balloon", NULL);
	begin(fake, true);
	worker_request_sample(seen.worker);
	RUN_UNTIL(is_held(fake));
	for (unsigned int i = 1; i <= 5; i++)
		worker_request_target(seen.worker, i * 100 * MIB);
	RUN_UNTIL(seen.set_bytes == 500 * MIB);
	/* Two if all five took so long that the sample was given up meanwhile. */
	assert_true(seen.sets <= 2);
	RUN_UNTIL(!worker_is_busy(seen.worker));
}

static void a_refused_target_is_reported(void **state)
{
	will_answer(*state, "balloon", REFUSED);
	begin(*state, true);
	worker_request_target(seen.worker, 300 * MIB);
	RUN_UNTIL(seen.sets == 1);
	assert_int_equal(seen.failed_sets, 1);
}

static void a_stuck_guest_holds_up_no_other(void **state)
{
	struct fake *fake = *state;
	struct worker *stuck =
		worker_new(hv_qmp_open("/nonexistent/stuck.qmp"), true, &ops, NULL, NULL);

	begin(fake, true);
	worker_request_sample(stuck);
	worker_request_sample(seen.worker);
	RUN_UNTIL(seen.errors == 1 && seen.samples == 1);
	worker_free(stuck);
}

static void after_its_end_no_callback_runs(void **state)
{
	struct fake *fake = *state;
	unsigned int before;

	begin(fake, true);
	worker_request_sample(seen.worker);
	worker_request_target(seen.worker, 300 * MIB);
	worker_free(seen.worker);
	before = seen.samples + seen.errors + seen.sets;
	begin(fake, true);
	ask();
	assert_int_equal(seen.samples + seen.errors + seen.sets, before + 1);
}

static struct saved_guest saved_from(const struct fake *fake, bool changed)
{
	return (struct saved_guest){
		.source = (char *)"qmp",
		.address = fake->guest->address,
		.name = (char *)"web 1",
		.pid = getpid(),
		.start_ticks = process_start_ticks(getpid()),
		.before_bytes = 512 * MIB,
		.before_period_s = 3,
		.changed = changed,
		.mode = -1,
		.held_bytes = HV_UNSET,
	};
}

static void a_changed_guest_gets_its_size_and_period_back(void **state)
{
	struct fake *fake = *state;
	const struct saved_guest saved = saved_from(fake, true);

	begin(fake, true);
	worker_request_restore(seen.worker, &saved);
	RUN_UNTIL(seen.restores == 1);
	assert_int_equal(seen.outcome, RESTORE_DONE);
	assert_true(was_heard(fake, "balloon=536870912"));
	assert_true(was_heard(fake, PERIOD "=3"));
}

static void an_unchanged_guest_gets_only_its_period_back(void **state)
{
	struct fake *fake = *state;
	const struct saved_guest saved = saved_from(fake, false);

	begin(fake, true);
	worker_request_restore(seen.worker, &saved);
	RUN_UNTIL(seen.restores == 1);
	assert_int_equal(seen.outcome, RESTORE_DONE);
	assert_true(was_heard(fake, PERIOD "=3"));
	assert_false(was_heard(fake, "balloon="));
}

static void the_guest_of_a_process_that_has_ended_is_gone(void **state)
{
	struct fake *fake = *state;
	struct saved_guest saved = saved_from(fake, true);

	saved.start_ticks--;
	fake_kill(fake);
	begin(fake, true);
	worker_request_restore(seen.worker, &saved);
	RUN_UNTIL(seen.restores == 1);
	assert_int_equal(seen.outcome, RESTORE_GONE);
}

static void a_restore_that_waits_is_cancelled_by_the_end(void **state)
{
	struct fake *fake = *state;
	const struct saved_guest saved = saved_from(fake, true);

	/* Held up in a sample until its deadline. */
	will_answer(fake, "query-status", NULL);
	begin(fake, true);
	worker_request_sample(seen.worker);
	RUN_UNTIL(is_held(fake));
	worker_request_restore(seen.worker, &saved);
	worker_free(seen.worker);
	will_answer(fake, "query-status", "\"return\": {\"status\": \"running\"}");
	begin(fake, true);
	worker_request_sample(seen.worker);
	RUN_UNTIL(seen.samples + seen.errors > 0);
	assert_false(was_heard(fake, "balloon="));
	assert_int_equal(seen.restores, 0);
}

static void a_credit_and_a_trim_are_passed_on(void **state)
{
	begin(*state, true);
	worker_request_trim(seen.worker, 32 * MIB);
	RUN_UNTIL(was_heard(*state, "x-trim=33554432\n"));
	worker_request_credit(seen.worker, 64 * MIB, 512 * MIB);
	RUN_UNTIL(was_heard(*state, "x-set-credit {\"ceiling\":536870912,\"credit\":67108864}\n"));
	ask();
	assert_int_equal(seen.samples, 1);
}

/* Whatever size it is to have. */
static void a_guest_that_is_let_go_has_an_open_gate(void **state)
{
	struct saved_guest saved = {
		.source = (char *)"qmp",
		.address = (char *)"a",
		.name = (char *)"a",
		.before_bytes = HV_UNSET,
		.before_period_s = -1,
		.mode = -1,
		.held_bytes = HV_UNSET,
		.max_bytes = HV_UNSET,
	};
	g_autofree char *all = NULL;

	begin(*state, true);
	worker_request_credit(seen.worker, 0, HV_UNSET);
	RUN_UNTIL(was_heard(*state, "x-set-credit {\"credit\":0}\n"));
	worker_request_credit(seen.worker, 0, HV_UNSET);
	worker_request_restore(seen.worker, &saved);
	RUN_UNTIL(seen.restores == 1);
	all = heard(*state);
	assert_true(g_str_has_suffix(all, "x-set-credit {}\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sample_has_the_guests_sizes),
		TEST(a_managed_guest_answers_every_second_and_its_old_period_is_known),
		TEST(a_period_that_was_refused_is_not_to_be_restored),
		TEST(a_period_that_may_have_been_set_is_to_be_restored),
		TEST(the_period_of_an_unmanaged_guest_is_left_alone),
		TEST(a_target_is_passed_on),
		TEST(of_targets_that_wait_only_the_newest_is_passed_on),
		TEST(a_refused_target_is_reported),
		TEST(a_stuck_guest_holds_up_no_other),
		TEST(after_its_end_no_callback_runs),
		TEST(a_changed_guest_gets_its_size_and_period_back),
		TEST(an_unchanged_guest_gets_only_its_period_back),
		TEST(the_guest_of_a_process_that_has_ended_is_gone),
		TEST(a_restore_that_waits_is_cancelled_by_the_end),
		TEST(a_credit_and_a_trim_are_passed_on),
		TEST(a_guest_that_is_let_go_has_an_open_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
