/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When ballooned memory goes back to the host, in how many calls, and that it
 * never does so too late: what the guest has again is its own.
 */
#include "tests/unit/device_rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/state.h"

#define FULL_WAIT (50 * MS) /* how long whole blocks wait for company */

static struct device_rig *rig_with(uint64_t features, enum rig_backing backing)
{
	return rig_new(&(struct rig_options){ .features = features, .backing = backing });
}

static uint64_t calls(const struct device_rig *rig)
{
	return rig_count(rig, BALLOON_C_RELEASE_CALLS);
}

static uint64_t released(const struct device_rig *rig)
{
	return rig_count(rig, BALLOON_C_RELEASED_BYTES);
}

/*
 * Without MUST_TELL_HOST
 */

struct expectation {
	uint64_t file_bytes;
	unsigned int interrupts;
};

static void has_shrunk(struct device_rig *rig, unsigned int queue)
{
	struct expectation *expected = rig->on_interrupt_data;

	assert_int_equal(queue, 0);
	assert_int_equal(rig_file_bytes(rig), expected->file_bytes);
	expected->interrupts++;
}

static void without_must_tell_host_a_buffer_returns_after_its_release(void **state)
{
	/* Parts of blocks and whole ones; whole ones alone. */
	static const uint32_t first[] = { 300, 4 * BLOCK }, pages[] = { 1300, 2 * BLOCK };
	struct device_rig *rig = rig_with(RIG_MODERN, RIG_MEMFD);
	struct expectation expected = { .interrupts = 0 };

	(void)state;
	rig_touch(rig, 0, 6 * BLOCK);
	rig->on_interrupt = has_shrunk;
	rig->on_interrupt_data = &expected;
	for (unsigned int i = 0; i < 2; i++) {
		expected.file_bytes = rig_file_bytes(rig) - pages[i] * PAGE;
		rig_inflate(rig, first[i], pages[i]);
	}
	assert_int_equal(expected.interrupts, 6 + 4);
	rig_free(rig);
}

static void without_must_tell_host_nothing_waits(void **state)
{
	struct device_rig *rig = rig_with(RIG_MODERN, RIG_MEMFD);

	(void)state;
	rig_inflate(rig, 300, 700);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, 700 * PAGE);
	/* Nor does the device itself: it sleeps until it is kicked. */
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	rig_pass(rig, 10 * RIG_DELAY_NS);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	rig_free(rig);
}

static void without_must_tell_host_any_number_of_buffers_comes_back(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_MODERN, .backing = RIG_MEMFD, .queue_size = 256 });
	uint64_t before;

	(void)state;
	rig_touch(rig, 0, 2000);
	before = rig_file_bytes(rig);
	rig_send_range(rig, BALLOON_INFLATE, 0, 2000, 10);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(before - rig_file_bytes(rig), 2000 * PAGE);
	rig_free(rig);
}

/* More come while some are held, since a release is a step of its own. */
static void without_must_tell_host_no_more_buffers_are_held_than_there_is_room(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .queue_size = 256 });

	(void)state;
	for (uint32_t i = 0; i < 30; i++)
		rig_send_range(rig, BALLOON_INFLATE, i * BLOCK, 1, 1);
	rig_step(rig);
	assert_int_equal(rig->balloon->inflate.held_count, 30);
	for (uint32_t i = 0; i < 100; i++)
		rig_send_range(rig, BALLOON_INFLATE, i * 100 + 1, 1, 1);
	rig_step(rig);
	assert_int_equal(rig->balloon->inflate.held_count, HELD_MAX);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), 130);
	rig_free(rig);
}

/* The driver may use a page again before it sends the deflate. */
static void without_must_tell_host_a_page_in_use_again_is_left_alone(void **state)
{
	struct device_rig *rig = rig_with(RIG_MODERN, RIG_MEMFD);

	(void)state;
	rig_touch(rig, 0, BLOCK);
	rig_inflate(rig, 0, BLOCK - 1);
	rig_touch(rig, 0, 100);
	/* Not even when the rest of the block comes into the balloon. */
	rig_inflate(rig, BLOCK - 1, 1);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 100));
	rig_deflate(rig, 0, 100);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 100));
	rig_free(rig);
}

/*
 * The rule broken on purpose: the device is made to believe that MUST_TELL_HOST was
 * acknowledged, and the driver, which did no such thing, uses a page without a deflate.
 */
static void with_the_rule_broken_live_data_is_destroyed(void **state)
{
	struct device_rig *rig = rig_with(RIG_MODERN, RIG_MEMFD);

	(void)state;
	rig->balloon->driver.acknowledged |= BALLOON_BIT(BALLOON_F_MUST_TELL_HOST);
	rig_touch(rig, 0, 100);
	rig_inflate(rig, 0, 100);
	rig_touch(rig, 0, 100);
	assert_true(rig_intact(rig, 0, 100));
	rig_settle(rig);
	assert_false(rig_intact(rig, 0, 100));
	rig_free(rig);
}

static void with_the_rule_kept_it_is_not(void **state)
{
	struct device_rig *rig = rig_with(RIG_MODERN, RIG_MEMFD);

	(void)state;
	rig_touch(rig, 0, 100);
	rig_inflate(rig, 0, 100);
	rig_touch(rig, 0, 100);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 100));
	rig_free(rig);
}

/*
 * With MUST_TELL_HOST
 */

static void a_buffer_returns_at_once_and_its_pages_go_later(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);
	struct expectation expected;

	(void)state;
	rig_touch(rig, 0, 4 * BLOCK);
	expected = (struct expectation){ .file_bytes = rig_file_bytes(rig) };
	rig->on_interrupt = has_shrunk;
	rig->on_interrupt_data = &expected;
	rig_inflate(rig, 300, 700);
	assert_int_equal(expected.interrupts, 3);
	assert_int_equal(rig_info(rig).pending_bytes, 700 * PAGE);
	rig_settle(rig);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	assert_int_equal(expected.file_bytes - rig_file_bytes(rig), 700 * PAGE);
	rig_free(rig);
}

static void what_is_deflated_meanwhile_is_not_released(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_touch(rig, 0, 3 * BLOCK);
	rig_inflate(rig, 0, 3 * BLOCK);
	rig_deflate(rig, 10, 1);
	rig_deflate(rig, BLOCK, BLOCK);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_CANCELLED_PAGES), 1 + BLOCK);
	rig_settle(rig);
	assert_true(rig_intact(rig, 10, 1));
	assert_true(rig_intact(rig, BLOCK, BLOCK));
	assert_int_equal(rig_resident(rig, 0, 3 * BLOCK), 1 + BLOCK);
	rig_free(rig);
}

/* The driver writes as soon as it has the acknowledgement, and at no other moment. */
static void a_deflated_page_may_be_written_from_its_acknowledgement_on(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	for (unsigned int round = 0; round < 50; round++) {
		rig_inflate(rig, 0, 2 * BLOCK);
		rig_pass(rig, round * 5 * MS);
		while (round % 3 && rig_step(rig))
			;
		rig_send_range(rig, BALLOON_DEFLATE, 0, 2 * BLOCK, 256);
		while (rig_outstanding(rig, BALLOON_DEFLATE))
			rig_step(rig);
		rig_touch(rig, 0, 2 * BLOCK);
		rig_settle(rig);
		assert_true(rig_intact(rig, 0, 2 * BLOCK));
	}
	rig_free(rig);
}

/* When the block at @pfn was released, in ms since it was inflated. */
static uint64_t waited_ms(struct device_rig *rig, uint32_t pfn)
{
	struct pages_block block;

	for (uint64_t ms = 0; ms < 1000; ms++) {
		rig_work(rig);
		assert_true(pages_copy_block(&rig->balloon->pages, pfn, &block));
		if (!block.pending[pfn % BLOCK / 64])
			return ms;
		rig_pass(rig, MS);
	}
	fail_msg("never released");
	return 0;
}

static void an_incomplete_block_waits_for_the_delay_to_twice_the_delay(void **state)
{
	(void)state;
	for (uint64_t apart = 0; apart <= 100; apart += 20) {
		struct device_rig *rig = rig_with(RIG_TELL, RIG_ANONYMOUS);

		rig_inflate(rig, 0, 100);
		rig_pass(rig, apart * MS);
		rig_work(rig);
		rig_inflate(rig, BLOCK, 100);
		assert_in_range(waited_ms(rig, BLOCK), 100, 200);
		assert_int_equal(rig_resident(rig, 0, 100), 0);
		rig_free(rig);
	}
}

/* It stands on another list then, and the clock of that list may not run. */
static void a_whole_block_that_loses_a_page_goes_in_time_too(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);
	uint32_t pfns[BLOCK];

	(void)state;
	for (uint32_t i = 0; i < BLOCK; i++)
		pfns[i] = i;
	rig_touch(rig, 0, BLOCK);
	/* In one buffer: it is never anything but whole. */
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, BLOCK);
	rig_kick(rig, BALLOON_INFLATE);
	rig_work(rig);
	rig_deflate(rig, 9, 1);
	assert_in_range(waited_ms(rig, 0), 100, 200);
	assert_int_equal(rig_resident(rig, 0, BLOCK), 1);
	assert_true(rig_intact(rig, 9, 1));
	rig_free(rig);
}

static void a_whole_block_waits_for_company_but_not_long(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_inflate(rig, 0, BLOCK);
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig_work(rig), FULL_WAIT);
	rig_pass(rig, FULL_WAIT);
	rig_work(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 2 * MIB);
	rig_free(rig);
}

static void whole_blocks_that_touch_go_in_one_call(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_inflate(rig, 0, 8 * BLOCK);
	rig_settle(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 16 * MIB);
	rig_inflate(rig, 8 * BLOCK, 16 * BLOCK);
	/* Enough of them do not wait. */
	assert_int_equal(calls(rig), 3);
	rig_free(rig);
}

static void a_block_goes_whole_though_its_buffers_were_many(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	for (uint32_t i = 0; i < BLOCK; i += 8)
		rig_inflate(rig, BLOCK + i, 8);
	rig_settle(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 2 * MIB);
	rig_free(rig);
}

/* Of a huge page only a whole release is worth much. */
static void a_block_that_becomes_complete_later_goes_again_and_whole(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_inflate(rig, 0, BLOCK - 1);
	rig_settle(rig);
	assert_int_equal(released(rig), (BLOCK - 1) * PAGE);
	rig_inflate(rig, BLOCK - 1, 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), 2);
	assert_int_equal(released(rig), (BLOCK - 1) * PAGE + 2 * MIB);
	rig_free(rig);
}

static void at_the_target_all_goes_at_once(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_touch(rig, 0, BLOCK + 100);
	balloon_set_target(rig->balloon, RIG_RAM_BYTES - (BLOCK + 100) * PAGE);
	rig_inflate(rig, 100, BLOCK);
	rig_set_config(rig, RIG_ACTUAL, BLOCK);
	rig_work(rig);
	assert_int_equal(released(rig), 0);
	rig_inflate(rig, 0, 100);
	rig_set_config(rig, RIG_ACTUAL, BLOCK + 100);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	assert_int_equal(rig_file_bytes(rig), 0);
	rig_free(rig);
}

/*
 * As a fresh Linux guest sends it: 256 pages a buffer, one buffer at a time, downwards.
 * A buffer every 0.25 ms is a guest that gives 4 GiB/s.
 */
static void a_fresh_gib_takes_at_most_100_calls(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .ram_bytes = GIB, .backing = RIG_MEMFD });

	(void)state;
	for (uint32_t end = GIB / PAGE; end; end -= 256) {
		rig_inflate(rig, end - 256, 256);
		rig_pass(rig, MS / 4);
	}
	rig_settle(rig);
	assert_int_equal(released(rig), GIB);
	assert_in_range(calls(rig), 64, 100);
	rig_free(rig);
}

/* Every second page of three blocks in four: whole blocks are released whole, the rest by page. */
static void a_fragmented_guest_takes_a_call_for_each_run(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);
	const uint32_t groups = 4;

	(void)state;
	rig_touch(rig, 0, groups * 4 * BLOCK);
	for (uint32_t group = 0; group < groups; group++) {
		uint32_t first = group * 4 * BLOCK;

		for (uint32_t i = 0; i < 3 * BLOCK; i += 2)
			rig_send_range(rig, BALLOON_INFLATE, first + i, 1, 1);
		rig_send_range(rig, BALLOON_INFLATE, first + 3 * BLOCK, BLOCK, 256);
	}
	rig_settle(rig);
	assert_int_equal(calls(rig), groups * (1 + 3 * BLOCK / 2));
	assert_int_equal(rig_resident(rig, 0, groups * 4 * BLOCK), groups * 3 * BLOCK / 2);
	for (uint32_t i = 1; i < 3 * BLOCK; i += 2)
		assert_true(rig_intact(rig, i, 1));
	rig_free(rig);
}

/* A block of private memory takes one call, where the kernel has vectors for it. */
static void runs_of_a_private_block_go_together(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_ANONYMOUS);

	(void)state;
	rig_touch(rig, 0, BLOCK);
	for (uint32_t i = 0; i < BLOCK; i += 2)
		rig_send_range(rig, BALLOON_INFLATE, i, 1, 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), rig->balloon->release.no_vectors ? BLOCK / 2 : 1);
	assert_int_equal(rig_resident(rig, 0, BLOCK), BLOCK / 2);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
	rig_free(rig);
}

static void a_block_across_two_regions_goes_in_parts(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .ram_bytes = 3 * MIB, .backing = RIG_MEMFD });

	(void)state;
	rig_map(rig, 3 * MIB, 5 * MIB, RIG_MEMFD);
	rig_touch(rig, 0, 2048);
	rig_inflate(rig, BLOCK, BLOCK);
	rig_settle(rig);
	assert_int_equal(rig_file_bytes(rig), 6 * MIB);
	assert_true(rig_intact(rig, 0, BLOCK));
	assert_true(rig_intact(rig, 2 * BLOCK, 2 * BLOCK));
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
	rig_free(rig);
}

/* Whole blocks on both sides of a border: a call ends there, as does what it gives back. */
static void blocks_of_two_regions_go_in_two_calls(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .ram_bytes = 4 * MIB, .backing = RIG_MEMFD });

	(void)state;
	rig_map(rig, 4 * MIB, 4 * MIB, RIG_ANONYMOUS);
	rig_touch(rig, 0, 4 * BLOCK);
	rig_inflate(rig, BLOCK, 2 * BLOCK);
	rig_settle(rig);
	assert_int_equal(calls(rig), 2);
	assert_int_equal(rig_resident(rig, BLOCK, 2 * BLOCK), 0);
	assert_true(rig_intact(rig, 0, BLOCK));
	assert_true(rig_intact(rig, 3 * BLOCK, BLOCK));
	rig_free(rig);
}

static void a_refused_release_is_counted_and_told_with_its_reason(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL, RIG_MEMFD);

	(void)state;
	rig_inflate(rig, 0, BLOCK);
	rig->balloon->memory.regions[0].writable = false;
	rig_settle(rig);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 1);
	assert_int_equal(released(rig), 0);
	assert_int_equal(rig->logged, 1);
	assert_string_equal(rig->log, "host: a release was refused: Invalid argument (1 so far)");
	rig_free(rig);
}

/*
 * Huge pages of hugetlbfs; faked, since few machines have some reserved: the region says that
 * it is made of them, and the memory behind it is an ordinary memfd.
 */

static struct device_rig *rig_of_huge_pages(uint64_t features, uint64_t page_bytes)
{
	struct device_rig *rig = rig_with(features, RIG_MEMFD);

	rig->balloon->memory.regions[0].page_bytes = page_bytes;
	rig->balloon->memory.regions[0].backing = MEMORY_HUGETLB;
	rig_touch(rig, 0, RIG_RAM_BYTES / PAGE);
	return rig;
}

static void a_part_of_a_huge_page_is_remembered_until_it_is_complete(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_TELL, 2 * MIB);

	(void)state;
	rig_inflate(rig, BLOCK, BLOCK - 1);
	rig_inflate(rig, 2 * BLOCK, 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig_info(rig).pending_bytes, BLOCK * PAGE);
	rig_inflate(rig, 2 * BLOCK - 1, 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 2 * MIB);
	assert_int_equal(rig_info(rig).pending_bytes, PAGE);
	assert_true(rig_intact(rig, 0, BLOCK));
	assert_true(rig_intact(rig, 2 * BLOCK, 1));
	rig_free(rig);
}

static void a_part_of_a_huge_page_that_is_deflated_is_forgotten(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_TELL, 2 * MIB);

	(void)state;
	rig_inflate(rig, 0, 300);
	rig_settle(rig);
	rig_deflate(rig, 0, 300);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	rig_inflate(rig, 300, BLOCK - 300);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	assert_true(rig_intact(rig, 0, BLOCK));
	rig_free(rig);
}

static void without_must_tell_host_a_part_of_a_huge_page_is_given_up(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_MODERN, 2 * MIB);

	(void)state;
	rig_inflate(rig, 0, 300);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	/* The guest may use these again; completing the huge page releases nothing. */
	rig_inflate(rig, 300, BLOCK - 300);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	assert_true(rig_intact(rig, 0, BLOCK));
	/* In buffers that are in the ring together it can go. */
	rig_inflate(rig, BLOCK, BLOCK);
	assert_int_equal(released(rig), 2 * MIB);
	rig_free(rig);
}

/* Of 16 MiB here; 1 GiB there. */
static void a_huge_page_larger_than_a_block_goes_when_all_blocks_are_full(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_TELL, 16 * MIB);

	(void)state;
	for (uint32_t i = 0; i < 7; i++) {
		rig_inflate(rig, (8 + i) * BLOCK, BLOCK);
		rig_settle(rig);
	}
	rig_inflate(rig, 15 * BLOCK, BLOCK - 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	rig_inflate(rig, 16 * BLOCK - 1, 1);
	rig_settle(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 16 * MIB);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	assert_true(rig_intact(rig, 0, 8 * BLOCK));
	assert_true(rig_intact(rig, 16 * BLOCK, 8 * BLOCK));
	rig_free(rig);
}

/* It begins elsewhere in the file than the region does, so a part of it is not the region's. */
static void a_huge_page_that_reaches_out_of_its_region_stays(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_TELL, 16 * MIB);
	uint32_t blocks = RIG_RAM_BYTES / (2 * MIB);

	(void)state;
	rig->balloon->memory.regions[0].fd_offset = 8 * MIB;
	rig_inflate(rig, 0, 4 * BLOCK);
	rig_inflate(rig, (blocks - 4) * BLOCK, 4 * BLOCK);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	/* One that lies within it is released. */
	rig_inflate(rig, 4 * BLOCK, 8 * BLOCK);
	rig_settle(rig);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(released(rig), 16 * MIB);
	rig_free(rig);
}

/*
 * The same between other regions, whose pages are in the balloon: of their bits the device must
 * not conclude that all of the huge page is.
 */
static void a_huge_page_that_reaches_into_other_regions_stays(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .ram_bytes = 32 * MIB, .backing = RIG_MEMFD });
	int fd = memfd_create("middle", MFD_CLOEXEC);
	struct stat st;

	(void)state;
	for (off_t at = 0; at < (off_t)(48 * MIB); at += PAGE)
		assert_int_equal(pwrite(fd, &rig, 1, at), 1);
	assert_int_equal(ftruncate(fd, 48 * MIB), 0);
	assert_int_equal(balloon_map(rig->balloon, 32 * MIB, 32 * MIB, dup(fd), 8 * MIB, true), 0);
	rig_map(rig, 64 * MIB, 32 * MIB, RIG_MEMFD);
	rig->balloon->memory.regions[1].page_bytes = 16 * MIB;
	/* The others' pages first, so that all is in the account when the middle's are looked at.
	 */
	rig_inflate(rig, 0, 32 * MIB / PAGE);
	rig_inflate(rig, 64 * MIB / PAGE, 32 * MIB / PAGE);
	rig_settle(rig);
	rig_inflate(rig, 32 * MIB / PAGE, 32 * MIB / PAGE);
	rig_settle(rig);
	/* Of the three huge pages that the middle has to do with, the one that is all its own. */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal((uint64_t)st.st_blocks * 512, 32 * MIB);
	assert_int_equal(lseek(fd, 0, SEEK_HOLE), 16 * MIB);
	assert_int_equal(lseek(fd, 16 * MIB, SEEK_DATA), 32 * MIB);
	assert_int_equal(released(rig), 80 * MIB);
	assert_int_equal(rig_info(rig).pending_bytes, 16 * MIB);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
	close(fd);
	rig_free(rig);
}

/* It lies across blocks of the account, whose bits do not cover all of it. */
static void a_huge_page_that_is_no_whole_number_of_blocks_stays(void **state)
{
	struct device_rig *rig = rig_of_huge_pages(RIG_TELL, 16 * MIB);

	(void)state;
	rig->balloon->memory.regions[0].fd_offset = 15 * MIB;
	/* Eight whole blocks, and of the huge page that begins at 1 MiB the last MiB is missing. */
	rig_inflate(rig, 0, 8 * BLOCK);
	rig_settle(rig);
	assert_int_equal(calls(rig), 0);
	rig_free(rig);
}

static void real_huge_pages_go_whole(void **state)
{
	const char *missing = rig_no_hugetlb(8 * MIB);
	struct device_rig *rig;

	(void)state;
	if (missing) {
		print_message("%s\n", missing);
		skip();
	}
	rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .backing = RIG_HUGETLB, .ram_bytes = 8 * MIB });
	rig_touch(rig, 0, 4 * BLOCK);
	rig_inflate(rig, BLOCK - 10, BLOCK + 20);
	rig_settle(rig);
	assert_int_equal(rig_file_bytes(rig), 6 * MIB);
	assert_int_equal(rig_info(rig).pending_bytes, 20 * PAGE);
	assert_true(rig_intact(rig, 0, BLOCK));
	assert_true(rig_intact(rig, 2 * BLOCK, 2 * BLOCK));
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_must_tell_host_a_buffer_returns_after_its_release),
		cmocka_unit_test(without_must_tell_host_nothing_waits),
		cmocka_unit_test(without_must_tell_host_any_number_of_buffers_comes_back),
		cmocka_unit_test(
			without_must_tell_host_no_more_buffers_are_held_than_there_is_room),
		cmocka_unit_test(without_must_tell_host_a_page_in_use_again_is_left_alone),
		cmocka_unit_test(with_the_rule_broken_live_data_is_destroyed),
		cmocka_unit_test(with_the_rule_kept_it_is_not),
		cmocka_unit_test(a_buffer_returns_at_once_and_its_pages_go_later),
		cmocka_unit_test(what_is_deflated_meanwhile_is_not_released),
		cmocka_unit_test(a_deflated_page_may_be_written_from_its_acknowledgement_on),
		cmocka_unit_test(an_incomplete_block_waits_for_the_delay_to_twice_the_delay),
		cmocka_unit_test(a_whole_block_that_loses_a_page_goes_in_time_too),
		cmocka_unit_test(a_whole_block_waits_for_company_but_not_long),
		cmocka_unit_test(whole_blocks_that_touch_go_in_one_call),
		cmocka_unit_test(a_block_goes_whole_though_its_buffers_were_many),
		cmocka_unit_test(a_block_that_becomes_complete_later_goes_again_and_whole),
		cmocka_unit_test(at_the_target_all_goes_at_once),
		cmocka_unit_test(a_fresh_gib_takes_at_most_100_calls),
		cmocka_unit_test(a_fragmented_guest_takes_a_call_for_each_run),
		cmocka_unit_test(runs_of_a_private_block_go_together),
		cmocka_unit_test(a_block_across_two_regions_goes_in_parts),
		cmocka_unit_test(blocks_of_two_regions_go_in_two_calls),
		cmocka_unit_test(a_refused_release_is_counted_and_told_with_its_reason),
		cmocka_unit_test(a_part_of_a_huge_page_is_remembered_until_it_is_complete),
		cmocka_unit_test(a_part_of_a_huge_page_that_is_deflated_is_forgotten),
		cmocka_unit_test(without_must_tell_host_a_part_of_a_huge_page_is_given_up),
		cmocka_unit_test(a_huge_page_larger_than_a_block_goes_when_all_blocks_are_full),
		cmocka_unit_test(a_huge_page_that_reaches_out_of_its_region_stays),
		cmocka_unit_test(a_huge_page_that_reaches_into_other_regions_stays),
		cmocka_unit_test(a_huge_page_that_is_no_whole_number_of_blocks_stays),
		cmocka_unit_test(real_huge_pages_go_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
