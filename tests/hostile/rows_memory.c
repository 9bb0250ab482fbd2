/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VMM claims about the guest's memory, and does with it. */
#include "tests/hostile/rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ELSEWHERE UINT64_C(0x100000000)

static bool map_refused(struct vm *vm, uint64_t gpa, uint64_t size, int fd, uint64_t offset)
{
	int files = device_files(vm->device);

	EXPECT(vm, vm->link->map(vm, gpa, size, fd, offset) != 0);
	EXPECT(vm, !vm->link->is_over(vm));
	return row_files(vm, files);
}

static bool silly_places(struct vm *vm)
{
	static const struct {
		uint64_t gpa, size, offset;
	} rows[] = {
		{ ELSEWHERE, 0, 0 },
		{ ELSEWHERE + 1, GUEST_PAGE, 0 },
		{ ELSEWHERE, GUEST_PAGE - 1, 0 },
		{ ELSEWHERE, GUEST_PAGE, 1 },
		{ ELSEWHERE, GUEST_RAM + GUEST_PAGE, 0 },
		{ ELSEWHERE, GUEST_PAGE, GUEST_RAM },
		{ ELSEWHERE, GUEST_PAGE, UINT64_MAX & ~(GUEST_PAGE - 1) },
		{ ELSEWHERE, UINT64_MAX & ~(GUEST_PAGE - 1), GUEST_PAGE },
		{ UINT64_MAX & ~(GUEST_PAGE - 1), 2 * GUEST_PAGE, 0 },
		{ GUEST_LOW, GUEST_PAGE, 0 },
		{ GUEST_HOLE - GUEST_PAGE, 2 * GUEST_PAGE, 0 },
		{ GUEST_HIGH - GUEST_PAGE, 2 * GUEST_PAGE, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!map_refused(vm, rows[i].gpa, rows[i].size, vm->guest.fd, rows[i].offset))
			return false;
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool wrong_files(struct vm *vm)
{
	int pipes[2], sockets[2], files[6];
	bool ok = true;

	EXPECT(vm, !pipe2(pipes, O_CLOEXEC) &&
			   !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	files[0] = pipes[0];
	files[1] = sockets[0];
	files[2] = eventfd(0, EFD_CLOEXEC);
	files[3] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files[4] = open("/dev/null", O_RDWR | O_CLOEXEC);
	files[5] = open("/", O_PATH | O_CLOEXEC);
	for (unsigned int i = 0; i < 6 && ok; i++)
		ok = map_refused(vm, ELSEWHERE, GUEST_PAGE, files[i], 0);
	for (unsigned int i = 0; i < 6; i++)
		close(files[i]);
	close(pipes[1]);
	close(sockets[1]);
	return ok;
}

static bool read_only_file(struct vm *vm)
{
	char path[40];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", vm->guest.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(vm, fd >= 0);
	ok = map_refused(vm, ELSEWHERE, GUEST_PAGE, fd, 0);
	close(fd);
	return ok;
}

/* A seal against writing lets nobody map it for that, and nobody punch holes. */
static bool sealed_file(struct vm *vm)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok;

	EXPECT(vm, !ftruncate(fd, (off_t)GUEST_MIB) && !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	ok = map_refused(vm, ELSEWHERE, GUEST_MIB, fd, 0);
	close(fd);
	return ok;
}

static bool truncated(struct vm *vm)
{
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 256, 1), 1024, 0);
	EXPECT(vm, !ftruncate(vm->guest.fd, 0));
	for (unsigned int i = 0; i < QUEUES; i++)
		vm_kick(vm, i);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	EXPECT(vm, !ftruncate(vm->guest.fd, (off_t)GUEST_RAM));
	for (unsigned int i = 0; i < QUEUES; i++)
		vm_kick(vm, i);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	vm_forget_rings(vm);
	return true;
}

/* The pages' memory is truncated while they wait for their release. */
static bool truncated_while_pages_wait(struct vm *vm)
{
	if (!vm_send_pages(vm, INFLATE, PAGES, 300))
		return false;
	EXPECT(vm, !ftruncate(vm->guest.fd, (off_t)GUEST_PART));
	pause_ms(0);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	EXPECT(vm, !ftruncate(vm->guest.fd, (off_t)GUEST_RAM));
	return true;
}

static bool unmapped_ring(struct vm *vm)
{
	EXPECT(vm, vm->link->unmap(vm, GUEST_LOW, GUEST_PART) == 0);
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 16, 1), 64, 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		vm_kick(vm, i);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	EXPECT(vm, ring_used_index(&vm->rings[INFLATE]) == 0);
	/* When it is back, the device continues by itself. */
	EXPECT(vm, vm->link->map(vm, GUEST_LOW, GUEST_PART, vm->guest.fd, 0) == 0);
	return vm_settles(vm) &&
	       device_number(vm->device, "x-query-balloon", "ballooned") == 16 * GUEST_PAGE;
}

/* The pages of a balloon are unmapped before they are released. */
static bool unmapped_pages(struct vm *vm)
{
	if (!vm_send_pages(vm, INFLATE, PAGES, 300))
		return false;
	EXPECT(vm, vm->link->unmap(vm, GUEST_HIGH, GUEST_PART) == 0);
	EXPECT(vm, vm->link->map(vm, GUEST_HIGH, GUEST_PART, vm->guest.fd, GUEST_PART) == 0);
	return vm_send_pages(vm, DEFLATE, PAGES, 300);
}

static bool unmaps_what_is_not(struct vm *vm)
{
	vm->link->unmap(vm, ELSEWHERE, GUEST_PART);
	vm->link->unmap(vm, GUEST_LOW, 0);
	vm->link->unmap(vm, GUEST_LOW + GUEST_PAGE, GUEST_PAGE);
	vm->link->unmap(vm, GUEST_LOW, GUEST_PART - GUEST_PAGE);
	vm->link->unmap(vm, GUEST_HIGH - GUEST_PAGE, 2 * GUEST_PAGE);
	vm->link->unmap(vm, UINT64_MAX - 4095, GUEST_PAGE);
	EXPECT(vm, !vm->link->is_over(vm));
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool changes_under_load(struct vm *vm)
{
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t at = vm_write_pfns(vm, PAGES / GUEST_PAGE, 2048, 1);
		unsigned int queue = i % 2 ? DEFLATE : INFLATE;

		for (unsigned int j = 0; j < 8; j++)
			vm_offer(vm, queue, at, 8192, 0);
		vm_kick(vm, queue);
		EXPECT(vm, vm->link->unmap(vm, GUEST_HIGH, GUEST_PART) == 0);
		if (i % 3 == 0) {
			EXPECT(vm, vm->link->unmap(vm, GUEST_LOW, GUEST_PART) == 0);
			EXPECT(vm, vm->link->map(vm, GUEST_LOW, GUEST_PART, vm->guest.fd, 0) == 0);
		}
		EXPECT(vm,
		       vm->link->map(vm, GUEST_HIGH, GUEST_PART, vm->guest.fd, GUEST_PART) == 0);
		if (!vm_settles(vm))
			return false;
	}
	return true;
}

/* As many regions as there may be, and more. */
static bool too_many_regions(struct vm *vm)
{
	int files = device_files(vm->device);
	unsigned int count = 0;

	while (count < 2000 &&
	       !vm->link->map(vm, ELSEWHERE + count * 2 * GUEST_PAGE, GUEST_PAGE, vm->guest.fd, 0))
		count++;
	EXPECT(vm, count > 100 && count < 2000);
	EXPECT(vm, !vm->link->is_over(vm));
	for (unsigned int i = 0; i < count; i++)
		EXPECT(vm, !vm->link->unmap(vm, ELSEWHERE + i * 2 * GUEST_PAGE, GUEST_PAGE));
	return row_files(vm, files) && vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* The same page of the file in two places of the guest. */
static bool mapped_twice(struct vm *vm)
{
	EXPECT(vm, vm->link->map(vm, ELSEWHERE, GUEST_PART, vm->guest.fd, GUEST_PART) == 0);
	return vm_send_pages(vm, INFLATE, PAGES, 16) &&
	       vm_send_pages(vm, INFLATE, ELSEWHERE + (PAGES - GUEST_HIGH), 16) &&
	       vm_send_pages(vm, DEFLATE, PAGES, 16);
}

/* An empty file of a size that no host has: account and work stay bounded. */
static bool enormous_region(struct vm *vm)
{
	const uint64_t size = UINT64_C(1) << 44;
	int fd = memfd_create("enormous", MFD_CLOEXEC);
	const uint64_t gpa = UINT64_C(1) << 41;

	EXPECT(vm, !ftruncate(fd, (off_t)size));
	/* Whether it is refused or not. */
	vm->link->map(vm, gpa, size, fd, 0);
	vm->link->map(vm, gpa, UINT64_C(1) << 40, fd, 0);
	close(fd);
	EXPECT(vm, !vm->link->is_over(vm));
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

const struct row rows_memory[] = {
	{ "memory-at-silly-places", STARTED, BOTH, silly_places },
	{ "memory-of-wrong-files", STARTED, BOTH, wrong_files },
	{ "memory-of-a-read-only-file", STARTED, BOTH, read_only_file },
	{ "memory-of-a-sealed-file", STARTED, BOTH, sealed_file },
	{ "memory-truncated", STARTED, BOTH, truncated },
	{ "memory-truncated-while-pages-wait", STARTED, BOTH, truncated_while_pages_wait },
	{ "memory-of-the-rings-unmapped", STARTED, BOTH, unmapped_ring },
	{ "memory-of-pages-unmapped", STARTED, BOTH, unmapped_pages },
	{ "memory-that-is-not-unmapped", STARTED, BOTH, unmaps_what_is_not },
	{ "memory-changes-under-load", STARTED, BOTH, changes_under_load },
	{ "memory-in-too-many-regions", STARTED, BOTH, too_many_regions },
	{ "memory-mapped-twice", STARTED, BOTH, mapped_twice },
	{ "memory-of-an-enormous-size", STARTED, BOTH, enormous_region },
	{ 0 },
};
