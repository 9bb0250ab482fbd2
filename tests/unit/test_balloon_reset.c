/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends and new beginnings: reset of the device, stop and restart of its queues. */
#include "tests/unit/device_rig.h"

#include "device/state.h"

#define ALL (RIG_TELL | 0x3f)
#define LARGE 60000u /* pages in one buffer: many steps */

static int setup(void **state)
{
	*state = rig_new(&(struct rig_options){ .features = ALL, .ram_bytes = 256 * MIB });
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void send_sample(struct device_rig *rig)
{
	uint64_t gpa = rig_alloc(rig, 10);

	rig_put(rig, gpa, 2, 4);
	rig_put(rig, gpa + 2, 8, 99);
	rig_send_one(rig, BALLOON_STATS, gpa, 10, false);
	rig_kick(rig, BALLOON_STATS);
	rig_work(rig);
}

static void send_large(struct device_rig *rig, enum balloon_queue kind)
{
	static uint32_t pfns[LARGE];

	for (uint32_t i = 0; i < LARGE; i++)
		pfns[i] = i;
	rig_send_pfns(rig, kind, pfns, LARGE);
	rig_kick(rig, kind);
}

/*
 * Reset
 */

/* A late release would destroy the memory of the guest that boots. */
static void a_reset_cancels_what_waits_for_its_release(void **state)
{
	struct device_rig *rig = *state;

	rig_touch(rig, 0, 2 * BLOCK);
	rig_inflate(rig, 0, BLOCK + 100);
	rig_reset(rig);
	rig_settle(rig);
	rig_pass(rig, 1000 * MS);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 2 * BLOCK));
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_CALLS), 0);
}

static void a_reset_empties_the_account(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 700);
	rig_set_config(rig, RIG_ACTUAL, 700);
	rig_settle(rig);
	balloon_reset(rig->balloon);
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	assert_int_equal(rig_info(rig).actual_bytes, 256 * MIB);
	rig_start_driver(rig);
	rig_inflate(rig, 0, 700);
	assert_int_equal(rig_faults(rig), 0);
}

static void a_reset_drops_the_held_statistics_buffer(void **state)
{
	struct device_rig *rig = *state;
	unsigned int interrupts;

	send_sample(rig);
	interrupts = rig->queues[BALLOON_STATS].interrupts;
	balloon_reset(rig->balloon);
	assert_false(balloon_request_stats(rig->balloon));
	assert_int_equal(rig->queues[BALLOON_STATS].interrupts, interrupts);
	rig_start_driver(rig);
	assert_false(balloon_request_stats(rig->balloon));
	send_sample(rig);
	assert_true(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_STATS), 0);
}

static void a_reset_ends_a_round_of_hints_as_done(void **state)
{
	struct device_rig *rig = *state;

	assert_true(balloon_hint_start(rig->balloon));
	balloon_reset(rig->balloon);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_DONE);
	assert_int_equal(rig_config(rig, RIG_HINT_ID), 1);
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 1);
	balloon_reset(rig->balloon);
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 1);
}

/* Who waits for its end must hear of it. */
static void a_reset_ends_an_audit(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 20 * BLOCK);
	rig_settle(rig);
	balloon_audit_start(rig->balloon);
	rig_step(rig);
	rig_reset(rig);
	rig_settle(rig);
	assert_int_equal(rig->events[BALLOON_EVENT_AUDIT], 1);
	assert_false(balloon_audit_result(rig->balloon).running);
}

static void a_reset_keeps_target_statistics_and_counters(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, 100 * MIB);
	send_sample(rig);
	rig_inflate(rig, 0, 5);
	rig_reset(rig);
	assert_int_equal(rig_info(rig).target_bytes, 100 * MIB);
	assert_int_equal(balloon_stats(rig->balloon)->value[4], 99);
	assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), 5);
	assert_int_equal(rig_count(rig, BALLOON_C_RESETS), 1);
}

static void a_reset_forgets_the_poison(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = ALL, .poison = 7, .offered = ALL });

	(void)state;
	assert_int_equal(rig_config(rig, RIG_POISON), 7);
	balloon_reset(rig->balloon);
	assert_int_equal(rig_config(rig, RIG_POISON), 0);
	rig_free(rig);
}

static void a_reset_amid_a_buffer_forgets_it(void **state)
{
	struct device_rig *rig = *state;

	send_large(rig, BALLOON_INFLATE);
	rig_step(rig);
	rig_reset(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	rig_inflate(rig, 3, 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, PAGE);
	assert_int_equal(rig_faults(rig), 0);
}

static void a_reset_forgets_held_inflate_buffers(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = RIG_MODERN });

	(void)state;
	rig_send_range(rig, BALLOON_INFLATE, 0, 8 * BLOCK, 256);
	rig_step(rig);
	assert_int_equal(rig->balloon->inflate.held_count, 16);
	balloon_reset(rig->balloon);
	assert_int_equal(rig->balloon->inflate.held_count, 0);
	rig_start_driver(rig);
	rig_inflate(rig, 0, 8);
	assert_int_equal(rig->queues[BALLOON_INFLATE].returned, 1);
	rig_free(rig);
}

/* What comes after it waits as long as ever. */
static void a_reset_forgets_how_long_pages_have_waited(void **state)
{
	struct device_rig *rig = *state;
	uint32_t pfns[BLOCK];
	uint64_t wait[2];

	for (uint32_t i = 0; i < BLOCK; i++)
		pfns[i] = i;
	for (unsigned int i = 0; i < 2; i++) {
		rig_send_pfns(rig, BALLOON_INFLATE, pfns, BLOCK);
		rig_kick(rig, BALLOON_INFLATE);
		wait[i] = rig_work(rig);
		assert_int_not_equal(wait[i], BALLOON_IDLE);
		rig_pass(rig, wait[i] / 2);
		rig_reset(rig);
	}
	assert_int_equal(wait[0], wait[1]);
}

static void a_reset_is_told_when_there_was_a_driver(void **state)
{
	struct device_rig *rig = *state;

	assert_int_equal(rig->events[BALLOON_EVENT_DRIVER], 1);
	balloon_reset(rig->balloon);
	assert_false(balloon_is_driver_ok(rig->balloon));
	balloon_reset(rig->balloon);
	assert_int_equal(rig->events[BALLOON_EVENT_DRIVER], 2);
}

/*
 * Queues that stop and start
 */

static uint32_t stop(struct device_rig *rig, enum balloon_queue kind)
{
	return balloon_queue_stop(rig->balloon, rig->queues[kind].number);
}

static void restart(struct device_rig *rig, enum balloon_queue kind, uint32_t base)
{
	const struct rig_queue *queue = &rig->queues[kind];
	const struct virtqueue_setup setup = {
		.desc = queue->desc,
		.driver = queue->driver,
		.device = queue->device,
		.size = queue->size,
	};

	assert_int_equal(balloon_queue_start(rig->balloon, queue->number, &setup, &base), 0);
}

static void a_queue_goes_on_where_it_was_stopped(void **state)
{
	static const uint64_t formats[] = { 0, BALLOON_BIT(VIRTIO_F_RING_PACKED) };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct device_rig *rig = rig_new(&(struct rig_options){
			.features = RIG_TELL | formats[i], .queue_size = 4 });

		for (uint32_t round = 0; round < 11; round++) {
			uint32_t base;

			rig_inflate(rig, round, 1);
			base = stop(rig, BALLOON_INFLATE);
			restart(rig, BALLOON_INFLATE, base);
		}
		assert_int_equal(rig_info(rig).ballooned_bytes, 11 * PAGE);
		assert_false(balloon_needs_reset(rig->balloon));
		rig_free(rig);
	}
}

static void a_stopped_queue_takes_nothing(void **state)
{
	struct device_rig *rig = *state;
	uint32_t base = stop(rig, BALLOON_INFLATE);

	rig_send_range(rig, BALLOON_INFLATE, 0, 8, 8);
	balloon_kick(rig->balloon, 0);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 1);
	/* It was there before the queue: no kick comes for it. */
	restart(rig, BALLOON_INFLATE, base);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
}

/* Over vhost-user nothing else shows that the guest owns all its pages again. */
static void nothing_is_released_while_the_inflate_queue_rests(void **state)
{
	struct device_rig *rig = *state;
	uint32_t base;

	rig_touch(rig, 0, 2 * BLOCK);
	rig_inflate(rig, 0, BLOCK + 100);
	base = stop(rig, BALLOON_INFLATE);
	rig_settle(rig);
	rig_pass(rig, 1000 * MS);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	assert_true(rig_intact(rig, 0, 2 * BLOCK));
	restart(rig, BALLOON_INFLATE, base);
	rig_settle(rig);
	assert_int_equal(rig_resident(rig, 0, 2 * BLOCK), BLOCK - 100);
}

static void a_queue_that_stops_amid_an_inflate_takes_all_of_it(void **state)
{
	struct device_rig *rig = *state;

	send_large(rig, BALLOON_INFLATE);
	rig_step(rig);
	stop(rig, BALLOON_INFLATE);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, (uint64_t)LARGE * PAGE);
}

/* It is acknowledged, so what it names is the guest's. */
static void a_queue_that_stops_amid_a_deflate_takes_all_of_it(void **state)
{
	struct device_rig *rig = *state;

	rig_touch(rig, 0, LARGE);
	send_large(rig, BALLOON_INFLATE);
	while (rig_outstanding(rig, BALLOON_INFLATE))
		rig_step(rig);
	rig_touch(rig, 0, LARGE); /* those that were released already */
	send_large(rig, BALLOON_DEFLATE);
	rig_step(rig);
	stop(rig, BALLOON_DEFLATE);
	assert_int_equal(rig_outstanding(rig, BALLOON_DEFLATE), 0);
	rig_touch(rig, 0, LARGE);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, LARGE));
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
}

/* So none of their pages may be released later, not even when the queue continues. */
static void a_queue_that_stops_returns_held_inflate_buffers_unreleased(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .queue_size = 256 });
	uint32_t base;

	(void)state;
	rig_send_range(rig, BALLOON_INFLATE, 0, 8 * BLOCK, 256);
	rig_step(rig);
	assert_int_equal(rig->balloon->inflate.held_count, 16);
	base = stop(rig, BALLOON_INFLATE);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig->queues[BALLOON_INFLATE].interrupts, 16);
	rig_touch(rig, 0, 8 * BLOCK);
	restart(rig, BALLOON_INFLATE, base);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 8 * BLOCK));
	rig_free(rig);
}

static void a_queue_that_stops_returns_the_statistics_buffer(void **state)
{
	struct device_rig *rig = *state;

	send_sample(rig);
	stop(rig, BALLOON_STATS);
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
	assert_false(balloon_request_stats(rig->balloon));
}

static void a_queue_that_is_started_again_returns_what_was_in_hand(void **state)
{
	struct device_rig *rig = *state;

	send_sample(rig);
	restart(rig, BALLOON_STATS, 1);
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
	send_sample(rig);
	assert_true(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_faults(rig), 0);
}

/* And a setup that is refused changes nothing. */
static void a_queue_that_cannot_be_started_again_goes_on(void **state)
{
	const struct virtqueue_setup wrong = { .size = 3 };
	struct device_rig *rig = *state;

	assert_true(balloon_queue_start(rig->balloon, 0, &wrong, NULL) < 0);
	rig_inflate(rig, 0, 8);
	assert_int_equal(rig_info(rig).ballooned_bytes, 8 * PAGE);
}

static void stopping_what_does_not_run_is_harmless(void **state)
{
	struct device_rig *rig = *state;

	stop(rig, BALLOON_INFLATE);
	stop(rig, BALLOON_INFLATE);
	for (unsigned int queue = 5; queue < 9; queue++)
		assert_int_equal(balloon_queue_stop(rig->balloon, queue), 0);
	balloon_queue_stop(rig->balloon, UINT32_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_reset_cancels_what_waits_for_its_release),
		TEST(a_reset_empties_the_account),
		TEST(a_reset_drops_the_held_statistics_buffer),
		TEST(a_reset_ends_a_round_of_hints_as_done),
		TEST(a_reset_ends_an_audit),
		TEST(a_reset_keeps_target_statistics_and_counters),
		cmocka_unit_test(a_reset_forgets_the_poison),
		TEST(a_reset_amid_a_buffer_forgets_it),
		cmocka_unit_test(a_reset_forgets_held_inflate_buffers),
		TEST(a_reset_forgets_how_long_pages_have_waited),
		TEST(a_reset_is_told_when_there_was_a_driver),
		cmocka_unit_test(a_queue_goes_on_where_it_was_stopped),
		TEST(a_stopped_queue_takes_nothing),
		TEST(nothing_is_released_while_the_inflate_queue_rests),
		TEST(a_queue_that_stops_amid_an_inflate_takes_all_of_it),
		TEST(a_queue_that_stops_amid_a_deflate_takes_all_of_it),
		cmocka_unit_test(a_queue_that_stops_returns_held_inflate_buffers_unreleased),
		TEST(a_queue_that_stops_returns_the_statistics_buffer),
		TEST(a_queue_that_is_started_again_returns_what_was_in_hand),
		TEST(a_queue_that_cannot_be_started_again_goes_on),
		TEST(stopping_what_does_not_run_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
