/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process costs, measured on this test's own process.
 *
 * The kernel populates the memory, so that no other pages are touched.  If
 * instrumented code wrote it, a sanitizer would read its shadow memory, an eighth
 * more, and some kernels allocate pages that are only read.
 */
#include "hypervisor/hypervisor.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/hang.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE (256 * MIB)
#define NOISE (4 * MIB) /* what the test itself may use in between; sanitizers use some */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uint64_t cost(void)
{
	g_autoptr(GError) error = NULL;
	uint64_t bytes;

	if (!hv_host_bytes(getpid(), &bytes, &error))
		fail_msg("%s", error->message);
	return bytes;
}

static void expect_change(uint64_t before, int64_t change)
{
	int64_t seen = (int64_t)(cost() - before);

	assert_in_range((uint64_t)(seen - change + (int64_t)NOISE), 0, 2 * NOISE);
}

static void *map_memory(int flags, int fd)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static void populate_memory(void *memory)
{
	assert_int_equal(madvise(memory, SIZE, MADV_POPULATE_WRITE), 0);
}

static void counts_private_memory_that_was_touched(void **state)
{
	uint64_t before = cost();
	char *memory = map_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	(void)state;
	expect_change(before, 0);
	populate_memory(memory);
	expect_change(before, SIZE);
	assert_int_equal(madvise(memory, SIZE / 2, MADV_DONTNEED), 0);
	expect_change(before, SIZE / 2);
	munmap(memory, SIZE);
}

static void counts_a_memfd_even_if_nobody_maps_it(void **state)
{
	uint64_t before = cost();
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	expect_change(before, 0);
	assert_int_equal(fallocate(fd, 0, 0, SIZE), 0);
	expect_change(before, SIZE);
	close(fd);
}

static void counts_a_memfd_once_however_often_it_is_open(void **state)
{
	uint64_t before = cost();
	int fd = memfd_create("ram", MFD_CLOEXEC);
	int twin = dup(fd);

	(void)state;
	assert_int_equal(fallocate(fd, 0, 0, SIZE), 0);
	expect_change(before, SIZE);
	close(twin);
	close(fd);
}

static void counts_a_memfd_once_when_it_is_mapped_too(void **state)
{
	uint64_t before = cost();
	int fd = memfd_create("ram", MFD_CLOEXEC);
	void *memory;

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	memory = map_memory(MAP_SHARED, fd);
	populate_memory(memory);
	expect_change(before, SIZE);
	munmap(memory, SIZE);
	expect_change(before, SIZE);
	close(fd);
	expect_change(before, 0);
}

/* Memory that is shared and in no file that is open is what a child would share. */
static void counts_shared_memory_without_a_file(void **state)
{
	uint64_t before = cost();
	char *memory = map_memory(MAP_SHARED | MAP_ANONYMOUS, -1);

	(void)state;
	populate_memory(memory);
	expect_change(before, SIZE);
	assert_int_equal(madvise(memory, SIZE / 2, MADV_REMOVE), 0);
	expect_change(before, SIZE / 2);
	munmap(memory, SIZE);
}

/* A file that is not in memory, if that is where the temporary folder is. */
static void counts_the_part_of_a_mapped_file_that_is_in_memory(void **state)
{
	char path[] = "/var/tmp/aerostat-XXXXXX";
	int fd = mkstemp(path);
	uint64_t before = cost();
	char *memory;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	memory = map_memory(MAP_SHARED, fd);
	assert_int_equal(madvise(memory, SIZE / 4, MADV_POPULATE_WRITE), 0);
	expect_change(before, SIZE / 4);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE / 4), 0);
	expect_change(before, 0);
	munmap(memory, SIZE);
	close(fd);
}

/* Whether the kernel merges equal pages now; a test does not start that for the whole host. */
static bool are_pages_merged(void)
{
	g_autofree char *run = NULL;

	return g_file_get_contents("/sys/kernel/mm/ksm/run", &run, NULL, NULL) && *run == '1';
}

/* Pages that are equal, the kernel merges; to free one of them gains the host next to nothing. */
static void counts_merged_pages_by_their_part(void **state)
{
	uint64_t before = cost();
	gint64 deadline = g_get_monotonic_time() + HANG_MS * 1000;
	char *memory;

	(void)state;
	if (!are_pages_merged())
		skip();
	memory = map_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(memory, 7, SIZE);
	assert_int_equal(madvise(memory, SIZE, MADV_MERGEABLE), 0);
	while (cost() > before + SIZE / 2 && g_get_monotonic_time() < deadline)
		g_usleep(100000);
	assert_true(cost() <= before + SIZE / 2);
	munmap(memory, SIZE);
}

static void sees_what_a_balloon_gives_back(void **state)
{
	uint64_t before = cost();
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(fallocate(fd, 0, 0, SIZE), 0);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE / 4), 0);
	expect_change(before, SIZE / 4 * 3);
	close(fd);
}

static void a_process_that_is_gone_is_an_error(void **state)
{
	g_autoptr(GError) error = NULL;
	uint64_t bytes = 42;

	(void)state;
	assert_false(hv_host_bytes(0x7ffffff0, &bytes, &error));
	assert_non_null(error);
}

static struct hv_host_cost cost_of(uint64_t max_bytes)
{
	g_autoptr(GError) error = NULL;
	struct hv_host_cost found;

	if (!hv_host_cost(getpid(), max_bytes, &found, &error))
		fail_msg("%s", error->message);
	return found;
}

static void expect_ram(uint64_t before, uint64_t change)
{
	assert_in_range(cost_of(SIZE).ram_bytes - before + NOISE, change, change + 2 * NOISE);
}

static void the_guests_ram_is_told_from_the_processs_own_memory(void **state)
{
	char *ram = map_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1), *own;
	uint64_t before;

	(void)state;
	/* As QEMU does; and so the kernel keeps the two mappings apart. */
	assert_int_equal(madvise(ram, SIZE, MADV_DONTDUMP), 0);
	own = mmap(NULL, SIZE / 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	before = cost_of(SIZE).ram_bytes;
	assert_int_equal(madvise(own, SIZE / 8, MADV_POPULATE_WRITE), 0);
	expect_ram(before, 0);
	assert_int_equal(madvise(ram, SIZE / 2, MADV_POPULATE_WRITE), 0);
	expect_ram(before, SIZE / 2);
	munmap(own, SIZE / 8);
	munmap(ram, SIZE);
}

static void ram_in_a_file_counts_whether_it_is_mapped_or_not(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint64_t before;

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	before = cost_of(SIZE).ram_bytes;
	assert_int_equal(fallocate(fd, 0, 0, SIZE / 4), 0);
	expect_ram(before, SIZE / 4);
	close(fd);
}

/* The code of an emulator is as large as RAM, and can be executed. */
static void executable_memory_is_no_ram(void **state)
{
	char *ram = map_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *code = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before = cost_of(SIZE).ram_bytes;

	(void)state;
	if (code == MAP_FAILED)
		skip(); /* a hardened kernel */
	populate_memory(code);
	expect_ram(before, 0);
	munmap(code, SIZE);
	munmap(ram, SIZE);
}

static void ram_that_is_not_found_is_not_known(void **state)
{
	(void)state;
	assert_int_equal(cost_of(UINT64_C(1) << 46).ram_bytes, HV_UNSET);
	assert_int_equal(cost_of(0).ram_bytes, HV_UNSET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_private_memory_that_was_touched),
		cmocka_unit_test(counts_a_memfd_even_if_nobody_maps_it),
		cmocka_unit_test(counts_a_memfd_once_however_often_it_is_open),
		cmocka_unit_test(counts_a_memfd_once_when_it_is_mapped_too),
		cmocka_unit_test(counts_shared_memory_without_a_file),
		cmocka_unit_test(counts_the_part_of_a_mapped_file_that_is_in_memory),
		cmocka_unit_test(counts_merged_pages_by_their_part),
		cmocka_unit_test(sees_what_a_balloon_gives_back),
		cmocka_unit_test(the_guests_ram_is_told_from_the_processs_own_memory),
		cmocka_unit_test(ram_in_a_file_counts_whether_it_is_mapped_or_not),
		cmocka_unit_test(executable_memory_is_no_ram),
		cmocka_unit_test(ram_that_is_not_found_is_not_known),
		cmocka_unit_test(a_process_that_is_gone_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
