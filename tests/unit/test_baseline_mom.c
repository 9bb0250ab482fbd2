/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/baseline_rig.h"

/* One guest of 1000 and one decision, with so much of the host's 10000 free or cache. */
static uint64_t decide(uint64_t host_free, uint64_t min, uint64_t max, uint64_t guest_free)
{
	struct rig rig = rig_start(&policy_mom, 0);
	uint64_t target;

	rig_guest(&rig, min, max, 1000, guest_free);
	rig.host.free_bytes = host_free / 2 * MIB;
	rig.host.cache_bytes = host_free / 2 * MIB;
	rig_step(&rig);
	target = rig_target(&rig, 0);
	rig_end(&rig);
	return target;
}

static void shrinks_by_a_twentieth_below_a_fifth(void **state)
{
	(void)state;
	assert_int_equal(decide(1000, 256, 2048, 600), 950);
	assert_int_equal(decide(1998, 256, 2048, 600), 950);
	assert_int_equal(decide(1000, 980, 2048, 600), 980);
}

/* used 880, of the tenth that is free to the host it keeps a tenth of its own: 980. */
static void keeps_free_what_the_host_has_free(void **state)
{
	(void)state;
	assert_int_equal(decide(1000, 256, 2048, 120), 980);
	assert_int_equal(decide(1000, 256, 2048, 90), 1000); /* 1010: not smaller */
}

/* p = 0.04: g = −0.01, so 980 used is 970. */
static void takes_what_is_used_when_critical(void **state)
{
	(void)state;
	assert_int_equal(decide(400, 256, 2048, 20), 970);
	assert_int_equal(decide(500, 256, 2048, 20), 980); /* p = 0.05: g = 0 */
}

static void grows_by_a_twentieth_or_to_a_fifth_free(void **state)
{
	(void)state;
	assert_int_equal(decide(3000, 256, 2048, 600), 1050);
	assert_int_equal(decide(3000, 256, 2048, 20), 1180);
	assert_int_equal(decide(3000, 256, 1100, 20), 1100);
	assert_int_equal(decide(2000, 256, 2048, 600), 1050); /* a fifth is not below it */
}

static void a_quarter_of_a_percent_is_not_set(void **state)
{
	(void)state;
	assert_int_equal(decide(3000, 256, 1002, 20), 1000);
	assert_int_equal(decide(3000, 256, 1003, 20), 1003);
	assert_int_equal(decide(1000, 998, 2048, 600), 1000);
	assert_int_equal(decide(1000, 997, 2048, 600), 997);
}

/* Free was 200, 100 and 0: 100 on average, 900 used, and a fifth of 1000. */
static void decides_on_averages_of_five_seconds_every_ten(void **state)
{
	struct rig rig = rig_start(&policy_mom, 0);

	(void)state;
	rig_guest(&rig, 256, 2048, 1000, 200);
	rig.host.free_bytes = 3000 * MIB;
	rig_step(&rig);
	for (uint64_t second = 1; second <= 10; second++) {
		rig.host.now_us += SECOND;
		/* What is between the samples is not seen. */
		rig.guests[0].free_bytes = second % 5 ? 900 * MIB : (200 - 20 * second) * MIB;
		rig_step(&rig);
		if (second < 10)
			assert_int_equal(rig_target(&rig, 0), 1000);
	}
	assert_int_equal(rig_target(&rig, 0), 1100);
	rig_end(&rig);
}

/* After 45 s with 0 free and 5 with 500, ten samples are 450 and 50: the first is forgotten. */
static void forgets_after_ten_samples(void **state)
{
	struct rig rig = rig_start(&policy_mom, 0);

	(void)state;
	rig_guest(&rig, 256, 4096, 1000, 1000);
	rig.host.free_bytes = 3000 * MIB;
	for (int sample = 0; sample <= 10; sample++) {
		rig_step(&rig);
		rig.guests[0].free_bytes = 0;
		rig.host.now_us += 5 * SECOND;
	}
	assert_int_equal(rig_target(&rig, 0), 1200);
	rig_end(&rig);
}

static void a_budget_stands_for_the_host(void **state)
{
	struct rig rig = rig_start(&policy_mom, 1100); /* p = 0.09 */

	(void)state;
	rig_guest(&rig, 256, 2048, 1000, 600);
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 950);
	rig_end(&rig);
}

static void histories_follow_the_guests(void **state)
{
	struct rig rig = rig_start(&policy_mom, 0);

	(void)state;
	rig_guest(&rig, 256, 2048, 1000, 600);
	rig_guest(&rig, 256, 2048, 1000, 20);
	rig.host.free_bytes = 3000 * MIB;
	rig_step(&rig);
	rig.guests[0] = rig.guests[1]; /* the first is gone */
	rig.count = 1;
	rig.host.now_us += 10 * SECOND;
	rig_step(&rig);
	assert_int_equal(rig_target(&rig, 0), 1180);
	rig_end(&rig);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_mom);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shrinks_by_a_twentieth_below_a_fifth),
		cmocka_unit_test(keeps_free_what_the_host_has_free),
		cmocka_unit_test(takes_what_is_used_when_critical),
		cmocka_unit_test(grows_by_a_twentieth_or_to_a_fifth_free),
		cmocka_unit_test(a_quarter_of_a_percent_is_not_set),
		cmocka_unit_test(decides_on_averages_of_five_seconds_every_ten),
		cmocka_unit_test(forgets_after_ten_samples),
		cmocka_unit_test(a_budget_stands_for_the_host),
		cmocka_unit_test(histories_follow_the_guests),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
