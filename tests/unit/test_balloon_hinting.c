/* SPDX-License-Identifier: BSD-3-Clause */
/* Free page hinting: rounds and their ids, and that a hint is never more than that. */
#include "tests/unit/device_rig.h"

#define HINTS (RIG_MODERN | BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT))
#define STOP 0
#define DONE 1

struct sink {
	uint64_t gpa, bytes;
	unsigned int hints;
};

static struct sink sink;

static void take_hint(void *data, uint64_t gpa, uint64_t size)
{
	struct sink *into = data;

	into->gpa = gpa;
	into->bytes += size;
	into->hints++;
}

static struct device_rig *new_rig(uint64_t features, bool big_endian)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = features, .big_endian = big_endian });

	sink = (struct sink){ 0 };
	balloon_set_hint_sink(rig->balloon, take_hint, &sink);
	return rig;
}

static int setup(void **state)
{
	*state = new_rig(HINTS, false);
	return 0;
}

static int setup_big_endian(void **state)
{
	*state = new_rig(HINTS & ~RIG_MODERN, true);
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* The driver sends an id, or hints at memory. */
static void says(struct device_rig *rig, uint32_t id)
{
	uint64_t gpa = rig_alloc(rig, 4);

	rig_put(rig, gpa, 4, id);
	rig_send_one(rig, BALLOON_FREE_PAGE, gpa, 4, false);
	rig_kick(rig, BALLOON_FREE_PAGE);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_FREE_PAGE), 0);
}

static void hints(struct device_rig *rig, uint64_t gpa, uint32_t size)
{
	rig_send_one(rig, BALLOON_FREE_PAGE, gpa, size, true);
	rig_kick(rig, BALLOON_FREE_PAGE);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_FREE_PAGE), 0);
}

static uint32_t starts(struct device_rig *rig)
{
	assert_true(balloon_hint_start(rig->balloon));
	return rig_config(rig, RIG_HINT_ID);
}

static uint32_t runs(struct device_rig *rig)
{
	uint32_t id = starts(rig);

	says(rig, id);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_RUNNING);
	return id;
}

static void the_id_is_stop_until_a_round_is_asked_for(void **state)
{
	struct device_rig *rig = *state;

	assert_int_equal(rig_config(rig, RIG_HINT_ID), STOP);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_STOPPED);
}

static void a_round_has_an_id_of_2_or_more_and_the_driver_is_told(void **state)
{
	struct device_rig *rig = *state;

	assert_true(starts(rig) >= 2);
	assert_int_equal(rig->config_interrupts, 1);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_REQUESTED);
}

static void no_id_is_used_twice(void **state)
{
	struct device_rig *rig = *state;
	uint32_t before = 0;

	for (unsigned int i = 0; i < 5; i++) {
		uint32_t id = runs(rig);

		assert_true(id > before);
		before = id;
		if (i % 2)
			balloon_hint_stop(rig->balloon);
		else
			says(rig, STOP);
		if (i == 3)
			rig_reset(rig);
	}
}

static void a_round_goes_from_its_id_to_stop_to_done(void **state)
{
	struct device_rig *rig = *state;
	uint32_t id = runs(rig);

	hints(rig, 4 * MIB, 2 * MIB);
	assert_int_equal(sink.gpa, 4 * MIB);
	assert_int_equal(sink.bytes, 2 * MIB);
	assert_int_equal(rig_count(rig, BALLOON_C_HINTED_BYTES), 2 * MIB);
	says(rig, STOP);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_ENDED);
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 1);
	/* The driver keeps the pages until nobody needs its hints any more. */
	assert_int_equal(rig_config(rig, RIG_HINT_ID), id);
	assert_true(balloon_hint_done(rig->balloon));
	assert_int_equal(rig_config(rig, RIG_HINT_ID), DONE);
	assert_int_equal(rig->config_interrupts, 2);
	assert_false(balloon_hint_done(rig->balloon));
	assert_int_equal(rig_faults(rig), 0);
}

static void hints_before_the_id_are_ignored(void **state)
{
	struct device_rig *rig = *state;
	uint32_t id;

	hints(rig, 0, MIB);
	id = starts(rig);
	hints(rig, 0, MIB);
	says(rig, id + 1);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_HINT), 1);
	hints(rig, 0, MIB);
	assert_int_equal(sink.hints, 0);
}

static void hints_of_another_id_are_ignored(void **state)
{
	struct device_rig *rig = *state;
	uint32_t id = runs(rig);

	hints(rig, 0, MIB);
	says(rig, id + 1);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_HINT), 1);
	hints(rig, MIB, MIB);
	assert_int_equal(sink.bytes, MIB);
	says(rig, id);
	hints(rig, 2 * MIB, MIB);
	assert_int_equal(sink.bytes, 2 * MIB);
	assert_int_equal(sink.gpa, 2 * MIB);
}

/* The device has begun another round, of which the driver does not know yet. */
static void hints_of_the_round_before_are_ignored_and_no_fault(void **state)
{
	struct device_rig *rig = *state;
	uint32_t old = runs(rig), id;

	assert_true(balloon_hint_stop(rig->balloon));
	id = starts(rig);
	hints(rig, 0, MIB);
	says(rig, old);
	hints(rig, 0, MIB);
	says(rig, STOP);
	assert_int_equal(sink.hints, 0);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_REQUESTED);
	says(rig, id);
	hints(rig, 0, MIB);
	assert_int_equal(sink.hints, 1);
	assert_int_equal(rig_faults(rig), 0);
}

static void hints_after_stop_or_done_are_ignored(void **state)
{
	struct device_rig *rig = *state;

	runs(rig);
	assert_true(balloon_hint_stop(rig->balloon));
	assert_int_equal(rig_config(rig, RIG_HINT_ID), STOP);
	hints(rig, 0, MIB);
	assert_true(balloon_hint_done(rig->balloon));
	hints(rig, 0, MIB);
	runs(rig);
	says(rig, STOP);
	hints(rig, 0, MIB);
	assert_int_equal(sink.hints, 0);
}

static void hinted_memory_is_never_altered(void **state)
{
	struct device_rig *rig = *state;

	rig_touch(rig, 0, 512);
	runs(rig);
	hints(rig, 0, 2 * MIB);
	says(rig, STOP);
	balloon_hint_done(rig->balloon);
	hints(rig, 0, 2 * MIB);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 512));
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_CALLS), 0);
}

static void an_end_by_the_host_is_told_once(void **state)
{
	struct device_rig *rig = *state;

	runs(rig);
	assert_true(balloon_hint_stop(rig->balloon));
	assert_false(balloon_hint_stop(rig->balloon));
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 1);
	balloon_hint_done(rig->balloon);
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 1);
	runs(rig);
	balloon_hint_done(rig->balloon);
	assert_int_equal(rig->events[BALLOON_EVENT_HINTS], 2);
}

static void one_round_at_a_time(void **state)
{
	struct device_rig *rig = *state;

	starts(rig);
	assert_false(balloon_hint_start(rig->balloon));
	says(rig, rig_config(rig, RIG_HINT_ID));
	assert_false(balloon_hint_start(rig->balloon));
	says(rig, STOP);
	assert_true(balloon_hint_start(rig->balloon));
}

static void an_id_that_is_said_again_changes_nothing(void **state)
{
	struct device_rig *rig = *state;
	uint32_t id = runs(rig);

	says(rig, id);
	hints(rig, 0, MIB);
	assert_int_equal(sink.hints, 1);
	assert_int_equal(rig_faults(rig), 0);
}

static void an_id_of_the_wrong_length_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);
	uint32_t id = starts(rig);

	rig_put(rig, gpa, 4, id);
	for (uint32_t length = 1; length <= 8; length++) {
		if (length == 4)
			continue;
		rig_send_one(rig, BALLOON_FREE_PAGE, gpa, length, false);
		rig_kick(rig, BALLOON_FREE_PAGE);
		rig_work(rig);
	}
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_LENGTH), 7);
	assert_int_equal(balloon_hinting(rig->balloon), BALLOON_HINT_REQUESTED);
	assert_int_equal(rig_outstanding(rig, BALLOON_FREE_PAGE), 0);
}

static void a_hint_outside_ram_is_refused(void **state)
{
	struct device_rig *rig = *state;

	runs(rig);
	hints(rig, RIG_NOWHERE, PAGE);
	hints(rig, RIG_RAM_BYTES - PAGE, 2 * PAGE);
	hints(rig, UINT64_MAX - 1, 4);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_MEMORY), 3);
	assert_int_equal(sink.hints, 0);
}

/* The id and the first hints may come in one chain, whose order is that of its descriptors. */
static void an_id_and_hints_may_come_in_one_chain(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 4);
	const struct rig_chain chain = {
		.segments = { { gpa, 4, false }, { 0, MIB, true }, { 2 * MIB, MIB, true } },
		.count = 3,
	};

	rig_put(rig, gpa, 4, starts(rig));
	rig_send(rig, BALLOON_FREE_PAGE, &chain);
	rig_kick(rig, BALLOON_FREE_PAGE);
	rig_work(rig);
	assert_int_equal(sink.hints, 2);
	assert_int_equal(sink.bytes, 2 * MIB);
}

static void the_id_of_a_big_endian_guest_is_big_endian(void **state)
{
	struct device_rig *rig = *state;

	/* In the configuration it is little-endian for everybody, as rig_config() reads it. */
	runs(rig);
	hints(rig, 0, MIB);
	assert_int_equal(sink.hints, 1);
	assert_int_equal(rig_faults(rig), 0);
}

static void without_the_feature_there_are_no_rounds(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .offered = HINTS });

	(void)state;
	assert_false(balloon_hint_start(rig->balloon));
	assert_false(balloon_hint_stop(rig->balloon));
	assert_false(balloon_hint_done(rig->balloon));
	assert_int_equal(rig_config(rig, RIG_HINT_ID), STOP);
	rig_free(rig);
}

static void without_a_sink_hints_are_counted(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_hint_sink(rig->balloon, NULL, NULL);
	runs(rig);
	hints(rig, 0, MIB);
	assert_int_equal(rig_count(rig, BALLOON_C_HINTED_BYTES), MIB);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_id_is_stop_until_a_round_is_asked_for),
		TEST(a_round_has_an_id_of_2_or_more_and_the_driver_is_told),
		TEST(no_id_is_used_twice),
		TEST(a_round_goes_from_its_id_to_stop_to_done),
		TEST(hints_before_the_id_are_ignored),
		TEST(hints_of_another_id_are_ignored),
		TEST(hints_of_the_round_before_are_ignored_and_no_fault),
		TEST(hints_after_stop_or_done_are_ignored),
		TEST(hinted_memory_is_never_altered),
		TEST(an_end_by_the_host_is_told_once),
		TEST(one_round_at_a_time),
		TEST(an_id_that_is_said_again_changes_nothing),
		TEST(an_id_of_the_wrong_length_is_refused),
		TEST(a_hint_outside_ram_is_refused),
		TEST(an_id_and_hints_may_come_in_one_chain),
		cmocka_unit_test_setup_teardown(the_id_of_a_big_endian_guest_is_big_endian,
						setup_big_endian, teardown),
		cmocka_unit_test(without_the_feature_there_are_no_rounds),
		TEST(without_a_sink_hints_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
