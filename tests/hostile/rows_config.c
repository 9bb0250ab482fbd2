/* SPDX-License-Identifier: BSD-3-Clause */
/* Features, configuration space, and connections that come and go. */
#include "tests/hostile/rows.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NUM_PAGES 0
#define ACTUAL 4
#define POISON 12

static uint64_t actual_bytes(struct vm *vm)
{
	return device_number(vm->device, "query-balloon", "actual");
}

/* Of the device's own fields nothing changes. */
static bool writes_everywhere(struct vm *vm)
{
	static const uint8_t garbage[64] = { [0 ... 63] = 0xa5 };
	uint32_t before[4], after[4];

	EXPECT(vm, vm->link->config_read(vm, 0, before, sizeof(before)) == 0);
	for (unsigned int offset = 0; offset < 72; offset++)
		for (unsigned int size = 1; size <= 8; size *= 2)
			vm->link->config_write(vm, offset, garbage, size);
	EXPECT(vm, !vm->link->is_over(vm));
	EXPECT(vm, vm->link->config_read(vm, 0, after, sizeof(after)) == 0);
	EXPECT(vm, after[0] == before[0] && after[2] == before[2]);
	/* poison_val, behind DRIVER_OK. */
	EXPECT(vm, after[3] == before[3]);
	return true;
}

static bool reads_everywhere(struct vm *vm)
{
	uint8_t bytes[256];

	for (unsigned int offset = 0; offset < 64; offset++)
		for (unsigned int size = 1; size <= 128; size *= 2)
			vm->link->config_read(vm, offset, bytes, size);
	EXPECT(vm, !vm->link->is_over(vm));
	return true;
}

static bool actual_beyond_ram(struct vm *vm)
{
	static const uint32_t values[] = { UINT32_MAX, 0x80000000, GUEST_RAM / GUEST_PAGE + 1 };

	for (unsigned int i = 0; i < 3; i++) {
		EXPECT(vm, vm->link->config_write(vm, ACTUAL, &values[i], 4) == 0);
		EXPECT(vm, actual_bytes(vm) <= GUEST_RAM);
	}
	return true;
}

static bool poison_behind_driver_ok(struct vm *vm)
{
	const uint32_t poison = 0xaaaaaaaa;
	uint32_t now = 1;

	EXPECT(vm, vm->link->config_write(vm, POISON, &poison, 4) == 0);
	EXPECT(vm, vm->link->config_read(vm, POISON, &now, 4) == 0);
	EXPECT(vm, now == 0);
	return true;
}

static bool target_by_the_guest(struct vm *vm)
{
	const uint32_t pages = 4096;
	uint32_t now = 1;

	vm->link->config_write(vm, NUM_PAGES, &pages, 4);
	EXPECT(vm, vm->link->config_read(vm, NUM_PAGES, &now, 4) == 0);
	EXPECT(vm, now == 0);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "target") == GUEST_RAM);
	return true;
}

static bool flood_of_writes(struct vm *vm)
{
	for (uint32_t i = 0; i < 5000; i++)
		vm->link->config_write(vm, i % 2 ? ACTUAL : NUM_PAGES, &i, 4);
	EXPECT(vm, !vm->link->is_over(vm));
	return true;
}

static bool features_not_offered(struct vm *vm)
{
	static const unsigned int bits[] = { 6, 8, 16, 24, 27, 33, 36, 40, 41, 63 };

	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		EXPECT(vm, vm->link->begin(vm, VM_FEATURES | BIT(bits[i])) != 0);
		EXPECT(vm, !vm->link->is_over(vm));
		vm->link->reset(vm);
	}
	/* All of them refused, and yet it works with those that were offered. */
	vm->link->close(vm);
	EXPECT(vm, vm_start(vm) == 0);
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* Whatever it set up before its features were accepted does not run. */
static bool queues_without_features(struct vm *vm)
{
	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	vm->link->begin(vm, UINT64_MAX);
	for (unsigned int i = 0; i < QUEUES; i++)
		vm->link->set_up_queue(vm, i, &vm->rings[i]);
	vm->link->driver_ok(vm);
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 16, 1), 64, 0);
	vm_kick(vm, INFLATE);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	EXPECT(vm, ring_used_index(&vm->rings[INFLATE]) == 0);
	vm_forget_rings(vm);
	return true;
}

/* Without what makes them there are no more queues, and indirect tables are no chains. */
static bool queues_not_acknowledged(struct vm *vm)
{
	struct ring_desc *table = guest_at(&vm->guest, TABLES);

	vm->features = BIT(VIRTIO_F_VERSION_1) | BIT(BALLOON_F_MUST_TELL_HOST);
	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		vm->link->set_up_queue(vm, i, &vm->rings[i]);
	vm->link->driver_ok(vm);
	for (unsigned int i = STATS; i < QUEUES; i++) {
		vm_offer(vm, i, PAGES, GUEST_PAGE, i == REPORTS ? RING_WRITE : 0);
		vm_kick(vm, i);
	}
	*table = (struct ring_desc){ BUFFERS, 4, 0, 0 };
	vm_write_pfns(vm, PAGES / GUEST_PAGE, 1, 1);
	vm_offer(vm, INFLATE, TABLES, 16, RING_INDIRECT);
	vm_kick(vm, INFLATE);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	for (unsigned int i = STATS; i < QUEUES; i++)
		EXPECT(vm, ring_used_index(&vm->rings[i]) == 0);
	vm_forget_rings(vm);
	return true;
}

/* With no MUST_TELL_HOST a buffer comes back when its pages are gone, and not before. */
static bool without_must_tell_host(struct vm *vm)
{
	uint64_t before;

	vm->features = BIT(VIRTIO_F_VERSION_1);
	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	EXPECT(vm, vm->link->set_up_queue(vm, INFLATE, &vm->rings[INFLATE]) == 0);
	EXPECT(vm, vm->link->set_up_queue(vm, DEFLATE, &vm->rings[DEFLATE]) == 0);
	EXPECT(vm, vm->link->driver_ok(vm) == 0);
	for (unsigned int i = 0; i < 20; i++) {
		guest_touch(&vm->guest);
		before = guest_allocated(&vm->guest);
		if (!vm_send_pages(vm, INFLATE, PAGES, 100))
			return false;
		EXPECT(vm, guest_allocated(&vm->guest) == before - 100 * GUEST_PAGE);
		/* It uses them again, and only then deflates. */
		guest_touch(&vm->guest);
		if (!vm_send_pages(vm, DEFLATE, PAGES, 100))
			return false;
		EXPECT(vm, guest_allocated(&vm->guest) == before);
	}
	return true;
}

static bool second_vmm(struct vm *vm)
{
	for (unsigned int i = 0; i < 20; i++) {
		char byte;
		int fd = vm_dial(vm);

		EXPECT(vm, fd >= 0);
		EXPECT(vm, read(fd, &byte, 1) <= 0);
		close(fd);
	}
	return honest_cycle(vm);
}

/* Connects, and never sends anything. */
static bool silent_connections(struct vm *vm)
{
	for (unsigned int i = 0; i < 200; i++) {
		int fd = vm_dial(vm);

		EXPECT(vm, fd >= 0);
		close(fd);
	}
	return true;
}

/* It leaves behind each step of what a VMM does, and in the middle of work. */
static bool leaves_at_any_step(struct vm *vm)
{
	for (unsigned int last = 0; last < 12; last++) {
		unsigned int step = 0;

		EXPECT(vm, vm->link->connect(vm) == 0);
		if (step++ < last)
			EXPECT(vm, vm_map_all(vm) == 0);
		if (step++ < last)
			EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
		for (unsigned int i = 0; i < QUEUES; i++) {
			ring_init(&vm->rings[i], &vm->guest, RING_GPA(i));
			if (step++ < last)
				EXPECT(vm, vm->link->set_up_queue(vm, i, &vm->rings[i]) == 0);
		}
		if (step++ < last)
			EXPECT(vm, vm->link->driver_ok(vm) == 0);
		if (step++ < last) {
			uint64_t at = vm_write_pfns(vm, PAGES / GUEST_PAGE, 7000, 1);

			for (unsigned int i = 0; i < RING_SIZE; i++)
				vm_offer(vm, INFLATE, at, 28000, 0);
			vm_kick(vm, INFLATE);
		}
		vm->link->close(vm);
		vm_forget_rings(vm);
	}
	return true;
}

const struct row rows_config[] = {
	{ "config-writes-everywhere", STARTED, BOTH, writes_everywhere },
	{ "config-reads-everywhere", STARTED, BOTH, reads_everywhere },
	{ "config-actual-beyond-ram", STARTED, BOTH, actual_beyond_ram },
	{ "config-poison-behind-driver-ok", STARTED, BOTH, poison_behind_driver_ok },
	{ "config-target-by-the-guest", STARTED, BOTH, target_by_the_guest },
	{ "config-flood", STARTED, BOTH, flood_of_writes },
	{ "features-not-offered", ALONE, BOTH, features_not_offered },
	{ "features-refused-and-queues", ALONE, BOTH, queues_without_features },
	{ "features-not-acknowledged", ALONE, BOTH, queues_not_acknowledged },
	{ "features-without-must-tell-host", ALONE, BOTH, without_must_tell_host },
	{ "vmm-second", STARTED, BOTH, second_vmm },
	{ "vmm-silent", ALONE, BOTH, silent_connections },
	{ "vmm-leaves-at-any-step", ALONE, BOTH, leaves_at_any_step },
	{ 0 },
};
