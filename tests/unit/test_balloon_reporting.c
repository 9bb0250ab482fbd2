/* SPDX-License-Identifier: BSD-3-Clause */
/* Free page reporting, and what poisoning has to do with it. */
#include "tests/unit/device_rig.h"

#include <string.h>

#include "device/state.h"

#define REPORTS (RIG_MODERN | BALLOON_BIT(BALLOON_F_PAGE_REPORTING))
#define POISON BALLOON_BIT(BALLOON_F_PAGE_POISON)
#define PAGES (RIG_RAM_BYTES / PAGE)

static struct device_rig *new_rig(uint64_t features, uint32_t poison)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = features, .poison = poison, .backing = RIG_MEMFD });

	rig_touch(rig, 0, PAGES);
	return rig;
}

static int setup(void **state)
{
	*state = new_rig(REPORTS, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void reports(struct device_rig *rig, uint64_t gpa, uint32_t length)
{
	rig_send_one(rig, BALLOON_REPORTING, gpa, length, true);
	rig_kick(rig, BALLOON_REPORTING);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_REPORTING), 0);
}

static uint64_t gone(const struct device_rig *rig)
{
	return RIG_RAM_BYTES - rig_file_bytes(rig);
}

static void reported_memory_is_released(void **state)
{
	struct device_rig *rig = *state;

	reports(rig, 4 * MIB, 2 * MIB);
	assert_int_equal(gone(rig), 2 * MIB);
	assert_true(rig_intact(rig, 0, 2 * BLOCK));
	assert_true(rig_intact(rig, 3 * BLOCK, PAGES - 3 * BLOCK));
	assert_int_equal(rig_count(rig, BALLOON_C_REPORTED_BYTES), 2 * MIB);
	assert_int_equal(rig_faults(rig), 0);
}

/* It never was in the balloon. */
static void reported_memory_is_not_in_the_account(void **state)
{
	struct device_rig *rig = *state;

	reports(rig, 4 * MIB, 2 * MIB);
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	rig_touch(rig, 2 * BLOCK, BLOCK);
	rig_settle(rig);
	assert_true(rig_intact(rig, 2 * BLOCK, BLOCK));
}

static void is_released(struct device_rig *rig, unsigned int queue)
{
	(void)queue;
	assert_int_equal(gone(rig), *(uint64_t *)rig->on_interrupt_data);
}

/* The guest uses it again as soon as the report is acknowledged. */
static void a_report_is_acknowledged_after_its_release(void **state)
{
	struct device_rig *rig = *state;
	uint64_t expected = 24 * MIB;

	rig->on_interrupt = is_released;
	rig->on_interrupt_data = &expected;
	reports(rig, 8 * MIB, 24 * MIB);
	assert_int_equal(rig->queues[BALLOON_REPORTING].interrupts, 1);
}

static void every_part_of_a_report_is_released(void **state)
{
	const struct rig_chain chain = {
		.segments = { { 0, 2 * MIB, true },
			      { 8 * MIB, PAGE, true },
			      { 16 * MIB, 4 * MIB, true } },
		.count = 3,
	};
	struct device_rig *rig = *state;

	rig_send(rig, BALLOON_REPORTING, &chain);
	rig_kick(rig, BALLOON_REPORTING);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_REPORTING), 0);
	assert_int_equal(gone(rig), 6 * MIB + PAGE);
}

static void a_large_report_is_worked_on_in_steps(void **state)
{
	struct device_rig *rig = *state;
	uint64_t before = 0;

	rig_send_one(rig, BALLOON_REPORTING, 0, RIG_RAM_BYTES, true);
	rig_kick(rig, BALLOON_REPORTING);
	while (rig_outstanding(rig, BALLOON_REPORTING)) {
		rig_step(rig);
		assert_in_range(gone(rig) - before, 1, 16 * MIB);
		before = gone(rig);
	}
	assert_int_equal(before, RIG_RAM_BYTES);
}

static void many_reports_are_worked_on_in_steps(void **state)
{
	struct device_rig *rig = *state;
	uint64_t before = 0;

	for (uint32_t i = 0; i < 15; i++)
		rig_send_one(rig, BALLOON_REPORTING, i * 4 * MIB, 4 * MIB, true);
	rig_kick(rig, BALLOON_REPORTING);
	while (rig_outstanding(rig, BALLOON_REPORTING)) {
		rig_step(rig);
		assert_in_range(gone(rig) - before, 1, 16 * MIB);
		before = gone(rig);
	}
	assert_int_equal(before, 60 * MIB);
}

static void a_report_across_regions_is_released_in_both(void **state)
{
	struct device_rig *rig = *state;

	rig_map(rig, RIG_RAM_BYTES, 4 * MIB, RIG_MEMFD);
	rig_touch(rig, PAGES, 1024);
	reports(rig, RIG_RAM_BYTES - MIB, 3 * MIB);
	assert_int_equal(rig_file_bytes(rig), RIG_RAM_BYTES + MIB);
	assert_true(rig_intact(rig, 0, PAGES - 256));
	assert_true(rig_intact(rig, PAGES + 512, 512));
	assert_int_equal(rig_faults(rig), 0);
}

static void a_report_that_is_not_of_whole_pages_is_refused(void **state)
{
	struct device_rig *rig = *state;

	reports(rig, 1, PAGE);
	reports(rig, 0, PAGE + 1);
	reports(rig, 0, 7);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 3);
	assert_int_equal(gone(rig), 0);
}

static void a_report_outside_ram_is_refused(void **state)
{
	struct device_rig *rig = *state;

	reports(rig, RIG_NOWHERE, PAGE);
	reports(rig, UINT64_MAX - 4095, PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 2);
	/* What of it is in RAM is taken. */
	reports(rig, RIG_RAM_BYTES - PAGE, 2 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 3);
	assert_int_equal(gone(rig), PAGE);
}

static void of_huge_pages_only_whole_ones_are_released(void **state)
{
	struct device_rig *rig = *state;

	rig->balloon->memory.regions[0].page_bytes = 2 * MIB;
	reports(rig, 3 * MIB, 4 * MIB);
	assert_int_equal(gone(rig), 2 * MIB);
	assert_true(rig_intact(rig, 0, 2 * BLOCK));
	assert_true(rig_intact(rig, 3 * BLOCK, PAGES - 3 * BLOCK));
	reports(rig, 8 * MIB, MIB);
	assert_int_equal(gone(rig), 2 * MIB);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
}

static void reporting_can_be_switched_off_and_on(void **state)
{
	struct device_rig *rig = *state;

	assert_true(balloon_reporting(rig->balloon));
	balloon_set_reporting(rig->balloon, false);
	reports(rig, 0, 2 * MIB);
	assert_int_equal(gone(rig), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_REPORTED_BYTES), 2 * MIB);
	balloon_set_reporting(rig->balloon, true);
	reports(rig, 0, 2 * MIB);
	assert_int_equal(gone(rig), 2 * MIB);
}

/* A page that was released reads as zero, which is what the guest takes for poisoned. */
static void with_a_poison_of_zero_reports_are_released(void **state)
{
	struct device_rig *rig = new_rig(REPORTS | POISON, 0);

	(void)state;
	reports(rig, 0, 2 * MIB);
	assert_int_equal(gone(rig), 2 * MIB);
	rig_free(rig);
}

static void with_another_poison_reports_are_not_released(void **state)
{
	struct device_rig *rig = new_rig(REPORTS | POISON, 0xaaaaaaaa);

	(void)state;
	reports(rig, 0, 2 * MIB);
	assert_int_equal(gone(rig), 0);
	assert_true(rig_intact(rig, 0, BLOCK));
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

/* Ballooned pages are not of interest to the poison: the guest fills them when they come back. */
static void with_a_poison_ballooned_pages_are_released_all_the_same(void **state)
{
	struct device_rig *rig = new_rig(RIG_TELL | POISON, 0xaaaaaaaa);

	(void)state;
	rig_inflate(rig, 0, BLOCK);
	rig_settle(rig);
	assert_int_equal(gone(rig), 2 * MIB);
	rig_free(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reported_memory_is_released),
		TEST(reported_memory_is_not_in_the_account),
		TEST(a_report_is_acknowledged_after_its_release),
		TEST(every_part_of_a_report_is_released),
		TEST(a_large_report_is_worked_on_in_steps),
		TEST(many_reports_are_worked_on_in_steps),
		TEST(a_report_across_regions_is_released_in_both),
		TEST(a_report_that_is_not_of_whole_pages_is_refused),
		TEST(a_report_outside_ram_is_refused),
		TEST(of_huge_pages_only_whole_ones_are_released),
		TEST(reporting_can_be_switched_off_and_on),
		cmocka_unit_test(with_a_poison_of_zero_reports_are_released),
		cmocka_unit_test(with_another_poison_reports_are_not_released),
		cmocka_unit_test(with_a_poison_ballooned_pages_are_released_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
