/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration space: the target, what the driver writes, and who may write. */
#include "tests/unit/device_rig.h"

#include <string.h>

#define RAM_PAGES (RIG_RAM_BYTES / PAGE)
#define POISON BALLOON_BIT(BALLOON_F_PAGE_POISON)

static struct device_rig *rig_with(uint64_t features)
{
	return rig_new(&(struct rig_options){ .features = features });
}

static int setup(void **state)
{
	*state = rig_with(RIG_MODERN);
	return 0;
}

static int setup_legacy(void **state)
{
	*state = rig_with(0);
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void writes(struct device_rig *rig, unsigned int offset, const void *bytes,
		   unsigned int size)
{
	balloon_config_write(rig->balloon, offset, bytes, size);
}

/*
 * The target
 */

static void a_target_is_told_as_the_pages_to_be_given(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, RIG_RAM_BYTES - 10 * PAGE);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 10);
	assert_int_equal(rig_info(rig).target_bytes, RIG_RAM_BYTES - 10 * PAGE);
	assert_int_equal(rig->config_interrupts, 1);
}

static void a_target_is_kept_within_the_guests_ram(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, 0);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), RAM_PAGES);
	assert_int_equal(rig_info(rig).target_bytes, 0);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES + 1);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 0);
	balloon_set_target(rig->balloon, UINT64_MAX);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 0);
	assert_int_equal(rig_info(rig).target_bytes, RIG_RAM_BYTES);
}

static void a_driver_that_is_at_its_target_is_interrupted_for_a_change_only(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, RIG_RAM_BYTES);
	assert_int_equal(rig->config_interrupts, 0);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES / 2);
	rig_set_config(rig, RIG_ACTUAL, RAM_PAGES / 2);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES / 2);
	assert_int_equal(rig->config_interrupts, 1);
}

static void a_target_that_is_said_again_reminds_a_driver_that_is_elsewhere(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, RIG_RAM_BYTES / 2);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES / 2);
	assert_int_equal(rig->config_interrupts, 2);
}

static void a_target_from_the_start_is_there_before_the_driver(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_MODERN, .target_bytes = RIG_RAM_BYTES / 2, .no_driver = true });

	(void)state;
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), RAM_PAGES / 2);
	rig_start_driver(rig);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), RAM_PAGES / 2);
	/* It reads it anyway. */
	assert_int_equal(rig->config_interrupts, 0);
	rig_free(rig);
}

/*
 * What the driver writes
 */

static void actual_is_max_less_what_the_driver_says(void **state)
{
	struct device_rig *rig = *state;

	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES);
	rig_set_config(rig, RIG_ACTUAL, 100);
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 100 * PAGE);
	assert_int_equal(rig->events[BALLOON_EVENT_ACTUAL], 1);
	assert_int_equal(rig_config(rig, RIG_ACTUAL), 100);
	assert_int_equal(rig_faults(rig), 0);
}

static void the_same_actual_is_no_event(void **state)
{
	struct device_rig *rig = *state;

	rig_set_config(rig, RIG_ACTUAL, 100);
	rig_set_config(rig, RIG_ACTUAL, 100);
	assert_int_equal(rig->events[BALLOON_EVENT_ACTUAL], 1);
}

/* The driver may write it once for many buffers; the account is the device's own. */
static void actual_may_come_late(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 600);
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES);
	assert_int_equal(rig_info(rig).ballooned_bytes, 600 * PAGE);
	rig_set_config(rig, RIG_ACTUAL, 600);
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 600 * PAGE);
}

static void an_actual_beyond_the_ram_leaves_nothing_and_no_less(void **state)
{
	struct device_rig *rig = *state;

	rig_set_config(rig, RIG_ACTUAL, RAM_PAGES + 1);
	assert_int_equal(rig_info(rig).actual_bytes, 0);
	rig_set_config(rig, RIG_ACTUAL, UINT32_MAX);
	assert_int_equal(rig_info(rig).actual_bytes, 0);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 2);
	rig_set_config(rig, RIG_ACTUAL, RAM_PAGES);
	assert_int_equal(rig_info(rig).actual_bytes, 0);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 2);
}

static void a_legacy_actual_counts_when_its_last_byte_is_written(void **state)
{
	const uint8_t bytes[] = { 0x34, 0x12, 0, 0 };
	struct device_rig *rig = *state;

	rig_set_config(rig, RIG_ACTUAL, 0xff);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 0xff * PAGE);
		writes(rig, RIG_ACTUAL + i, &bytes[i], 1);
	}
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 0x1234 * PAGE);
	assert_int_equal(rig->events[BALLOON_EVENT_ACTUAL], 2);
	assert_int_equal(rig_faults(rig), 0);
}

static void a_modern_actual_may_be_written_in_parts(void **state)
{
	const uint8_t bytes[] = { 0x34, 0x12 };
	struct device_rig *rig = *state;

	writes(rig, RIG_ACTUAL, bytes, 2);
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 0x1234 * PAGE);
}

/*
 * Who may write what
 */

static void the_devices_fields_cannot_be_written(void **state)
{
	struct device_rig *rig = *state;

	balloon_set_target(rig->balloon, MIB);
	for (unsigned int offset = 0; offset < 4; offset++) {
		writes(rig, RIG_NUM_PAGES + offset, "\xff", 1);
		writes(rig, RIG_HINT_ID + offset, "\xff", 1);
	}
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), RAM_PAGES - MIB / PAGE);
	assert_int_equal(rig_config(rig, RIG_HINT_ID), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 8);
}

/* vhost-user relays all of it for a change of one field, with what the driver read before. */
static void the_whole_configuration_may_come_at_once(void **state)
{
	struct device_rig *rig = *state;
	uint8_t bytes[16];

	balloon_config_read(rig->balloon, 0, bytes, 16);
	bytes[4] = 42;
	balloon_set_target(rig->balloon, MIB);
	writes(rig, 0, bytes, 16);
	assert_int_equal(rig_config(rig, RIG_ACTUAL), 42);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), RAM_PAGES - MIB / PAGE);
	assert_int_equal(rig_faults(rig), 0);
}

static void any_part_can_be_read(void **state)
{
	struct device_rig *rig = *state;
	uint8_t whole[16], part[16];

	rig_set_config(rig, RIG_ACTUAL, 0x01020304);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES - 0x3210 * PAGE);
	balloon_config_read(rig->balloon, 0, whole, 16);
	for (unsigned int offset = 0; offset < 16; offset++)
		for (unsigned int size = 1; size <= 16 - offset; size++) {
			memset(part, 0xee, sizeof(part));
			balloon_config_read(rig->balloon, offset, part, size);
			assert_memory_equal(part, whole + offset, size);
		}
}

static void what_is_behind_the_end_reads_as_zero(void **state)
{
	struct device_rig *rig = *state;
	uint8_t bytes[32];

	rig_set_config(rig, RIG_ACTUAL, UINT32_MAX);
	memset(bytes, 0xee, sizeof(bytes));
	balloon_config_read(rig->balloon, 6, bytes, 32);
	assert_int_equal(bytes[0], 0xff);
	for (unsigned int i = 10; i < 32; i++)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 0xee, sizeof(bytes));
	balloon_config_read(rig->balloon, UINT32_MAX, bytes, 4);
	assert_int_equal(bytes[0] | bytes[1] | bytes[2] | bytes[3], 0);
}

static void a_trim_is_a_request_behind_the_magic_number(void **state)
{
	const uint64_t features = RIG_TELL | BALLOON_BIT(BALLOON_F_TRIM);
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = features });
	unsigned int before = rig->config_interrupts;
	uint32_t first;

	(void)state;
	assert_int_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET), BALLOON_PRIVATE_MAGIC);
	assert_int_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET + 4), 0);
	assert_true(balloon_trim(rig->balloon, 20 * MIB));
	assert_int_equal(rig->config_interrupts, before + 1);
	first = rig_config(rig, BALLOON_PRIVATE_OFFSET + 4);
	assert_int_equal(first & BALLOON_TRIM_MAX_MIB, 20);
	/* The same again is another request. */
	assert_true(balloon_trim(rig->balloon, 20 * MIB));
	assert_int_not_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET + 4), first);
	assert_true(balloon_trim(rig->balloon, UINT64_MAX));
	assert_int_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET + 4) & BALLOON_TRIM_MAX_MIB,
			 BALLOON_TRIM_MAX_MIB);
	rig_set_config(rig, BALLOON_PRIVATE_OFFSET + 4, 1);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 1);
	rig_reset(rig);
	assert_int_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET + 4), 0);
	rig_free(rig);
}

static void without_the_feature_there_is_no_trim(void **state)
{
	struct device_rig *rig = *state;

	assert_false(balloon_trim(rig->balloon, MIB));
	assert_int_equal(rig_config(rig, BALLOON_PRIVATE_OFFSET), 0);
}

static void a_write_that_leaves_the_space_is_ignored(void **state)
{
	const uint8_t bytes[64] = { 0xff };
	struct device_rig *rig = *state;

	writes(rig, 4, bytes, 13);
	writes(rig, 16, bytes, 1);
	writes(rig, UINT32_MAX, bytes, 4);
	writes(rig, 0, bytes, 64);
	assert_int_equal(rig_config(rig, RIG_ACTUAL), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 4);
}

static void poison_can_be_written_before_driver_ok_only(void **state)
{
	struct device_rig *rig = rig_new(
		&(struct rig_options){ .features = RIG_MODERN | POISON, .poison = 0xdeadbeef });

	(void)state;
	assert_int_equal(rig_config(rig, RIG_POISON), 0xdeadbeef);
	assert_int_equal(rig_faults(rig), 0);
	rig_set_config(rig, RIG_POISON, 1);
	assert_int_equal(rig_config(rig, RIG_POISON), 0xdeadbeef);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 1);
	rig_free(rig);
}

static void poison_cannot_be_written_without_its_feature(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_MODERN, .offered = RIG_MODERN | POISON, .no_driver = true });

	(void)state;
	rig_negotiate(rig);
	rig_set_config(rig, RIG_POISON, 1);
	assert_int_equal(rig_config(rig, RIG_POISON), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_CONFIG), 1);
	rig_free(rig);
}

static void the_configuration_of_a_big_endian_guest_is_little_endian(void **state)
{
	const uint8_t actual[4] = { 5, 0, 0, 0 };
	struct device_rig *rig = rig_new(&(struct rig_options){ .big_endian = true });
	uint8_t bytes[4];

	(void)state;
	balloon_set_target(rig->balloon, RIG_RAM_BYTES - 3 * PAGE);
	balloon_config_read(rig->balloon, 0, bytes, 4);
	assert_int_equal(bytes[0], 3);
	writes(rig, RIG_ACTUAL, actual, 4);
	assert_int_equal(rig_info(rig).actual_bytes, RIG_RAM_BYTES - 5 * PAGE);
	/* Its page numbers are not. */
	rig_inflate(rig, 7, 5);
	assert_int_equal(rig_info(rig).ballooned_bytes, 5 * PAGE);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_target_is_told_as_the_pages_to_be_given),
		TEST(a_target_is_kept_within_the_guests_ram),
		TEST(a_driver_that_is_at_its_target_is_interrupted_for_a_change_only),
		TEST(a_target_that_is_said_again_reminds_a_driver_that_is_elsewhere),
		cmocka_unit_test(a_target_from_the_start_is_there_before_the_driver),
		TEST(actual_is_max_less_what_the_driver_says),
		TEST(the_same_actual_is_no_event),
		TEST(actual_may_come_late),
		TEST(an_actual_beyond_the_ram_leaves_nothing_and_no_less),
		cmocka_unit_test_setup_teardown(
			a_legacy_actual_counts_when_its_last_byte_is_written, setup_legacy,
			teardown),
		TEST(a_modern_actual_may_be_written_in_parts),
		TEST(the_devices_fields_cannot_be_written),
		TEST(the_whole_configuration_may_come_at_once),
		TEST(any_part_can_be_read),
		TEST(what_is_behind_the_end_reads_as_zero),
		TEST(without_the_feature_there_is_no_trim),
		cmocka_unit_test(a_trim_is_a_request_behind_the_magic_number),
		TEST(a_write_that_leaves_the_space_is_ignored),
		cmocka_unit_test(poison_can_be_written_before_driver_ok_only),
		cmocka_unit_test(poison_cannot_be_written_without_its_feature),
		cmocka_unit_test(the_configuration_of_a_big_endian_guest_is_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
