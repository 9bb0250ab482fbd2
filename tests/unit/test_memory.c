/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the guest's addresses are: regions, look-ups, and what is refused. */
#include "device/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE MEMORY_PAGE_BYTES
#define MIB UINT64_C(0x100000)
#define TOP (UINT64_MAX - PAGE + 1) /* the last page that there can be */

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct memory));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	memory_clear(*state);
	free(*state);
	return 0;
}

static int file(uint64_t bytes)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Some pages of this process, by their number. */
static uint8_t *pages(unsigned int number)
{
	static uint8_t bytes[16 * 4096] __attribute__((aligned(4096)));

	return bytes + number * 4096;
}

static void add(struct memory *memory, uint64_t gpa, uint64_t size)
{
	assert_int_equal(memory_add(memory, gpa, size, pages(0)), 0);
}

static void refuses(struct memory *memory, uint64_t gpa, uint64_t size, int error)
{
	unsigned int count = memory->count;

	assert_int_equal(memory_add(memory, gpa, size, pages(0)), error);
	assert_int_equal(memory->count, count);
}

static void regions_stand_in_order_of_their_addresses(void **state)
{
	struct memory *memory = *state;

	add(memory, 8 * PAGE, PAGE);
	add(memory, 0, PAGE);
	add(memory, 4 * PAGE, 2 * PAGE);
	assert_int_equal(memory->regions[0].gpa, 0);
	assert_int_equal(memory->regions[1].gpa, 4 * PAGE);
	assert_int_equal(memory->regions[2].gpa, 8 * PAGE);
}

static void the_region_of_an_address_is_found(void **state)
{
	struct memory *memory = *state;

	add(memory, PAGE, PAGE);
	add(memory, 4 * PAGE, 2 * PAGE);
	assert_null(memory_find(memory, 0));
	assert_null(memory_find(memory, PAGE - 1));
	assert_ptr_equal(memory_find(memory, PAGE), &memory->regions[0]);
	assert_ptr_equal(memory_find(memory, 2 * PAGE - 1), &memory->regions[0]);
	assert_null(memory_find(memory, 2 * PAGE));
	assert_ptr_equal(memory_find(memory, 6 * PAGE - 1), &memory->regions[1]);
	assert_null(memory_find(memory, 6 * PAGE));
	assert_null(memory_find(memory, UINT64_MAX));
}

static void regions_that_touch_are_no_overlap(void **state)
{
	struct memory *memory = *state;

	add(memory, 2 * PAGE, PAGE);
	add(memory, PAGE, PAGE);
	add(memory, 3 * PAGE, PAGE);
	assert_int_equal(memory->count, 3);
}

static void an_overlap_is_refused(void **state)
{
	struct memory *memory = *state;

	add(memory, 4 * PAGE, 4 * PAGE);
	refuses(memory, 4 * PAGE, 4 * PAGE, -EINVAL);
	refuses(memory, 5 * PAGE, PAGE, -EINVAL);
	refuses(memory, 3 * PAGE, 2 * PAGE, -EINVAL);
	refuses(memory, 7 * PAGE, 2 * PAGE, -EINVAL);
	refuses(memory, 0, 16 * PAGE, -EINVAL);
}

static void an_empty_unaligned_or_wrapping_region_is_refused(void **state)
{
	struct memory *memory = *state;

	refuses(memory, 0, 0, -EINVAL);
	refuses(memory, 1, PAGE, -EINVAL);
	refuses(memory, 0, PAGE + 1, -EINVAL);
	refuses(memory, TOP, 2 * PAGE, -EINVAL);
	assert_int_equal(memory_add(memory, 0, PAGE, pages(0) + 8), -EINVAL);
}

static void the_last_page_of_all_can_be_had(void **state)
{
	struct memory *memory = *state;

	add(memory, TOP, PAGE);
	assert_non_null(memory_find(memory, UINT64_MAX));
	assert_ptr_equal(memory_at(memory, TOP, PAGE, true), pages(0));
	assert_null(memory_at(memory, TOP, PAGE + 1, true));
	assert_int_equal(memory_unmap(memory, TOP, PAGE), 1);
}

static void the_number_of_regions_is_bounded(void **state)
{
	struct memory *memory = *state;

	for (unsigned int i = 0; i < MEMORY_REGIONS_MAX; i++)
		add(memory, i * 2 * PAGE, PAGE);
	refuses(memory, MEMORY_REGIONS_MAX * 2 * PAGE, PAGE, -ENOSPC);
	for (unsigned int i = 0; i < MEMORY_REGIONS_MAX; i++)
		assert_ptr_equal(memory_find(memory, i * 2 * PAGE), &memory->regions[i]);
}

static void a_file_is_mapped_where_it_belongs(void **state)
{
	struct memory *memory = *state;
	int fd = file(4 * PAGE);

	assert_int_equal(pwrite(fd, "here", 5, 2 * (off_t)PAGE), 5);
	assert_int_equal(memory_map(memory, 16 * PAGE, 2 * PAGE, fd, 2 * PAGE, true), 0);
	assert_string_equal(memory_at(memory, 16 * PAGE, 5, true), "here");
	assert_int_equal(memory->regions[0].fd_offset, 2 * PAGE);
	assert_int_equal(memory->regions[0].file_bytes, 4 * PAGE);
}

static void a_region_owns_its_file(void **state)
{
	struct memory *memory = *state;
	int fd = file(PAGE), other = file(PAGE);

	assert_int_equal(memory_map(memory, 0, PAGE, fd, 0, true), 0);
	assert_int_equal(memory_map(memory, PAGE, PAGE, other, 0, true), 0);
	assert_int_equal(memory_unmap(memory, 0, PAGE), 1);
	assert_false(is_open(fd));
	assert_true(is_open(other));
	memory_clear(memory);
	assert_false(is_open(other));
}

static void a_refused_file_stays_the_callers(void **state)
{
	struct memory *memory = *state;
	int fd = file(2 * PAGE), folder = open("/usr", O_RDONLY | O_DIRECTORY), pipes[2];

	assert_int_equal(memory_map(memory, 0, 3 * PAGE, fd, 0, true), -EBADF);
	assert_int_equal(memory_map(memory, 0, PAGE, fd, 2 * PAGE, true), -EBADF);
	assert_int_equal(memory_map(memory, 0, PAGE, fd, UINT64_MAX - PAGE + 1, true), -EBADF);
	assert_int_equal(memory_map(memory, 0, PAGE, fd, 1, true), -EINVAL);
	assert_int_equal(memory_map(memory, 0, PAGE, -1, 0, true), -EBADF);
	assert_true(is_open(fd));
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(memory_map(memory, 0, PAGE, pipes[0], 0, true), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(memory_map(memory, 0, PAGE, folder, 0, true), -EBADF);
	close(folder);
	assert_int_equal(memory->count, 0);
}

static void a_file_that_may_only_be_read_is_not_mapped_to_be_written(void **state)
{
	struct memory *memory = *state;
	char path[] = "/tmp/aerostat-memory-XXXXXX";
	int fd = mkstemp(path), reader = open(path, O_RDONLY | O_CLOEXEC);

	unlink(path);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(memory_map(memory, 0, PAGE, reader, 0, true), -EACCES);
	assert_int_equal(memory_map(memory, 0, PAGE, reader, 0, false), 0);
	assert_null(memory_at(memory, 0, PAGE, true));
	assert_non_null(memory_at(memory, 0, PAGE, false));
	close(fd);
}

static void a_range_is_had_only_within_one_region(void **state)
{
	struct memory *memory = *state;

	assert_int_equal(memory_add(memory, PAGE, PAGE, pages(1)), 0);
	assert_int_equal(memory_add(memory, 2 * PAGE, PAGE, pages(5)), 0);
	assert_ptr_equal(memory_at(memory, PAGE, PAGE, true), pages(1));
	assert_ptr_equal(memory_at(memory, 2 * PAGE - 1, 1, true), pages(2) - 1);
	assert_null(memory_at(memory, 2 * PAGE - 1, 2, true));
	assert_null(memory_at(memory, PAGE, 0, true));
	assert_null(memory_at(memory, 0, 1, true));
	assert_null(memory_at(memory, PAGE, UINT64_MAX, true));
	assert_null(memory_at(memory, PAGE + 1, UINT64_MAX, true));
}

static void reading_goes_across_regions_that_touch(void **state)
{
	struct memory *memory = *state;
	char text[8] = "";

	assert_int_equal(memory_add(memory, PAGE, PAGE, pages(1)), 0);
	assert_int_equal(memory_add(memory, 2 * PAGE, PAGE, pages(5)), 0);
	memcpy(pages(2) - 3, "abc", 3);
	memcpy(pages(5), "defg", 4);
	assert_true(memory_read(memory, 2 * PAGE - 3, text, 7));
	assert_memory_equal(text, "abcdefg", 7);
}

static void reading_a_hole_is_refused(void **state)
{
	struct memory *memory = *state;
	uint8_t bytes[16];

	add(memory, PAGE, PAGE);
	add(memory, 3 * PAGE, PAGE);
	assert_true(memory_read(memory, 2 * PAGE - 16, bytes, 16));
	assert_false(memory_read(memory, 2 * PAGE - 15, bytes, 16));
	assert_false(memory_read(memory, PAGE - 1, bytes, 2));
	assert_false(memory_read(memory, 3 * PAGE - 1, bytes, 2));
}

static void reading_never_wraps(void **state)
{
	struct memory *memory = *state;
	uint8_t bytes[16];

	add(memory, 0, PAGE);
	add(memory, TOP, PAGE);
	assert_true(memory_read(memory, UINT64_MAX - 15, bytes, 16));
	assert_false(memory_read(memory, UINT64_MAX - 14, bytes, 16));
}

static void a_range_removes_the_regions_inside_it(void **state)
{
	struct memory *memory = *state;

	for (unsigned int i = 0; i < 5; i++)
		add(memory, i * 2 * PAGE, PAGE);
	assert_int_equal(memory_unmap(memory, PAGE, 6 * PAGE), 3);
	assert_int_equal(memory->count, 2);
	assert_int_equal(memory->regions[0].gpa, 0);
	assert_int_equal(memory->regions[1].gpa, 8 * PAGE);
	assert_int_equal(memory_unmap(memory, PAGE, 6 * PAGE), 0);
	assert_int_equal(memory_unmap(memory, 0, UINT64_MAX), 2);
}

static void a_range_that_cuts_a_region_removes_nothing(void **state)
{
	struct memory *memory = *state;

	add(memory, 0, PAGE);
	add(memory, 4 * PAGE, 4 * PAGE);
	assert_int_equal(memory_unmap(memory, 0, 5 * PAGE), -EINVAL);
	assert_int_equal(memory_unmap(memory, 5 * PAGE, 8 * PAGE), -EINVAL);
	assert_int_equal(memory_unmap(memory, 5 * PAGE, PAGE), -EINVAL);
	assert_int_equal(memory_unmap(memory, 0, 0), -EINVAL);
	assert_int_equal(memory_unmap(memory, TOP, 2 * PAGE), -EINVAL);
	assert_int_equal(memory->count, 2);
}

static void ram_counts_each_file_once_and_whole(void **state)
{
	struct memory *memory = *state;
	int fd = file(8 * PAGE);

	assert_int_equal(memory_ram_bytes(memory), 0);
	assert_int_equal(memory_map(memory, 0, PAGE, dup(fd), 0, true), 0);
	assert_int_equal(memory_map(memory, 2 * PAGE, 4 * PAGE, fd, 4 * PAGE, true), 0);
	assert_int_equal(memory_ram_bytes(memory), 8 * PAGE);
	assert_int_equal(memory_map(memory, 16 * PAGE, PAGE, file(2 * PAGE), 0, true), 0);
	add(memory, 32 * PAGE, 3 * PAGE);
	assert_int_equal(memory_ram_bytes(memory), 13 * PAGE);
}

static void ram_does_not_count_rom_nor_miss_the_ram_behind_it(void **state)
{
	struct memory *memory = *state;
	int fd = file(8 * PAGE);

	assert_int_equal(memory_map(memory, 0, PAGE, dup(fd), 0, false), 0);
	assert_int_equal(memory_ram_bytes(memory), 0);
	/* QEMU maps parts of the guest's RAM as ROM, and these may come first. */
	assert_int_equal(memory_map(memory, PAGE, 7 * PAGE, fd, PAGE, true), 0);
	assert_int_equal(memory_ram_bytes(memory), 8 * PAGE);
}

static void a_backing_is_recognized(void **state)
{
	struct memory *memory = *state;
	char path[] = "/dev/shm/aerostat-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	add(memory, 0, PAGE);
	assert_int_equal(memory->regions[0].backing, MEMORY_ANONYMOUS);
	assert_int_equal(memory_map(memory, PAGE, PAGE, file(PAGE), 0, true), 0);
	assert_int_equal(memory->regions[1].backing, MEMORY_SHMEM);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(memory_map(memory, 2 * PAGE, PAGE, fd, 0, true), 0);
	assert_int_equal(memory->regions[2].backing, MEMORY_SHMEM);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(memory->regions[i].page_bytes, PAGE);
	assert_string_equal(memory_backing_name(MEMORY_SHMEM), "shmem");
}

/* A region that begins and ends amid huge pages, as QEMU's low memory does. */
static void huge_pages_are_mapped_though_a_region_has_a_part_of_them(void **state)
{
	struct memory *memory = *state;
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	uint8_t *whole;

	if (fd < 0 || ftruncate(fd, 4 * MIB) < 0)
		skip();
	whole = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (whole == MAP_FAILED) {
		print_message("no huge pages are reserved (/proc/sys/vm/nr_hugepages)\n");
		close(fd);
		skip();
	}
	assert_int_equal(memory_map(memory, 0xc0000, 2 * MIB, fd, 0xc0000, true), 0);
	assert_int_equal(memory->regions[0].backing, MEMORY_HUGETLB);
	assert_int_equal(memory->regions[0].page_bytes, 2 * MIB);
	memcpy(whole + 0xc0000, "first", 6);
	memcpy(whole + 0xc0000 + 2 * MIB - 5, "last", 5);
	assert_string_equal(memory_at(memory, 0xc0000, 6, true), "first");
	assert_string_equal(memory_at(memory, 0xc0000 + 2 * MIB - 5, 5, true), "last");
	assert_null(memory_at(memory, 0xc0000 + 2 * MIB - 5, 6, true));
	assert_int_equal(munmap(whole, 4 * MIB), 0);
	assert_int_equal(memory_unmap(memory, 0xc0000, 2 * MIB), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(regions_stand_in_order_of_their_addresses),
		TEST(the_region_of_an_address_is_found),
		TEST(regions_that_touch_are_no_overlap),
		TEST(an_overlap_is_refused),
		TEST(an_empty_unaligned_or_wrapping_region_is_refused),
		TEST(the_last_page_of_all_can_be_had),
		TEST(the_number_of_regions_is_bounded),
		TEST(a_file_is_mapped_where_it_belongs),
		TEST(a_region_owns_its_file),
		TEST(a_refused_file_stays_the_callers),
		TEST(a_file_that_may_only_be_read_is_not_mapped_to_be_written),
		TEST(a_range_is_had_only_within_one_region),
		TEST(reading_goes_across_regions_that_touch),
		TEST(reading_a_hole_is_refused),
		TEST(reading_never_wraps),
		TEST(a_range_removes_the_regions_inside_it),
		TEST(a_range_that_cuts_a_region_removes_nothing),
		TEST(ram_counts_each_file_once_and_whole),
		TEST(ram_does_not_count_rom_nor_miss_the_ram_behind_it),
		TEST(a_backing_is_recognized),
		TEST(huge_pages_are_mapped_though_a_region_has_a_part_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
