/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory map changes under the device: at boot, when memory is plugged, at any time. */
#include "tests/unit/device_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "device/state.h"

#define RAM_PAGES (uint32_t)(RIG_RAM_BYTES / PAGE)

/* The linker puts these in place of calloc() and mmap(), whose offsets have 64 bits. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset);

static bool memory_is_short; /* none can be allocated; files can be mapped */

void *__wrap_calloc(size_t count, size_t size)
{
	return memory_is_short ? NULL : __real_calloc(count, size);
}

void *__wrap_mmap64(void *at, size_t size, int access, int flags, int fd, off_t offset)
{
	if (memory_is_short && flags & MAP_ANONYMOUS) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(at, size, access, flags, fd, offset);
}

static int setup(void **state)
{
	*state = rig_new(&(struct rig_options){ .features = RIG_TELL, .backing = RIG_MEMFD });
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/*
 * The target
 */

/* The VMM maps and unmaps RAM while the firmware runs. */
static void a_target_before_the_driver_follows_the_memory_map(void **state)
{
	const uint64_t all = RIG_RAM_BYTES + RIG_DRIVER_BYTES;
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .max_by_memory = true, .no_driver = true });

	(void)state;
	balloon_set_target(rig->balloon, all - 100 * PAGE);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 100);
	rig_hide(rig, 0);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 0);
	rig_hide_driver(rig);
	assert_int_equal(rig_info(rig).max_bytes, 0);
	rig_show_driver(rig);
	rig_show(rig, 0);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 100);
	rig_free(rig);
}

static void a_target_before_the_memory_is_not_forgotten(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .max_by_memory = true, .no_driver = true });

	(void)state;
	balloon_unmap_all(rig->balloon);
	balloon_set_target(rig->balloon, RIG_DRIVER_BYTES - 7 * PAGE);
	rig_show_driver(rig);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 7);
	rig_free(rig);
}

static void a_target_while_there_is_no_memory_is_not_forgotten(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_TELL, .max_by_memory = true });

	(void)state;
	balloon_unmap_all(rig->balloon);
	balloon_set_target(rig->balloon, RIG_DRIVER_BYTES - 7 * PAGE);
	rig_show_driver(rig);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 7);
	assert_int_equal(rig->config_interrupts, 1);
	rig_free(rig);
}

static void memory_that_is_plugged_is_the_guests(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_TELL, .max_by_memory = true });
	uint64_t before;

	(void)state;
	before = rig_info(rig).max_bytes;
	balloon_set_target(rig->balloon, before - 100 * PAGE);
	rig_map(rig, 2 * GIB, 8 * MIB, RIG_MEMFD);
	assert_int_equal(rig_info(rig).max_bytes, before + 8 * MIB);
	assert_int_equal(rig_info(rig).target_bytes, before + 8 * MIB - 100 * PAGE);
	assert_int_equal(rig_config(rig, RIG_NUM_PAGES), 100);
	rig_free(rig);
}

static void memory_that_is_plugged_can_be_ballooned(void **state)
{
	struct device_rig *rig = *state;
	uint32_t pfn = 2 * GIB / PAGE;

	rig_map(rig, 2 * GIB, 8 * MIB, RIG_MEMFD);
	rig_touch(rig, pfn, 2048);
	rig_inflate(rig, pfn, BLOCK);
	rig_settle(rig);
	assert_int_equal(rig_file_bytes(rig), 6 * MIB);
	assert_int_equal(rig_faults(rig), 0);
}

/*
 * Memory that is unmapped
 */

static void what_waits_in_unmapped_memory_is_not_released(void **state)
{
	struct device_rig *rig = *state;

	rig_map(rig, 2 * GIB, 8 * MIB, RIG_MEMFD);
	rig_touch(rig, 2 * GIB / PAGE, 100);
	rig_touch(rig, 0, 100);
	rig_inflate(rig, 2 * GIB / PAGE, 100);
	rig_inflate(rig, 0, 100);
	rig_hide(rig, 1);
	assert_int_equal(rig_info(rig).pending_bytes, 100 * PAGE);
	rig_show(rig, 1);
	rig_settle(rig);
	assert_true(rig_intact(rig, 2 * GIB / PAGE, 100));
	assert_int_equal(rig_resident(rig, 0, 100), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_RELEASE_FAILED), 0);
}

static void the_account_outlives_a_remap(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 100);
	rig_hide(rig, 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, 100 * PAGE);
	rig_show(rig, 0);
	rig_deflate(rig, 0, 100);
	assert_int_equal(rig_faults(rig), 0);
}

/* A range up to the end of all addresses is more pages than 32 bits count. */
static void any_range_can_be_unmapped(void **state)
{
	struct device_rig *rig = *state;

	rig_touch(rig, 0, 100);
	rig_inflate(rig, 0, 100);
	assert_int_equal(balloon_unmap(rig->balloon, 0, UINT64_MAX), 2);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	rig_show(rig, 0);
	rig_show_driver(rig);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 100));
}

static void all_memory_can_go_and_come_back(void **state)
{
	struct device_rig *rig = *state;

	rig_touch(rig, 0, 100);
	rig_inflate(rig, 0, 100);
	/* Parts of huge pages stand on no list, and are forgotten as well. */
	pages_unlist(&rig->balloon->pages, 0);
	balloon_unmap_all(rig->balloon);
	assert_int_equal(rig_info(rig).pending_bytes, 0);
	rig_settle(rig);
	rig_show(rig, 0);
	rig_show_driver(rig);
	rig_inflate(rig, 100, BLOCK - 100);
	assert_int_equal(rig_info(rig).ballooned_bytes, 2 * MIB);
}

/* Its page is the guest's again, though there was no way to look at it. */
static void a_deflate_of_a_page_in_unmapped_memory_takes_it_out_of_the_account(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, BLOCK - 1);
	rig_hide(rig, 0);
	rig_deflate(rig, 5, 1);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 1);
	rig_show(rig, 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, (BLOCK - 2) * PAGE);
	rig_touch(rig, 5, 1);
	rig_inflate(rig, BLOCK - 1, 1);
	rig_settle(rig);
	assert_true(rig_intact(rig, 5, 1));
}

static void a_region_that_is_refused_changes_nothing(void **state)
{
	struct device_rig *rig = *state;

	assert_int_equal(balloon_add(rig->balloon, 0, 0, NULL), -EINVAL);
	assert_int_equal(balloon_add(rig->balloon, PAGE, PAGE, rig->driver), -EINVAL);
	assert_int_equal(balloon_add(rig->balloon, UINT64_MAX - 4095, 8192, rig->driver), -EINVAL);
	assert_int_equal(balloon_map(rig->balloon, 2 * RIG_DRIVER_GPA, RIG_DRIVER_GPA,
				     rig->ram[0].fd, 0, true),
			 -EBADF);
	/* No account was made for it, either. */
	assert_false(pages_has_leaf(&rig->balloon->pages, 2 * RIG_DRIVER_GPA / PAGE));
	rig_inflate(rig, 0, 5);
}

/*
 * Rings that go
 */

/* The same guest addresses are elsewhere in this process now. */
static void rings_are_looked_up_again_when_memory_moves(void **state)
{
	struct device_rig *rig = *state;
	uint8_t *moved = mmap(NULL, RIG_DRIVER_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(moved, MAP_FAILED);
	rig_inflate(rig, 0, 5);
	rig_hide_driver(rig);
	memcpy(moved + RIG_DRIVER_BYTES / 4 * 3, rig->driver + RIG_DRIVER_BYTES / 4 * 3,
	       RIG_DRIVER_BYTES / 4);
	munmap(rig->driver, RIG_DRIVER_BYTES);
	rig->driver = moved;
	rig_show_driver(rig);
	rig_inflate(rig, 5, 5);
	assert_int_equal(rig_info(rig).ballooned_bytes, 10 * PAGE);
}

/* QEMU's way: unmapped in one message, mapped in the next, and the device may work between. */
static void what_comes_while_rings_are_away_is_taken_later(void **state)
{
	struct device_rig *rig = *state;

	rig_hide_driver(rig);
	rig_send_range(rig, BALLOON_INFLATE, 0, 5, 5);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 1);
	rig_show_driver(rig);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
}

static void a_buffer_in_hand_is_not_lost_while_rings_are_away(void **state)
{
	struct device_rig *rig = *state;
	static uint32_t pfns[10000];

	for (uint32_t i = 0; i < 10000; i++)
		pfns[i] = i;
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 10000);
	rig_kick(rig, BALLOON_INFLATE);
	rig_step(rig);
	rig_hide_driver(rig);
	rig_settle(rig);
	rig_show_driver(rig);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig_info(rig).ballooned_bytes, 10000 * PAGE);
	assert_int_equal(rig_faults(rig), 0);
}

static void held_buffers_are_not_lost_while_rings_are_away(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .backing = RIG_MEMFD });

	(void)state;
	rig_send_range(rig, BALLOON_INFLATE, 0, 2 * BLOCK, 256);
	rig_step(rig);
	assert_int_equal(rig->balloon->inflate.held_count, 4);
	rig_hide_driver(rig);
	rig_settle(rig);
	rig_show_driver(rig);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	rig_free(rig);
}

static void the_statistics_buffer_is_held_over_a_remap(void **state)
{
	struct device_rig *rig = rig_new(
		&(struct rig_options){ .features = RIG_MODERN | BALLOON_BIT(BALLOON_F_STATS_VQ) });

	(void)state;
	rig_send_one(rig, BALLOON_STATS, rig_alloc(rig, 10), 10, false);
	rig_kick(rig, BALLOON_STATS);
	rig_work(rig);
	rig_hide_driver(rig);
	assert_false(balloon_request_stats(rig->balloon));
	rig_show_driver(rig);
	assert_true(balloon_request_stats(rig->balloon));
	assert_int_equal(rig_outstanding(rig, BALLOON_STATS), 0);
	rig_free(rig);
}

/*
 * Memory of the host's that is short
 */

static void without_memory_there_is_no_device(void **state)
{
	const struct balloon_options options = { .features = 0 };
	const struct balloon_host host = { 0 };

	(void)state;
	memory_is_short = true;
	assert_null(balloon_new(&options, &host));
	memory_is_short = false;
	balloon_free(NULL);
}

static void ram_whose_account_cannot_be_had_is_not_ballooned(void **state)
{
	struct device_rig *rig = *state;
	uint32_t pfn = 2 * GIB / PAGE;

	memory_is_short = true;
	rig_map(rig, 2 * GIB, 8 * MIB, RIG_MEMFD);
	memory_is_short = false;
	assert_int_equal(rig->logged, 1);
	rig_touch(rig, pfn, 8);
	rig_inflate(rig, pfn, 8);
	rig_settle(rig);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 8);
	assert_true(rig_intact(rig, pfn, 8));
	rig_deflate(rig, pfn, 8);
	rig_inflate(rig, 0, 8);
	assert_int_equal(rig_info(rig).ballooned_bytes, 8 * PAGE);
}

/* Everything that a guest can make the device do, with no memory to be had. */
static void nothing_a_guest_does_allocates(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = RIG_TELL | 0x3f });

	(void)state;
	memory_is_short = true;
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++) {
		rig_send_one(rig, kind, 0, 640, kind == BALLOON_REPORTING);
		rig_kick(rig, kind);
	}
	rig_inflate(rig, 0, RAM_PAGES);
	rig_settle(rig);
	rig_deflate(rig, 0, RAM_PAGES);
	balloon_audit_start(rig->balloon);
	rig_settle(rig);
	rig_reset(rig);
	memory_is_short = false;
	assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), RAM_PAGES + 1);
	rig_free(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_before_the_driver_follows_the_memory_map),
		cmocka_unit_test(a_target_before_the_memory_is_not_forgotten),
		cmocka_unit_test(a_target_while_there_is_no_memory_is_not_forgotten),
		cmocka_unit_test(memory_that_is_plugged_is_the_guests),
		TEST(memory_that_is_plugged_can_be_ballooned),
		TEST(what_waits_in_unmapped_memory_is_not_released),
		TEST(the_account_outlives_a_remap),
		TEST(any_range_can_be_unmapped),
		TEST(all_memory_can_go_and_come_back),
		TEST(a_deflate_of_a_page_in_unmapped_memory_takes_it_out_of_the_account),
		TEST(a_region_that_is_refused_changes_nothing),
		TEST(rings_are_looked_up_again_when_memory_moves),
		TEST(what_comes_while_rings_are_away_is_taken_later),
		TEST(a_buffer_in_hand_is_not_lost_while_rings_are_away),
		cmocka_unit_test(held_buffers_are_not_lost_while_rings_are_away),
		cmocka_unit_test(the_statistics_buffer_is_held_over_a_remap),
		cmocka_unit_test(without_memory_there_is_no_device),
		TEST(ram_whose_account_cannot_be_had_is_not_ballooned),
		cmocka_unit_test(nothing_a_guest_does_allocates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
