/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: the one buffer of the driver's, what is in it, and how old it is. */
#include "tests/unit/device_rig.h"

#include <string.h>

#define STATS (RIG_MODERN | BALLOON_BIT(BALLOON_F_STATS_VQ))

struct entry {
	uint16_t tag;
	uint64_t value;
};

static int setup(void **state)
{
	*state = rig_new(&(struct rig_options){ .features = STATS });
	return 0;
}

static int setup_legacy(void **state)
{
	*state = rig_new(&(struct rig_options){ .features = STATS & ~RIG_MODERN });
	return 0;
}

static int setup_big_endian(void **state)
{
	*state = rig_new(
		&(struct rig_options){ .features = STATS & ~RIG_MODERN, .big_endian = true });
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void sends(struct device_rig *rig, const struct entry *entries, uint32_t count)
{
	uint64_t gpa = rig_alloc(rig, 10 * count);

	for (uint32_t i = 0; i < count; i++) {
		rig_put(rig, gpa + 10 * i, 2, entries[i].tag);
		rig_put(rig, gpa + 10 * i + 2, 8, entries[i].value);
	}
	rig_send_one(rig, BALLOON_STATS, gpa, 10 * count, false);
	rig_kick(rig, BALLOON_STATS);
	rig_work(rig);
}

static void sends_one(struct device_rig *rig, uint16_t tag, uint64_t value)
{
	const struct entry entry = { tag, value };

	sends(rig, &entry, 1);
}

static uint64_t value(const struct device_rig *rig, unsigned int tag)
{
	return balloon_stats(rig->balloon)->value[tag];
}

static void values_stand_by_their_tags_in_any_order(void **state)
{
	const struct entry entries[] = { { 5, 500 }, { 15, 150 }, { 0, 0 }, { 4, UINT64_MAX - 1 } };
	struct device_rig *rig = *state;

	sends(rig, entries, 4);
	assert_int_equal(value(rig, 5), 500);
	assert_int_equal(value(rig, 15), 150);
	assert_int_equal(value(rig, 0), 0);
	assert_int_equal(value(rig, 4), UINT64_MAX - 1);
	assert_int_equal(value(rig, 1), BALLOON_UNSET);
	assert_int_equal(rig_faults(rig), 0);
}

/* Sends a total, and returns how many lines that logged. */
static unsigned int logged_for_total(struct device_rig *rig, uint64_t bytes)
{
	unsigned int before = rig->logged;

	balloon_request_stats(rig->balloon);
	rig_work(rig);
	sends_one(rig, 5, bytes);
	return rig->logged - before;
}

static void a_guest_that_has_less_than_the_vmm_shares_is_logged_once(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = STATS, .ram_bytes = 1024 * MIB, .max_by_memory = true });

	(void)state;
	/* What a kernel keeps for itself is no gap. */
	assert_int_equal(logged_for_total(rig, 900 * MIB), 0);
	assert_int_equal(logged_for_total(rig, 512 * MIB), 1);
	assert_non_null(strstr(rig->log, "the guest has only 512 MiB"));
	assert_non_null(strstr(rig->log, "--max"));
	assert_int_equal(logged_for_total(rig, 512 * MIB), 0);
	rig_free(rig);
}

static void what_is_in_the_balloon_is_no_gap(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = STATS, .ram_bytes = 1024 * MIB, .max_by_memory = true });

	(void)state;
	for (uint32_t page = 0; page < 400 * MIB / 4096; page += 512)
		rig_inflate(rig, page, 512);
	assert_int_equal(logged_for_total(rig, 520 * MIB), 0);
	rig_free(rig);
}

static void with_a_maximum_of_its_own_no_gap_is_looked_for(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = STATS, .ram_bytes = 1024 * MIB, .max_bytes = 1024 * MIB });

	(void)state;
	assert_int_equal(logged_for_total(rig, 16 * MIB), 0);
	rig_free(rig);
}

static void an_unknown_tag_is_kept_by_its_number(void **state)
{
	const struct entry entries[] = { { 4711, 1 }, { 4, 2 }, { 16, 3 } };
	struct device_rig *rig = *state;
	const struct balloon_stats *stats = balloon_stats(rig->balloon);

	sends(rig, entries, 3);
	assert_int_equal(value(rig, 4), 2);
	assert_int_equal(stats->unknown_count, 2);
	assert_int_equal(stats->unknown[0].tag, 4711);
	assert_int_equal(stats->unknown[1].tag, 16);
	assert_int_equal(stats->unknown[1].value, 3);
	assert_int_equal(rig_faults(rig), 0);
}

static void private_tags_have_values_of_their_own(void **state)
{
	const struct entry entries[] = { { 0xae04, 400 }, { 0xae00, UINT64_MAX - 1 }, { 4, 2 } };
	struct device_rig *rig = *state;

	sends(rig, entries, 3);
	assert_int_equal(value(rig, BALLOON_STATS_STANDARD), UINT64_MAX - 1);
	assert_int_equal(value(rig, BALLOON_STATS_STANDARD + 1), BALLOON_UNSET);
	assert_int_equal(value(rig, BALLOON_STATS_STANDARD + 4), 400);
	assert_int_equal(value(rig, 4), 2);
	assert_int_equal(balloon_stats(rig->balloon)->unknown_count, 0);
	assert_int_equal(rig_faults(rig), 0);
}

static void neighbours_of_the_private_tags_are_unknown(void **state)
{
	const struct entry entries[] = {
		{ 0xadff, 1 }, { 0xae07, 2 }, { 0xaeff, 3 }, { 0xffff, 4 }
	};
	struct device_rig *rig = *state;

	sends(rig, entries, 4);
	assert_int_equal(balloon_stats(rig->balloon)->unknown_count, 4);
	for (unsigned int row = 0; row < BALLOON_STATS_KNOWN; row++)
		assert_int_equal(value(rig, row), BALLOON_UNSET);
}

static void each_row_of_statistics_is_found_by_its_tag(void **state)
{
	struct device_rig *rig = *state;

	for (unsigned int row = 0; row < BALLOON_STATS_KNOWN; row++) {
		sends_one(rig, balloon_stat_table[row].tag, 100 + row);
		assert_int_equal(value(rig, row), 100 + row);
	}
}

static void unknown_tags_beyond_the_room_for_them_are_ignored(void **state)
{
	struct device_rig *rig = *state;
	struct entry entries[40];

	for (uint16_t i = 0; i < 40; i++)
		entries[i] = (struct entry){ (uint16_t)(100 + i), i };
	entries[39].tag = 7;
	sends(rig, entries, 40);
	assert_int_equal(balloon_stats(rig->balloon)->unknown_count, BALLOON_STATS_UNKNOWN_MAX);
	assert_int_equal(value(rig, 7), 39);
	sends_one(rig, 4, 1);
}

static void a_sample_carries_the_time_of_its_arrival(void **state)
{
	struct device_rig *rig = *state;

	assert_int_equal(balloon_stats(rig->balloon)->arrived_ns, 0);
	rig_pass(rig, 123);
	sends_one(rig, 4, 1);
	assert_int_equal(balloon_stats(rig->balloon)->arrived_ns, rig->now_ns);
	rig_pass(rig, 1000);
	rig_work(rig);
	assert_int_equal(balloon_stats(rig->balloon)->arrived_ns, rig->now_ns - 1000);
}

static void a_value_that_is_missing_is_not_that_of_the_sample_before(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 1);
	assert_true(balloon_request_stats(rig->balloon));
	rig_collect(rig, BALLOON_STATS);
	sends_one(rig, 5, 2);
	assert_int_equal(value(rig, 4), BALLOON_UNSET);
	assert_int_equal(value(rig, 5), 2);
}

static void the_buffer_is_held_until_a_sample_is_wanted(void **state)
{
	struct device_rig *rig = *state;

	assert_false(balloon_request_stats(rig->balloon));
	sends_one(rig, 4, 1);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 1);
	assert_true(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
	assert_int_equal(rig->queues[BALLOON_STATS].interrupts, 1);
}

static void a_sample_that_was_asked_for_cannot_be_asked_for_again(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 1);
	assert_true(balloon_request_stats(rig->balloon));
	assert_false(balloon_request_stats(rig->balloon));
	rig_collect(rig, BALLOON_STATS);
	sends_one(rig, 4, 2);
	assert_true(balloon_request_stats(rig->balloon));
}

static void each_sample_is_told_of(void **state)
{
	struct device_rig *rig = *state;

	for (unsigned int i = 1; i <= 3; i++) {
		sends_one(rig, 4, i);
		assert_int_equal(rig->events[BALLOON_EVENT_STATS], i);
		assert_int_equal(rig_count(rig, BALLOON_C_STATS_RECEIVED), i);
		balloon_request_stats(rig->balloon);
	}
}

static void the_first_sample_of_a_modern_driver_counts(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 77);
	assert_int_equal(value(rig, 4), 77);
}

static void the_first_sample_of_a_legacy_driver_is_ignored(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 77);
	assert_int_equal(value(rig, 4), BALLOON_UNSET);
	assert_int_equal(balloon_stats(rig->balloon)->arrived_ns, 0);
	assert_int_equal(rig->events[BALLOON_EVENT_STATS], 0);
	assert_true(balloon_request_stats(rig->balloon));
	rig_collect(rig, BALLOON_STATS);
	sends_one(rig, 4, 78);
	assert_int_equal(value(rig, 4), 78);
	/* The first after a reset again. */
	rig_reset(rig);
	sends_one(rig, 4, 79);
	assert_int_equal(value(rig, 4), 78);
}

static void statistics_of_a_big_endian_guest_are_big_endian(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 1);
	balloon_request_stats(rig->balloon);
	rig_collect(rig, BALLOON_STATS);
	sends_one(rig, 5, 0x0102030405060708);
	assert_int_equal(value(rig, 5), 0x0102030405060708);
	assert_int_equal(balloon_stats(rig->balloon)->unknown_count, 0);
}

/* There is at most one: a second takes the place of the first, which is returned. */
static void a_second_buffer_takes_the_place_of_the_first(void **state)
{
	struct device_rig *rig = *state;

	sends_one(rig, 4, 1);
	sends_one(rig, 4, 2);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_STATS), 1);
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 1);
	assert_int_equal(value(rig, 4), 2);
	assert_true(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
}

/* Another device waited for ever for the rest of an entry. */
static void a_ragged_buffer_is_taken_as_far_as_it_goes(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);

	rig_put(rig, gpa, 2, 4);
	rig_put(rig, gpa + 2, 8, 44);
	for (uint32_t length = 1; length < 20; length++) {
		rig_send_one(rig, BALLOON_STATS, gpa, length, false);
		rig_kick(rig, BALLOON_STATS);
		rig_work(rig);
		assert_int_equal(value(rig, 4), length < 10 ? BALLOON_UNSET : 44);
		assert_true(balloon_request_stats(rig->balloon));
		assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
	}
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_LENGTH), 18);
}

static void a_buffer_of_too_many_entries_is_taken_as_far_as_there_is_room(void **state)
{
	struct device_rig *rig = *state;
	static struct entry entries[5000];

	for (unsigned int i = 0; i < 5000; i++)
		entries[i] = (struct entry){ 3, i };
	sends(rig, entries, 5000);
	assert_int_equal(value(rig, 3), 63);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_LENGTH), 1);
	assert_true(balloon_request_stats(rig->balloon));
}

/* The text's "multiple of 6" is of no use, and no driver keeps it. */
static void any_number_of_entries_will_do(void **state)
{
	struct device_rig *rig = *state;
	struct entry entries[64];

	for (uint16_t i = 0; i < 64; i++)
		entries[i] = (struct entry){ i % 16, i };
	for (uint32_t count = 1; count <= 64; count++) {
		sends(rig, entries, count);
		assert_int_equal(value(rig, (count - 1) % 16), count - 1);
		balloon_request_stats(rig->balloon);
		rig_collect(rig, BALLOON_STATS);
	}
	assert_int_equal(rig_faults(rig), 0);
}

static void an_entry_may_stand_in_two_descriptors(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64), other = rig_alloc(rig, 64);
	const struct rig_chain chain = {
		.segments = { { gpa, 3, false }, { other, 7, false } },
		.count = 2,
	};

	rig_put(rig, gpa, 2, 9);
	rig_put(rig, gpa + 2, 1, 0x88);
	rig_put(rig, other, 4, 0x44556677);
	rig_send(rig, BALLOON_STATS, &chain);
	rig_kick(rig, BALLOON_STATS);
	rig_work(rig);
	assert_int_equal(value(rig, 9), 0x4455667788);
}

static void no_sample_can_be_asked_for_without_the_feature(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .offered = STATS });

	(void)state;
	assert_false(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void each_statistic_has_a_name_and_a_help(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < BALLOON_STATS_KNOWN; i++) {
		bool ours = balloon_stat_table[i].tag >= BALLOON_STATS_PRIVATE;

		/* QEMU's names all begin so: what it may yet add is none of ours. */
		assert_int_equal(strncmp(balloon_stat_table[i].name, "stat-", 5) != 0, ours);
		assert_true(strlen(balloon_stat_table[i].help) > 0);
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(balloon_stat_table[i].name,
						balloon_stat_table[j].name);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_has_less_than_the_vmm_shares_is_logged_once),
		cmocka_unit_test(what_is_in_the_balloon_is_no_gap),
		cmocka_unit_test(with_a_maximum_of_its_own_no_gap_is_looked_for),
		TEST(values_stand_by_their_tags_in_any_order),
		TEST(an_unknown_tag_is_kept_by_its_number),
		TEST(private_tags_have_values_of_their_own),
		TEST(neighbours_of_the_private_tags_are_unknown),
		TEST(each_row_of_statistics_is_found_by_its_tag),
		TEST(unknown_tags_beyond_the_room_for_them_are_ignored),
		TEST(a_sample_carries_the_time_of_its_arrival),
		TEST(a_value_that_is_missing_is_not_that_of_the_sample_before),
		TEST(the_buffer_is_held_until_a_sample_is_wanted),
		TEST(a_sample_that_was_asked_for_cannot_be_asked_for_again),
		TEST(each_sample_is_told_of),
		TEST(the_first_sample_of_a_modern_driver_counts),
		cmocka_unit_test_setup_teardown(the_first_sample_of_a_legacy_driver_is_ignored,
						setup_legacy, teardown),
		cmocka_unit_test_setup_teardown(statistics_of_a_big_endian_guest_are_big_endian,
						setup_big_endian, teardown),
		TEST(a_second_buffer_takes_the_place_of_the_first),
		TEST(a_ragged_buffer_is_taken_as_far_as_it_goes),
		TEST(a_buffer_of_too_many_entries_is_taken_as_far_as_there_is_room),
		TEST(any_number_of_entries_will_do),
		TEST(an_entry_may_stand_in_two_descriptors),
		cmocka_unit_test(no_sample_can_be_asked_for_without_the_feature),
		cmocka_unit_test(each_statistic_has_a_name_and_a_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
