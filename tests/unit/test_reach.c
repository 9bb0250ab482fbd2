/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's thread, against a fake QEMU (fake_qemu.h). */
#include "tests/unit/fake_qemu.h"

#include "aerostatd/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define PERIOD "qom-set " DEVICE " guest-stats-polling-interval"

static struct {
	struct reach *reach;
	unsigned int samples, errors, sets, failed_sets, releases;
	uint64_t max_bytes, actual_bytes, set_bytes;
	int before_period_s;
	char *problem;
} seen;

static void on_sampled(void *data, const struct reach_sample *sample)
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

static void on_released(void *data, const GError *error)
{
	(void)data;
	(void)error;
	seen.releases++;
}

static const struct reach_ops ops = { on_sampled, on_set, on_released };

/* Runs the default main context until @condition, or fails. */
#define RUN_UNTIL(condition)                                                                       \
	for (int64_t end_ = g_get_monotonic_time() + 60 * G_USEC_PER_SEC; !(condition);) {         \
		if (g_get_monotonic_time() > end_)                                                 \
			fail_msg("waited in vain for %s", #condition);                             \
		if (!g_main_context_iteration(NULL, FALSE))                                        \
			g_usleep(1000);                                                            \
	}

static void begin(struct fake *fake, bool manage)
{
	seen.reach = reach_new(hv_qmp_open(fake->path), manage, &ops, NULL);
}

static int set_up(void **state)
{
	memset(&seen, 0, sizeof(seen));
	return fake_setup(state);
}

static int tear_down(void **state)
{
	reach_free(seen.reach);
	g_free(seen.problem);
	return fake_teardown(state);
}

static void ask(void)
{
	unsigned int answers = seen.samples + seen.errors;

	reach_ask(seen.reach);
	assert_true(reach_busy(seen.reach));
	RUN_UNTIL(seen.samples + seen.errors > answers);
	assert_false(reach_busy(seen.reach));
}

static bool was_heard(struct fake *fake, const char *text)
{
	g_autofree char *all = heard(fake);

	return strstr(all, text);
}

static void a_sample_tells_what_the_guest_is_and_has(void **state)
{
	begin(*state, true);
	ask();
	assert_int_equal(seen.samples, 1);
	assert_true(seen.max_bytes >= seen.actual_bytes && seen.actual_bytes > 0);
}

static void a_managed_guest_answers_every_second_and_how_it_was_is_known(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "qom-get " DEVICE " guest-stats-polling-interval", "\"return\": 7");
	begin(fake, true);
	ask();
	ask();
	assert_true(was_heard(fake, PERIOD "=1"));
	assert_int_equal(seen.before_period_s, 7);
}

static void the_period_of_one_that_is_only_looked_at_is_left_alone(void **state)
{
	begin(*state, false);
	ask();
	ask();
	assert_false(was_heard(*state, PERIOD));
	assert_int_equal(seen.before_period_s, -1);
	reach_manage(seen.reach, true);
	ask();
	assert_true(was_heard(*state, PERIOD));
}

static void a_target_is_passed_on(void **state)
{
	begin(*state, true);
	reach_set(seen.reach, 300 * MIB);
	RUN_UNTIL(seen.sets == 1);
	assert_int_equal(seen.set_bytes, 300 * MIB);
	assert_int_equal(seen.failed_sets, 0);
	assert_true(was_heard(*state, "balloon=314572800"));
	assert_false(reach_busy(seen.reach));
}

static void of_targets_that_wait_only_the_newest_is_passed_on(void **state)
{
	struct fake *fake = *state;

	/* Held up in a sample until its deadline. */
	will_answer(fake, "query-balloon", NULL);
	begin(fake, true);
	reach_ask(seen.reach);
	for (unsigned int i = 1; i <= 5; i++)
		reach_set(seen.reach, i * 100 * MIB);
	RUN_UNTIL(seen.set_bytes == 500 * MIB);
	assert_true(seen.sets <= 2);
	RUN_UNTIL(!reach_busy(seen.reach));
}

static void a_target_that_is_refused_is_told(void **state)
{
	will_answer(*state, "balloon", REFUSED);
	begin(*state, true);
	reach_set(seen.reach, 300 * MIB);
	RUN_UNTIL(seen.sets == 1);
	assert_int_equal(seen.failed_sets, 1);
}

static void a_stuck_guest_holds_up_no_other(void **state)
{
	struct fake *fake = *state;
	struct reach *stuck = reach_new(hv_qmp_open("/nonexistent/stuck.qmp"), true, &ops, NULL);

	begin(fake, true);
	reach_ask(stuck);
	reach_ask(seen.reach);
	RUN_UNTIL(seen.errors == 1 && seen.samples == 1);
	reach_free(stuck);
}

static void after_its_end_nothing_is_told(void **state)
{
	struct fake *fake = *state;
	unsigned int told;

	begin(fake, true);
	reach_ask(seen.reach);
	reach_set(seen.reach, 300 * MIB);
	reach_free(seen.reach);
	told = seen.samples + seen.errors + seen.sets;
	begin(fake, true);
	ask();
	assert_int_equal(seen.samples + seen.errors + seen.sets, told + 1);
}

static void released_it_gets_its_size_and_period_back(void **state)
{
	struct fake *fake = *state;

	begin(fake, true);
	reach_release(seen.reach, 512 * MIB, 3);
	RUN_UNTIL(was_heard(fake, "balloon=536870912") || seen.releases);
	RUN_UNTIL(seen.releases == 1);
	assert_true(was_heard(fake, PERIOD "=3"));
}

static void released_unchanged_it_gets_only_its_period_back(void **state)
{
	struct fake *fake = *state;

	begin(fake, true);
	reach_release(seen.reach, HV_UNSET, 3);
	RUN_UNTIL(seen.releases == 1);
	assert_true(was_heard(fake, PERIOD "=3"));
	assert_false(was_heard(fake, "balloon="));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sample_tells_what_the_guest_is_and_has),
		TEST(a_managed_guest_answers_every_second_and_how_it_was_is_known),
		TEST(the_period_of_one_that_is_only_looked_at_is_left_alone),
		TEST(a_target_is_passed_on),
		TEST(of_targets_that_wait_only_the_newest_is_passed_on),
		TEST(a_target_that_is_refused_is_told),
		TEST(a_stuck_guest_holds_up_no_other),
		TEST(after_its_end_nothing_is_told),
		TEST(released_it_gets_its_size_and_period_back),
		TEST(released_unchanged_it_gets_only_its_period_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
