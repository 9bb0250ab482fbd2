/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests that are wrong, by mistake or on purpose.  Each buffer comes back with
 * length 0 (the rig looks at that), is counted, and harms nobody; many of these
 * have once brought down another device.
 */
#include "tests/unit/device_rig.h"

#include <string.h>
#include <unistd.h>

#define ALL_FEATURES (RIG_TELL | 0x3f)

static int setup(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = ALL_FEATURES });

	rig_touch(rig, 0, 64);
	*state = rig;
	return 0;
}

static int setup_indirect(void **state)
{
	const uint64_t features = ALL_FEATURES | BALLOON_BIT(VIRTIO_F_RING_INDIRECT_DESC);

	*state = rig_new(&(struct rig_options){ .features = features });
	return 0;
}

/* The device still works, and its guest's pages are untouched. */
static int teardown(void **state)
{
	struct device_rig *rig = *state;

	rig_settle(rig);
	assert_false(balloon_needs_reset(rig->balloon));
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	rig_inflate(rig, 1000, 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, PAGE);
	rig_free(rig);
	return 0;
}

/* Sends @chain on a queue; it comes back with one fault of this kind and no other. */
static void faults(struct device_rig *rig, enum balloon_queue kind, const struct rig_chain *chain,
		   enum balloon_counter fault)
{
	uint64_t before = rig_count(rig, fault), all = rig_faults(rig);

	rig_send(rig, kind, chain);
	rig_kick(rig, kind);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, kind), 0);
	assert_int_equal(rig_count(rig, fault) - before, 1);
	assert_int_equal(rig_faults(rig) - all, 1);
}

static void faults_one(struct device_rig *rig, enum balloon_queue kind, struct rig_segment segment,
		       enum balloon_counter fault)
{
	const struct rig_chain chain = { .segments = { segment }, .count = 1 };

	faults(rig, kind, &chain, fault);
}

static void faults_pfn(struct device_rig *rig, enum balloon_queue kind, uint32_t pfn)
{
	uint64_t gpa = rig_alloc(rig, 4);

	rig_put(rig, gpa, 4, pfn);
	faults_one(rig, kind, (struct rig_segment){ gpa, 4, false }, BALLOON_C_FAULT_PFN);
}

static void a_page_outside_ram_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint32_t ram_pages = RIG_RAM_BYTES / PAGE;

	faults_pfn(rig, BALLOON_INFLATE, ram_pages);
	faults_pfn(rig, BALLOON_INFLATE, UINT32_MAX);
	faults_pfn(rig, BALLOON_DEFLATE, ram_pages);
	faults_pfn(rig, BALLOON_DEFLATE, 0x80000000);
}

static void a_page_in_a_hole_is_refused(void **state)
{
	struct device_rig *rig = *state;

	rig_map(rig, RIG_RAM_BYTES + 4 * MIB, 4 * MIB, RIG_ANONYMOUS);
	faults_pfn(rig, BALLOON_INFLATE, (RIG_RAM_BYTES + 4 * MIB) / PAGE - 1);
	faults_pfn(rig, BALLOON_INFLATE, (RIG_RAM_BYTES + 8 * MIB) / PAGE);
}

static void a_page_of_rom_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = RIG_RAM_BYTES + 4 * MIB;

	rig_map(rig, gpa, 4 * MIB, RIG_MEMFD);
	rig_touch(rig, (uint32_t)(gpa / PAGE), 8);
	rig_hide(rig, 1);
	assert_int_equal(balloon_map(rig->balloon, gpa, 4 * MIB, dup(rig->ram[1].fd), 0, false), 0);
	faults_pfn(rig, BALLOON_INFLATE, (uint32_t)(gpa / PAGE));
	faults_one(rig, BALLOON_REPORTING, (struct rig_segment){ gpa, PAGE, true },
		   BALLOON_C_FAULT_PFN);
	assert_true(rig_intact(rig, (uint32_t)(gpa / PAGE), 8));
}

static void good_pages_beside_a_wrong_one_are_taken(void **state)
{
	const uint32_t pfns[] = { 70, 71, 0x12345678, 73, 72, UINT32_MAX, 74 };
	struct device_rig *rig = *state;

	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 7);
	rig_kick(rig, BALLOON_INFLATE);
	rig_work(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, 5 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 2);
	rig_deflate(rig, 70, 5);
}

static void a_stretch_that_leaves_ram_is_taken_as_far_as_it_is_in(void **state)
{
	struct device_rig *rig = *state;
	uint32_t end = (RIG_RAM_BYTES + 5 * MIB) / PAGE;

	/* Amid a block. */
	rig_map(rig, RIG_RAM_BYTES + 4 * MIB, MIB, RIG_ANONYMOUS);
	rig_inflate(rig, end - 3, 6);
	assert_int_equal(rig_info(rig).ballooned_bytes, 3 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 3);
	rig_deflate(rig, end - 3, 3);
}

static void a_ragged_buffer_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);

	for (uint32_t length = 1; length < 8; length++)
		if (length != 4)
			faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ gpa, length, false },
				   BALLOON_C_FAULT_LENGTH);
}

static void a_buffer_of_too_many_pages_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 65537 * 4);

	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ gpa, 65537 * 4, false },
		   BALLOON_C_FAULT_LENGTH);
}

static void a_descriptor_of_1_gib_is_refused(void **state)
{
	struct device_rig *rig = *state;

	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ 0, GIB, false },
		   BALLOON_C_FAULT_LENGTH);
	faults_one(rig, BALLOON_DEFLATE, (struct rig_segment){ 0, UINT32_MAX, false },
		   BALLOON_C_FAULT_LENGTH);
}

/* Its length is within bounds, and leads out of RAM. */
static void a_length_that_points_past_a_region_is_refused(void **state)
{
	struct device_rig *rig = *state;

	memset(rig_at(rig, RIG_RAM_BYTES - 64), 0xff, 64);
	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ RIG_RAM_BYTES - 64, 128, false },
		   BALLOON_C_FAULT_MEMORY);
	faults_one(rig, BALLOON_STATS, (struct rig_segment){ RIG_RAM_BYTES - 5, 10, false },
		   BALLOON_C_FAULT_MEMORY);
	faults_one(rig, BALLOON_FREE_PAGE, (struct rig_segment){ RIG_RAM_BYTES - 2, 4, false },
		   BALLOON_C_FAULT_MEMORY);
}

static void an_address_that_wraps_is_refused(void **state)
{
	struct device_rig *rig = *state;

	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ UINT64_MAX - 3, 8, false },
		   BALLOON_C_FAULT_MEMORY);
	faults_one(rig, BALLOON_REPORTING, (struct rig_segment){ UINT64_MAX - 4095, 8192, true },
		   BALLOON_C_FAULT_PFN);
}

static void a_buffer_outside_ram_is_refused(void **state)
{
	struct device_rig *rig = *state;

	for (enum balloon_queue kind = 0; kind < BALLOON_REPORTING; kind++)
		faults_one(
			rig, kind,
			(struct rig_segment){ RIG_NOWHERE, kind == BALLOON_STATS ? 10 : 4, false },
			BALLOON_C_FAULT_MEMORY);
}

static void a_writable_buffer_of_pages_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);

	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ gpa, 4, true },
		   BALLOON_C_FAULT_DIRECTION);
	faults_one(rig, BALLOON_DEFLATE, (struct rig_segment){ gpa, 4, true },
		   BALLOON_C_FAULT_DIRECTION);
	faults_one(rig, BALLOON_STATS, (struct rig_segment){ gpa, 10, true },
		   BALLOON_C_FAULT_DIRECTION);
}

static void a_readable_report_is_refused(void **state)
{
	struct device_rig *rig = *state;

	faults_one(rig, BALLOON_REPORTING, (struct rig_segment){ 0, PAGE, false },
		   BALLOON_C_FAULT_DIRECTION);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 64));
}

/* Not only the head of a chain is looked at. */
static void a_chain_with_one_wrong_direction_is_refused_whole(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);
	const struct rig_chain pages = {
		.segments = { { gpa, 4, false }, { gpa + 8, 4, false }, { gpa + 16, 4, true } },
		.count = 3,
	};
	const struct rig_chain report = {
		.segments = { { gpa, 4, false }, { 0, PAGE, true } },
		.count = 2,
	};

	faults(rig, BALLOON_INFLATE, &pages, BALLOON_C_FAULT_DIRECTION);
	faults(rig, BALLOON_REPORTING, &report, BALLOON_C_FAULT_DIRECTION);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 64));
}

static void a_chain_that_loops_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);
	struct rig_chain chain = { .segments = { { gpa, 4, false }, { gpa, 4, false } },
				   .count = 2,
				   .loop = true };

	faults(rig, BALLOON_INFLATE, &chain, BALLOON_C_FAULT_CHAIN);
	chain.count = 1;
	faults(rig, BALLOON_DEFLATE, &chain, BALLOON_C_FAULT_CHAIN);
	faults(rig, BALLOON_STATS, &chain, BALLOON_C_FAULT_CHAIN);
	chain.segments[0].writable = true;
	faults(rig, BALLOON_REPORTING, &chain, BALLOON_C_FAULT_CHAIN);
}

static void an_indirect_table_that_loops_is_refused(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);
	const struct rig_chain chain = { .segments = { { gpa, 4, false }, { gpa, 4, false } },
					 .count = 2,
					 .loop = true };

	faults(rig, BALLOON_INFLATE, &chain, BALLOON_C_FAULT_CHAIN);
	faults(rig, BALLOON_DEFLATE, &chain, BALLOON_C_FAULT_CHAIN);
}

static void an_empty_buffer_is_refused(void **state)
{
	struct device_rig *rig = *state;

	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		faults_one(rig, kind, (struct rig_segment){ 0, 0, false }, BALLOON_C_FAULT_CHAIN);
}

static void a_kick_of_any_number_is_harmless(void **state)
{
	struct device_rig *rig = *state;

	for (unsigned int queue = 0; queue < 16; queue++)
		balloon_kick(rig->balloon, queue);
	balloon_kick(rig->balloon, UINT32_MAX);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	assert_int_equal(rig_faults(rig), 0);
}

/* Each kind of fault is logged when there have been 1, 10, 100, … of it. */
static void the_log_is_bounded(void **state)
{
	struct device_rig *rig = *state;
	uint64_t gpa = rig_alloc(rig, 64);

	for (unsigned int i = 1; i <= 1000; i++) {
		unsigned int before = rig->logged;
		bool power = i == 1 || i == 10 || i == 100 || i == 1000;

		faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ gpa, 3, false },
			   BALLOON_C_FAULT_LENGTH);
		assert_int_equal(rig->logged - before, power);
	}
	assert_string_equal(rig->log, "guest: fault-length: PFNs 0x3 (1000 so far)");
	faults_one(rig, BALLOON_INFLATE, (struct rig_segment){ gpa, 4, true },
		   BALLOON_C_FAULT_DIRECTION);
	assert_int_equal(rig->logged, 5);
}

static void many_faults_at_once_are_one_line(void **state)
{
	struct device_rig *rig = *state;

	rig_deflate(rig, 100, 250);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_DEFLATE_NEVER), 250);
	assert_int_equal(rig->logged, 1);
}

/*
 * What a deflate names is the guest's when it is acknowledged.  Of one that cannot be read
 * nobody knows what it names.
 */
static void a_deflate_that_cannot_be_read_ends_all_releases(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 64);
	assert_int_equal(rig_info(rig).pending_bytes, 64 * PAGE);
	faults_one(rig, BALLOON_DEFLATE, (struct rig_segment){ RIG_NOWHERE, 64 * 4, false },
		   BALLOON_C_FAULT_MEMORY);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 64));
	rig_inflate(rig, 0, 64);
	faults_one(rig, BALLOON_DEFLATE, (struct rig_segment){ 0, 7, false },
		   BALLOON_C_FAULT_LENGTH);
	/* Not by completing the block, either. */
	rig_inflate(rig, 64, BLOCK - 64);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 64));
	rig_deflate(rig, 64, BLOCK - 64);
}

/* Ends differently from the others: the device has to be reset. */
static void a_ring_that_makes_no_sense_needs_a_reset(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = ALL_FEATURES });
	struct rig_queue *queue = &rig->queues[BALLOON_INFLATE];

	(void)state;
	rig_inflate(rig, 0, 8);
	rig_put(rig, queue->driver + 2, 2, 1000); /* further than the ring is long */
	balloon_kick(rig->balloon, queue->number);
	rig_work(rig);
	assert_true(balloon_needs_reset(rig->balloon));
	assert_int_equal(rig->config_interrupts, 1);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_RING), 1);
	/* Nothing is worked on meanwhile. */
	rig_send_range(rig, BALLOON_DEFLATE, 0, 8, 8);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_DEFLATE), 1);
	rig_reset(rig);
	assert_false(balloon_needs_reset(rig->balloon));
	rig_inflate(rig, 0, 8);
	rig_free(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_page_outside_ram_is_refused),
		TEST(a_page_in_a_hole_is_refused),
		TEST(a_page_of_rom_is_refused),
		TEST(good_pages_beside_a_wrong_one_are_taken),
		TEST(a_stretch_that_leaves_ram_is_taken_as_far_as_it_is_in),
		TEST(a_ragged_buffer_is_refused),
		TEST(a_buffer_of_too_many_pages_is_refused),
		TEST(a_descriptor_of_1_gib_is_refused),
		TEST(a_length_that_points_past_a_region_is_refused),
		TEST(an_address_that_wraps_is_refused),
		TEST(a_buffer_outside_ram_is_refused),
		TEST(a_writable_buffer_of_pages_is_refused),
		TEST(a_readable_report_is_refused),
		TEST(a_chain_with_one_wrong_direction_is_refused_whole),
		TEST(a_chain_that_loops_is_refused),
		cmocka_unit_test_setup_teardown(an_indirect_table_that_loops_is_refused,
						setup_indirect, teardown),
		TEST(an_empty_buffer_is_refused),
		TEST(a_kick_of_any_number_is_harmless),
		TEST(the_log_is_bounded),
		TEST(many_faults_at_once_are_one_line),
		TEST(a_deflate_that_cannot_be_read_ends_all_releases),
		cmocka_unit_test(a_ring_that_makes_no_sense_needs_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
