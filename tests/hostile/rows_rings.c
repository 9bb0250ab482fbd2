/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings: their content, their addresses, and their setup. */
#include "tests/hostile/rows.h"

#include <errno.h>
#include <string.h>

/* The ring makes no sense any more: the device has to ask for its reset, and take it. */
static bool breaks(struct vm *vm, unsigned int queue)
{
	uint64_t deadline = now_ms() + HANG_MS;

	vm_kick(vm, queue);
	while (!device_needs_reset(vm->device)) {
		EXPECT(vm, now_ms() < deadline);
		pause_ms(1);
	}
	EXPECT(vm, !vm->link->is_over(vm));
	EXPECT(vm, vm->link->reset(vm) == 0);
	EXPECT(vm, !device_needs_reset(vm->device));
	/* The same connection continues with another driver. */
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	for (unsigned int i = 0; i < QUEUES; i++) {
		ring_init(&vm->rings[i], &vm->guest, RING_GPA(i));
		EXPECT(vm, vm->link->set_up_queue(vm, i, &vm->rings[i]) == 0);
	}
	EXPECT(vm, vm->link->driver_ok(vm) == 0);
	return honest_cycle(vm);
}

static bool head_outside(struct vm *vm)
{
	ring_offer(&vm->rings[INFLATE], RING_SIZE);
	return breaks(vm, INFLATE);
}

static bool head_far_outside(struct vm *vm)
{
	ring_offer(&vm->rings[DEFLATE], UINT16_MAX);
	return breaks(vm, DEFLATE);
}

static bool index_runs_ahead(struct vm *vm)
{
	ring_set_avail_index(&vm->rings[STATS], RING_SIZE + 1);
	return breaks(vm, STATS);
}

static bool index_runs_back(struct vm *vm)
{
	if (!vm_send_pages(vm, INFLATE, PAGES, 1))
		return false;
	ring_set_avail_index(&vm->rings[INFLATE], 0);
	return breaks(vm, INFLATE);
}

static bool index_of_reports_runs_ahead(struct vm *vm)
{
	ring_set_avail_index(&vm->rings[REPORTS], 32768);
	return breaks(vm, REPORTS);
}

static bool index_of_hints_runs_ahead(struct vm *vm)
{
	ring_set_avail_index(&vm->rings[HINTS], UINT16_MAX);
	return breaks(vm, HINTS);
}

/* The driver starts with queue 0 described by @ring; whatever the device thinks of it. */
static bool start_with(struct vm *vm, const struct ring *ring)
{
	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	vm->link->set_up_queue(vm, INFLATE, ring);
	vm->link->driver_ok(vm);
	for (unsigned int i = 0; i < 3; i++)
		vm_kick(vm, INFLATE);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	vm->link->close(vm);
	return true;
}

static bool silly_addresses(struct vm *vm)
{
	static const struct {
		uint64_t desc, avail, used;
	} rows[] = {
		{ 0, 0, 0 },
		{ 1, 2, 4 },
		{ 8, 1024, 2048 },
		{ 16, 1025, 2048 },
		{ 16, 1024, 2050 },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX },
		{ UINT64_MAX - 15, UINT64_MAX - 1, UINT64_MAX - 3 },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63, UINT64_C(1) << 63 },
		{ GUEST_HOLE, GUEST_HOLE + 1024, GUEST_HOLE + 2048 },
		{ GUEST_HOLE - 16, GUEST_MIB, GUEST_MIB + 1024 },
		{ GUEST_MIB, GUEST_HOLE - 2, GUEST_MIB + 1024 },
		{ GUEST_MIB, GUEST_MIB + 1024, GUEST_HOLE - 4 },
		{ GUEST_END - 16, GUEST_END - 2, GUEST_END - 4 },
		/* One over the other. */
		{ GUEST_MIB, GUEST_MIB, GUEST_MIB },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ring ring = vm->rings[INFLATE];

		ring.desc = rows[i].desc;
		ring.avail = rows[i].avail;
		ring.used = rows[i].used;
		if (!start_with(vm, &ring))
			return false;
	}
	return true;
}

static bool silly_sizes(struct vm *vm)
{
	static const uint16_t sizes[] = { 0, 3, 63, 257, 1024, 2048, 32768, 65535 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ring ring = vm->rings[INFLATE];

		ring.size = sizes[i];
		if (!start_with(vm, &ring))
			return false;
	}
	return true;
}

/* The used ring lies over the descriptors, so that the device writes what it reads next. */
static bool used_over_descriptors(struct vm *vm)
{
	struct ring ring = vm->rings[INFLATE];

	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	ring.used = ring.desc;
	vm->link->set_up_queue(vm, INFLATE, &ring);
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		ring_fill(&ring, i, BUFFERS, 4, RING_NEXT, (uint16_t)(i + 1));
		ring_offer(&ring, (uint16_t)i);
	}
	vm->link->driver_ok(vm);
	for (unsigned int i = 0; i < 100; i++)
		vm_kick(vm, INFLATE);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	return true;
}

static bool enabled_twice(struct vm *vm)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		vm->link->set_up_queue(vm, i, &vm->rings[i]);
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool kicks_before_driver_ok(struct vm *vm)
{
	EXPECT(vm, vm->link->connect(vm) == 0);
	EXPECT(vm, vm_map_all(vm) == 0);
	EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		EXPECT(vm, vm->link->set_up_queue(vm, i, &vm->rings[i]) == 0);
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 1, 1), 4, 0);
	for (unsigned int i = 0; i < 10; i++)
		vm_kick(vm, INFLATE);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	EXPECT(vm, ring_used_index(&vm->rings[INFLATE]) == 0);
	/* What was offered too early is taken then. */
	EXPECT(vm, vm->link->driver_ok(vm) == 0);
	return vm_settles(vm);
}

static bool kicks_without_memory(struct vm *vm)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		vm_kick(vm, i);
	EXPECT(vm, device_lives(vm->device));
	return true;
}

static bool flood_of_kicks(struct vm *vm)
{
	for (unsigned int i = 0; i < 50000; i++) {
		vm_kick(vm, i % QUEUES);
		if (i % 5000 == 0)
			EXPECT(vm,
			       device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	}
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* The available ring is written while the device reads it. */
static bool indices_change_all_the_time(struct vm *vm)
{
	uint32_t state = 12345;

	for (unsigned int i = 0; i < 20000; i++) {
		uint16_t *avail = guest_at(&vm->guest, vm->rings[INFLATE].avail);

		avail[2 + i % RING_SIZE] = (uint16_t)(row_random(&state) % RING_SIZE);
		ring_fill(&vm->rings[INFLATE], row_random(&state) % RING_SIZE, row_random(&state),
			  row_random(&state) % 4096, (uint16_t)row_random(&state),
			  (uint16_t)(row_random(&state) % RING_SIZE));
		ring_set_avail_index(&vm->rings[INFLATE],
				     (uint16_t)(vm->rings[INFLATE].offered + 1));
		if (i % 8 == 0)
			vm_kick(vm, INFLATE);
	}
	vm_forget_rings(vm);
	return true;
}

static bool resets_under_load(struct vm *vm)
{
	for (unsigned int i = 0; i < 50; i++) {
		uint64_t at = vm_write_pfns(vm, PAGES / GUEST_PAGE, 4096, 1);

		for (unsigned int j = 0; j < RING_SIZE; j++)
			vm_offer(vm, INFLATE, at, 16384, 0);
		vm_kick(vm, INFLATE);
		EXPECT(vm, vm->link->reset(vm) == 0);
		EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
		EXPECT(vm, vm->link->begin(vm, vm->features) == 0);
		for (unsigned int j = 0; j < QUEUES; j++) {
			ring_init(&vm->rings[j], &vm->guest, RING_GPA(j));
			EXPECT(vm, vm->link->set_up_queue(vm, j, &vm->rings[j]) == 0);
		}
		EXPECT(vm, vm->link->driver_ok(vm) == 0);
	}
	return honest_cycle(vm);
}

const struct row rows_rings[] = {
	{ "ring-head-outside", STARTED, BOTH, head_outside },
	{ "ring-head-far-outside", STARTED, BOTH, head_far_outside },
	{ "ring-index-runs-ahead", STARTED, BOTH, index_runs_ahead },
	{ "ring-index-runs-back", STARTED, BOTH, index_runs_back },
	{ "ring-of-reports-runs-ahead", STARTED, BOTH, index_of_reports_runs_ahead },
	{ "ring-of-hints-runs-ahead", STARTED, BOTH, index_of_hints_runs_ahead },
	{ "ring-at-silly-addresses", ALONE, BOTH, silly_addresses },
	{ "ring-of-silly-sizes", ALONE, BOTH, silly_sizes },
	{ "ring-used-over-descriptors", ALONE, BOTH, used_over_descriptors },
	{ "ring-enabled-twice", STARTED, BOTH, enabled_twice },
	{ "ring-changes-all-the-time", STARTED, BOTH, indices_change_all_the_time },
	{ "kick-before-driver-ok", ALONE, BOTH, kicks_before_driver_ok },
	{ "kick-without-memory", CONNECTED, BOTH, kicks_without_memory },
	{ "kick-flood", STARTED, BOTH, flood_of_kicks },
	{ "reset-under-load", STARTED, BOTH, resets_under_load },
	{ 0 },
};
