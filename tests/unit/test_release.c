/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory is really returned to the host, whatever its backing, and only what was asked for. */
#include "device/release.h"

#include <errno.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE MEMORY_PAGE_BYTES
#define MIB UINT64_C(0x100000)
#define GPA (16 * MIB)
#define BYTES (8 * MIB)
#define PAGES (BYTES / PAGE)

/* A region of one kind of memory, all of it used, and a second mapping of its file. */
struct place {
	struct memory memory;
	struct release release;
	uint8_t *guest;
	int fd;
};

static struct place *new_place(void)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	place->fd = -1;
	return place;
}

static int setup_anonymous(void **state)
{
	struct place *place = new_place();

	place->guest =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(place->guest, MAP_FAILED);
	madvise(place->guest, BYTES, MADV_NOHUGEPAGE);
	assert_int_equal(memory_add(&place->memory, GPA, BYTES, place->guest), 0);
	memset(place->guest, 0x5a, BYTES);
	*state = place;
	return 0;
}

/* The guest's second half is mapped, so that offsets in the file and addresses differ. */
static int map_file(void **state, int fd)
{
	struct place *place = new_place();

	place->fd = fd;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2 * BYTES), 0);
	place->guest = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*state = place;
	if (place->guest == MAP_FAILED)
		return -1;
	memset(place->guest, 0x5a, 2 * BYTES);
	assert_int_equal(memory_map(&place->memory, GPA, BYTES, dup(fd), BYTES, true), 0);
	return 0;
}

static int setup_memfd(void **state)
{
	return map_file(state, memfd_create("release", MFD_CLOEXEC));
}

static int setup_tmpfs(void **state)
{
	char path[] = "/dev/shm/aerostat-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return map_file(state, fd);
}

static int setup_disk(void **state)
{
	char path[] = "/tmp/aerostat-release-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return map_file(state, fd);
}

static int teardown(void **state)
{
	struct place *place = *state;

	memory_clear(&place->memory);
	if (place->guest != MAP_FAILED)
		munmap(place->guest, place->fd < 0 ? BYTES : 2 * BYTES);
	if (place->fd >= 0)
		close(place->fd);
	free(place);
	return 0;
}

static const struct memory_region *region_of(const struct place *place)
{
	return &place->memory.regions[0];
}

static uint8_t *at(const struct place *place, uint64_t gpa)
{
	return place->guest + (place->fd < 0 ? 0 : BYTES) + (gpa - GPA);
}

/* How many pages the host has behind the region and the half of the file before it. */
static uint64_t pages_used(const struct place *place)
{
	static unsigned char resident[2 * PAGES];
	struct stat st;
	uint64_t used = 0;

	if (place->fd >= 0) {
		assert_int_equal(fstat(place->fd, &st), 0);
		return (uint64_t)st.st_blocks * 512 / PAGE;
	}
	assert_int_equal(mincore(place->guest, BYTES, resident), 0);
	for (uint64_t i = 0; i < PAGES; i++)
		used += resident[i] & 1;
	return used;
}

static void releases(struct place *place, uint64_t gpa, uint64_t size)
{
	uint64_t before = pages_used(place);

	assert_true(release_range(&place->release, region_of(place), gpa, size));
	assert_int_equal(before - pages_used(place), size / PAGE);
}

static void what_is_released_is_free_and_zero(void **state)
{
	struct place *place = *state;

	releases(place, GPA + 2 * MIB, 2 * MIB);
	assert_int_equal(place->release.calls, 1);
	assert_int_equal(place->release.bytes, 2 * MIB);
	assert_int_equal(*at(place, GPA + 2 * MIB), 0);
	assert_int_equal(*at(place, GPA + 4 * MIB - 1), 0);
}

static void what_is_beside_it_stays(void **state)
{
	struct place *place = *state;

	releases(place, GPA + PAGE, PAGE);
	assert_int_equal(*at(place, GPA + PAGE - 1), 0x5a);
	assert_int_equal(*at(place, GPA + PAGE), 0);
	assert_int_equal(*at(place, GPA + 2 * PAGE - 1), 0);
	assert_int_equal(*at(place, GPA + 2 * PAGE), 0x5a);
	if (place->fd >= 0)
		assert_int_equal(place->guest[PAGE], 0x5a);
}

static void runs_of_one_region_are_all_released(void **state)
{
	struct place *place = *state;
	struct release_run runs[256];
	uint64_t before = pages_used(place);

	for (unsigned int i = 0; i < 256; i++)
		runs[i] = (struct release_run){ GPA + 2 * i * PAGE, PAGE };
	release_runs(&place->release, region_of(place), runs, 256);
	assert_int_equal(before - pages_used(place), 256);
	assert_int_equal(place->release.bytes, 256 * PAGE);
	assert_int_equal(place->release.failed, 0);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(*at(place, GPA + i * PAGE), i % 2 ? 0x5a : 0);
	/* In one call where there are vectors. */
	assert_true(place->release.calls == 256 || (place->fd < 0 && place->release.calls == 1));
}

static void a_kernel_without_vectors_takes_run_by_run(void **state)
{
	struct place *place = *state;
	const struct release_run runs[] = { { GPA, PAGE }, { GPA + 4 * PAGE, 2 * PAGE } };

	place->release.no_vectors = true;
	release_runs(&place->release, region_of(place), runs, 2);
	assert_int_equal(place->release.calls, 2);
	assert_int_equal(place->release.bytes, 3 * PAGE);
	assert_int_equal(*at(place, GPA + 5 * PAGE), 0);
}

static void memory_is_populated_beforehand(void **state)
{
	struct place *place = *state;
	uint64_t before = pages_used(place);

	releases(place, GPA, MIB);
	assert_true(release_populate(region_of(place), GPA, MIB));
	assert_int_equal(pages_used(place), before);
	assert_int_equal(*at(place, GPA), 0);
}

static void populating_harms_no_content(void **state)
{
	struct place *place = *state;

	assert_true(release_populate(region_of(place), GPA, BYTES));
	assert_int_equal(*at(place, GPA), 0x5a);
	assert_int_equal(*at(place, GPA + BYTES - 1), 0x5a);
}

static void what_may_not_be_written_is_not_released(void **state)
{
	struct place *place = *state;
	struct memory_region region = *region_of(place);

	region.writable = false;
	assert_false(release_range(&place->release, &region, GPA, PAGE));
	assert_false(release_populate(&region, GPA, PAGE));
	assert_int_equal(*at(place, GPA), 0x5a);
	assert_int_equal(place->release.failed, 1);
	assert_int_equal(place->release.error, EINVAL);
	assert_int_equal(place->release.bytes, 0);
}

/* Without real huge pages: a region that claims to have them. */
static void a_part_of_a_huge_page_is_not_released(void **state)
{
	struct place *place = *state;
	struct memory_region region = *region_of(place);

	region.page_bytes = 2 * MIB;
	assert_true(release_fits(&region, GPA, 2 * MIB));
	assert_false(release_fits(&region, GPA + MIB, 2 * MIB));
	assert_false(release_fits(&region, GPA, MIB));
	assert_false(release_range(&place->release, &region, GPA + MIB, MIB));
	assert_int_equal(*at(place, GPA + MIB), 0x5a);
	/* It is the place in the file that counts. */
	if (place->fd >= 0) {
		region.gpa += MIB;
		assert_true(release_fits(&region, GPA + MIB, 2 * MIB));
		assert_false(release_fits(&region, GPA + 2 * MIB, 2 * MIB));
	}
}

static void a_refusal_is_counted_with_its_reason(void **state)
{
	struct place *place = *state;
	struct memory_region region = *region_of(place);

	if (place->fd >= 0)
		region.fd = 1 << 20; /* no such file */
	region.page_bytes = 1;	     /* and an address that no kernel takes */
	assert_false(release_range(&place->release, &region, GPA + 1, 1));
	assert_int_equal(place->release.failed, 1);
	assert_int_not_equal(place->release.error, 0);
}

static void a_file_on_disk_is_punched_where_its_file_system_can(void **state)
{
	struct place *place = *state;

	if (!release_range(&place->release, region_of(place), GPA + PAGE, PAGE)) {
		assert_int_equal(place->release.error, EOPNOTSUPP);
		print_message("the file system of /tmp knows no holes\n");
		skip();
	}
	assert_int_equal(*at(place, GPA + PAGE - 1), 0x5a);
	assert_int_equal(*at(place, GPA + PAGE), 0);
	assert_int_equal(*at(place, GPA + 2 * PAGE), 0x5a);
}

static void whole_huge_pages_of_hugetlbfs_go(void **state)
{
	uint64_t before;
	struct place *place;
	int fd = memfd_create("release", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0) {
		print_message("this kernel has no huge pages of 2 MiB\n");
		skip();
	}
	if (map_file(state, fd) < 0) {
		print_message("no huge pages are reserved (/proc/sys/vm/nr_hugepages)\n");
		teardown(state);
		skip();
	}
	place = *state;
	before = pages_used(place);
	assert_true(release_range(&place->release, region_of(place), GPA, 2 * MIB));
	assert_int_equal(before - pages_used(place), 512);
	assert_false(release_range(&place->release, region_of(place), GPA + 2 * MIB, MIB));
	assert_int_equal(*at(place, GPA + 2 * MIB), 0x5a);
	teardown(state);
}

#define TESTS(kind)                                                                                \
	cmocka_unit_test_setup_teardown(what_is_released_is_free_and_zero, setup_##kind,           \
					teardown),                                                 \
		cmocka_unit_test_setup_teardown(what_is_beside_it_stays, setup_##kind, teardown),  \
		cmocka_unit_test_setup_teardown(runs_of_one_region_are_all_released, setup_##kind, \
						teardown),                                         \
		cmocka_unit_test_setup_teardown(a_kernel_without_vectors_takes_run_by_run,         \
						setup_##kind, teardown),                           \
		cmocka_unit_test_setup_teardown(memory_is_populated_beforehand, setup_##kind,      \
						teardown),                                         \
		cmocka_unit_test_setup_teardown(populating_harms_no_content, setup_##kind,         \
						teardown),                                         \
		cmocka_unit_test_setup_teardown(what_may_not_be_written_is_not_released,           \
						setup_##kind, teardown),                           \
		cmocka_unit_test_setup_teardown(a_part_of_a_huge_page_is_not_released,             \
						setup_##kind, teardown),                           \
		cmocka_unit_test_setup_teardown(a_refusal_is_counted_with_its_reason,              \
						setup_##kind, teardown)

int main(void)
{
	const struct CMUnitTest anonymous[] = { TESTS(anonymous) };
	const struct CMUnitTest memfd[] = { TESTS(memfd) };
	const struct CMUnitTest tmpfs[] = { TESTS(tmpfs) };
	const struct CMUnitTest others[] = {
		cmocka_unit_test_setup_teardown(a_file_on_disk_is_punched_where_its_file_system_can,
						setup_disk, teardown),
		cmocka_unit_test(whole_huge_pages_of_hugetlbfs_go),
	};
	int failed = cmocka_run_group_tests(anonymous, NULL, NULL);

	failed += cmocka_run_group_tests(memfd, NULL, NULL);
	failed += cmocka_run_group_tests(tmpfs, NULL, NULL);
	failed += cmocka_run_group_tests(others, NULL, NULL);
	return failed;
}
