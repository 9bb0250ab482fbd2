/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate: deflations that nobody asked for wait while the guest is beyond its credit. */
#include "tests/unit/device_rig.h"

#define RAM_MIB 64
#define BALLOON_MIB 48 /* of it, in the balloon at the start */
#define PAGES_MIB (MIB / PAGE)
#define STEP_MIB 4 /* what the tests deflate at a time, in one buffer */
#define WAIT (500 * MS)
#define CEILING_WAIT (5000 * MS)
#define LIFETIME (UINT64_C(60000) * MS)

/* A guest whose balloon is as large as its target asks for. */
static struct device_rig *full_rig(uint64_t features)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = features });

	balloon_set_target(rig->balloon, (RAM_MIB - BALLOON_MIB) * MIB);
	rig_inflate(rig, 0, BALLOON_MIB * PAGES_MIB);
	rig_settle(rig);
	return rig;
}

static void set_credit(struct device_rig *rig, uint64_t credit_mib, uint64_t ceiling_mib)
{
	balloon_set_credit(rig->balloon, credit_mib * MIB, ceiling_mib * MIB, LIFETIME);
}

/* Sends a deflation of the next STEP_MIB, from page number *@pfn, and lets the device work. */
static void pull(struct device_rig *rig, uint32_t *pfn)
{
	uint32_t pfns[STEP_MIB * PAGES_MIB];

	for (unsigned int i = 0; i < STEP_MIB * PAGES_MIB; i++)
		pfns[i] = (*pfn)++;
	rig_send_pfns(rig, BALLOON_DEFLATE, pfns, STEP_MIB * PAGES_MIB);
	rig_kick(rig, BALLOON_DEFLATE);
	rig_work(rig);
	rig_collect(rig, BALLOON_DEFLATE);
}

static unsigned int waiting(struct device_rig *rig)
{
	rig_work(rig);
	rig_collect(rig, BALLOON_DEFLATE);
	return rig_outstanding(rig, BALLOON_DEFLATE);
}

static void without_a_credit_nothing_waits(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_GATE_WAITS), 0);
	rig_free(rig);
}

static void within_its_credit_nothing_waits(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 2 * STEP_MIB, RAM_MIB);
	pull(rig, &pfn);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	rig_free(rig);
}

static void a_buffer_that_waits_has_had_no_effect(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, BALLOON_MIB * MIB);
	assert_int_equal(rig_count(rig, BALLOON_C_DEFLATED_PAGES), 0);
	rig_pass(rig, WAIT);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, (BALLOON_MIB - STEP_MIB) * MIB);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void the_wait_ends_after_half_a_second(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(rig_work(rig), WAIT);
	rig_pass(rig, WAIT - MS);
	assert_int_equal(waiting(rig), 1);
	rig_pass(rig, MS);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_GATE_WAITS), 1);
	assert_int_equal(rig_count(rig, BALLOON_C_GATE_TIMEOUTS), 1);
	rig_free(rig);
}

static void after_a_wait_16_mib_may_pass(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	rig_pass(rig, WAIT);
	for (int i = 0; i < 3; i++)
		pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	rig_free(rig);
}

static void at_its_ceiling_it_waits_ten_times_as_long(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, RAM_MIB, RAM_MIB - BALLOON_MIB + STEP_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	pull(rig, &pfn);
	rig_pass(rig, CEILING_WAIT - MS);
	assert_int_equal(waiting(rig), 1);
	rig_pass(rig, MS);
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

/* Takes back until the gate is closed; returns after how long it is open again. */
static uint64_t wait_at_ceiling(struct device_rig *rig, uint32_t *pfn)
{
	uint64_t waited = 0;

	while (!waiting(rig))
		pull(rig, pfn);
	for (; waiting(rig); waited += 100 * MS) {
		rig_pass(rig, 100 * MS);
		set_credit(rig, 0, RAM_MIB - BALLOON_MIB); /* a manager's rounds */
	}
	return waited;
}

static void a_driver_that_takes_for_ever_waits_twice_as_long_each_time(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB - BALLOON_MIB);
	for (int doublings = 0; doublings < 3; doublings++)
		assert_int_equal(wait_at_ceiling(rig, &pfn), CEILING_WAIT << doublings);
	pull(rig, &pfn);
	set_credit(rig, STEP_MIB, RAM_MIB);
	assert_int_equal(waiting(rig), 0);
	set_credit(rig, 0, RAM_MIB - BALLOON_MIB);
	assert_int_equal(wait_at_ceiling(rig, &pfn), CEILING_WAIT);
	rig_free(rig);
}

static void a_size_that_is_only_claimed_does_not_open_the_gate(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	rig_set_config(rig, RIG_ACTUAL, 0); /* says that it has taken all back */
	assert_int_equal(rig_info(rig).actual_bytes, RAM_MIB * MIB);
	set_credit(rig, 0, RAM_MIB);
	assert_int_equal(rig_info(rig).actual_bytes, (RAM_MIB - BALLOON_MIB) * MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	assert_int_equal(rig_info(rig).actual_bytes, (RAM_MIB - BALLOON_MIB) * MIB);
	rig_pass(rig, WAIT);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_info(rig).actual_bytes, (RAM_MIB - BALLOON_MIB + STEP_MIB) * MIB);
	/* That it has less is believed. */
	rig_set_config(rig, RIG_ACTUAL, (BALLOON_MIB + 1) * PAGES_MIB);
	assert_int_equal(rig_info(rig).actual_bytes, (RAM_MIB - BALLOON_MIB - 1) * MIB);
	rig_free(rig);
}

static void a_new_credit_lets_it_pass_at_once(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	set_credit(rig, STEP_MIB, RAM_MIB);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_GATE_TIMEOUTS), 0);
	rig_free(rig);
}

static void renewing_nothing_does_not_prolong_the_wait(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(waiting(rig), 1);
		rig_pass(rig, WAIT / 10);
		set_credit(rig, 0, RAM_MIB);
	}
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void what_the_host_asks_for_does_not_wait(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB - BALLOON_MIB);
	balloon_set_target(rig->balloon, (RAM_MIB - BALLOON_MIB + 2 * STEP_MIB) * MIB);
	pull(rig, &pfn);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig->events[BALLOON_EVENT_PULL], 0);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	rig_free(rig);
}

static void a_raised_target_ends_the_wait(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	balloon_set_target(rig->balloon, RAM_MIB * MIB);
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void a_page_that_moves_takes_nothing(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t from = 0, to = BALLOON_MIB * PAGES_MIB;

	(void)state;
	balloon_set_target(rig->balloon, MIB); /* out of reach */
	set_credit(rig, 0, 2 * MIB);
	for (int i = 0; i < 20; i++, from++, to++) {
		rig_send_pfns(rig, BALLOON_INFLATE, &to, 1);
		rig_send_pfns(rig, BALLOON_DEFLATE, &from, 1);
		rig_kick(rig, BALLOON_INFLATE);
		rig_kick(rig, BALLOON_DEFLATE);
		rig_work(rig);
		rig_collect(rig, BALLOON_INFLATE);
		assert_int_equal(waiting(rig), 0);
	}
	assert_int_equal(rig->events[BALLOON_EVENT_PULL], 0);
	rig_free(rig);
}

static void a_manager_that_is_gone_keeps_nobody_waiting(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	balloon_clear_credit(rig->balloon);
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void a_credit_that_is_not_renewed_runs_out(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	balloon_set_credit(rig->balloon, 0, BALLOON_UNSET, WAIT / 2);
	pull(rig, &pfn);
	assert_int_equal(rig_work(rig), WAIT / 2);
	rig_pass(rig, WAIT / 2);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_GATE_TIMEOUTS), 0);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void a_reset_forgets_what_waits(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, BALLOON_UNSET / MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	rig_reset(rig);
	assert_false(balloon_gate(rig->balloon).waiting);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	/* The guest that boots had all its memory; what its driver takes back does not wait. */
	rig_inflate(rig, 0, STEP_MIB * PAGES_MIB);
	pfn = 0;
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void a_queue_that_stops_hands_on_what_waits(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	unsigned int queue = rig->queues[BALLOON_DEFLATE].number;
	uint32_t pfn = 0, base;

	(void)state;
	base = balloon_queue_stop(rig->balloon, queue);
	rig_start_queues(rig);
	(void)base;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	balloon_queue_stop(rig->balloon, queue);
	rig_pass(rig, WAIT);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	rig_free(rig);
}

static void without_must_tell_host_nothing_waits(void **state)
{
	struct device_rig *rig = full_rig(RIG_MODERN);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB - BALLOON_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 0);
	assert_int_equal(balloon_gate(rig->balloon).credit_bytes, BALLOON_UNSET);
	rig_free(rig);
}

static void a_pull_is_reported_and_counted(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	pull(rig, &pfn);
	assert_int_equal(rig->events[BALLOON_EVENT_PULL], 1);
	assert_int_equal(rig_count(rig, BALLOON_C_PULLED_PAGES), STEP_MIB * PAGES_MIB);
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(rig->events[BALLOON_EVENT_PULL], 2); /* that it waits */
	rig_free(rig);
}

static void other_queues_are_served_meanwhile(void **state)
{
	struct device_rig *rig = full_rig(RIG_TELL);
	uint32_t pfn = 0;

	(void)state;
	set_credit(rig, 0, RAM_MIB);
	pull(rig, &pfn);
	assert_int_equal(waiting(rig), 1);
	rig_inflate(rig, BALLOON_MIB * PAGES_MIB, STEP_MIB * PAGES_MIB);
	/* It has made room for what waited. */
	assert_int_equal(waiting(rig), 0);
	rig_free(rig);
}

static void every_kind_of_ring_can_be_gated(void **state)
{
	static const uint64_t kinds[] = { 0, BALLOON_BIT(VIRTIO_F_RING_PACKED),
					  BALLOON_BIT(VIRTIO_F_RING_EVENT_IDX),
					  BALLOON_BIT(VIRTIO_F_RING_PACKED) |
						  BALLOON_BIT(VIRTIO_F_RING_EVENT_IDX) |
						  BALLOON_BIT(VIRTIO_F_RING_INDIRECT_DESC) };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct device_rig *rig = full_rig(RIG_TELL | kinds[i]);
		uint32_t pfn = 0;

		set_credit(rig, 0, RAM_MIB);
		for (int pulls = 0; pulls < 6; pulls++)
			pull(rig, &pfn);
		assert_int_equal(waiting(rig), 6);
		for (int waits = 0; waits < 2; waits++) {
			rig_pass(rig, WAIT);
			rig_work(rig);
		}
		assert_int_equal(waiting(rig), 0);
		assert_int_equal(rig_count(rig, BALLOON_C_DEFLATED_PAGES), pfn);
		assert_int_equal(rig_faults(rig), 0);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_credit_nothing_waits),
		cmocka_unit_test(within_its_credit_nothing_waits),
		cmocka_unit_test(a_buffer_that_waits_has_had_no_effect),
		cmocka_unit_test(the_wait_ends_after_half_a_second),
		cmocka_unit_test(after_a_wait_16_mib_may_pass),
		cmocka_unit_test(at_its_ceiling_it_waits_ten_times_as_long),
		cmocka_unit_test(a_driver_that_takes_for_ever_waits_twice_as_long_each_time),
		cmocka_unit_test(a_size_that_is_only_claimed_does_not_open_the_gate),
		cmocka_unit_test(a_new_credit_lets_it_pass_at_once),
		cmocka_unit_test(renewing_nothing_does_not_prolong_the_wait),
		cmocka_unit_test(what_the_host_asks_for_does_not_wait),
		cmocka_unit_test(a_raised_target_ends_the_wait),
		cmocka_unit_test(a_page_that_moves_takes_nothing),
		cmocka_unit_test(a_manager_that_is_gone_keeps_nobody_waiting),
		cmocka_unit_test(a_credit_that_is_not_renewed_runs_out),
		cmocka_unit_test(a_reset_forgets_what_waits),
		cmocka_unit_test(a_queue_that_stops_hands_on_what_waits),
		cmocka_unit_test(without_must_tell_host_nothing_waits),
		cmocka_unit_test(a_pull_is_reported_and_counted),
		cmocka_unit_test(other_queues_are_served_meanwhile),
		cmocka_unit_test(every_kind_of_ring_can_be_gated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
