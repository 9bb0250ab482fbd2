/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory whose file is truncated while it is mapped, as a hostile VMM could. */
#include "aerostat-device/sigbus.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE MEMORY_PAGE_BYTES
#define PAGES 16

struct rig {
	struct memory memory;
	int fd; /* owned by the region, too */
	uint8_t *ram;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	rig->fd = memfd_create("ram", MFD_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(ftruncate(rig->fd, PAGES * PAGE), 0);
	assert_int_equal(memory_map(&rig->memory, 0x100000, PAGES * PAGE, rig->fd, 0, true), 0);
	rig->ram = rig->memory.regions[0].host;
	memset(rig->ram, 7, PAGES * PAGE);
	return 0;
}

/* cmocka installs its own handlers before each test, so ours is installed here. */
static struct rig *guarded(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(sigbus_install(&rig->memory), 0);
	return rig;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	sigbus_uninstall();
	memory_clear(&rig->memory);
	free(rig);
	return 0;
}

static uint8_t look(const uint8_t *address)
{
	return *(const volatile uint8_t *)address;
}

static void truncated_memory_reads_as_zero(void **state)
{
	struct rig *rig = guarded(state);

	assert_int_equal(ftruncate(rig->fd, 4 * PAGE), 0);
	assert_int_equal(look(rig->ram + 4 * PAGE + 17), 0);
	assert_int_equal(look(rig->ram + PAGES * PAGE - 1), 0);
	assert_int_equal(sigbus_count(), 1);
}

static void what_was_not_truncated_stays(void **state)
{
	struct rig *rig = guarded(state);

	assert_int_equal(ftruncate(rig->fd, 4 * PAGE), 0);
	assert_int_equal(look(rig->ram + 4 * PAGE), 0);
	assert_int_equal(look(rig->ram + 4 * PAGE - 1), 7);
}

static void a_write_goes_on_too(void **state)
{
	struct rig *rig = guarded(state);

	assert_int_equal(ftruncate(rig->fd, 0), 0);
	*(volatile uint8_t *)rig->ram = 9;
	assert_int_equal(look(rig->ram), 9);
	assert_int_equal(sigbus_count(), 1);
}

static void pages_lost_one_by_one_cost_no_mapping_each(void **state)
{
	struct rig *rig = guarded(state);

	for (int i = PAGES - 1; i >= 0; i--) {
		assert_int_equal(ftruncate(rig->fd, i * (off_t)PAGE), 0);
		assert_int_equal(look(rig->ram + (size_t)i * PAGE), 0);
	}
	assert_int_equal(sigbus_count(), PAGES);
}

static void a_region_that_is_only_read_stays_so(void **state)
{
	struct rig *rig = guarded(state);
	int fd = memfd_create("rom", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(memory_map(&rig->memory, 0, PAGE, fd, 0, false), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(look(memory_at(&rig->memory, 0, 1, false)), 0);
	assert_null(memory_at(&rig->memory, 0, 1, true));
}

static void a_replaced_region_can_be_unmapped(void **state)
{
	struct rig *rig = guarded(state);

	assert_int_equal(ftruncate(rig->fd, PAGE), 0);
	assert_int_equal(look(rig->ram + PAGE), 0);
	assert_int_equal(memory_unmap(&rig->memory, 0x100000, PAGES * PAGE), 1);
	assert_int_equal(rig->memory.count, 0);
}

/* Runs @part in a child; returns minus the signal that ended it. */
static int child(void (*part)(struct rig *rig), struct rig *rig)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		part(rig);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void looks_elsewhere(struct rig *rig)
{
	int fd = memfd_create("elsewhere", 0);
	uint8_t *memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	(void)rig;
	look(memory);
}

static void is_signalled(struct rig *rig)
{
	(void)rig;
	raise(SIGBUS);
}

static void looks_where_memory_was(struct rig *rig)
{
	memory_clear(&rig->memory);
	looks_elsewhere(rig);
}

static void any_other_sigbus_ends_the_process(void **state)
{
	struct rig *rig = guarded(state);

	assert_int_equal(child(looks_elsewhere, rig), -SIGBUS);
	assert_int_equal(child(is_signalled, rig), -SIGBUS);
	assert_int_equal(child(looks_where_memory_was, rig), -SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(truncated_memory_reads_as_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_not_truncated_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_write_goes_on_too, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_lost_one_by_one_cost_no_mapping_each, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_region_that_is_only_read_stays_so, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_replaced_region_can_be_unmapped, setup, teardown),
		cmocka_unit_test_setup_teardown(any_other_sigbus_ends_the_process, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
