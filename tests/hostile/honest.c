/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An honest guest, which must find a working device whatever another guest did before.
 */
#include "tests/hostile/vm.h"

#include <string.h>

#define BLOCK_PAGES 512
#define SINGLES 3
#define BALLOON "/machine/peripheral/balloon0"
#define MEMFREE 4

static bool set_actual(struct vm *vm, uint32_t pages)
{
	EXPECT(vm, vm->link->config_write(vm, 4, &pages, sizeof(pages)) == 0);
	return true;
}

/* What is written to a page that came back stays there. */
static void write_pages(struct vm *vm, uint64_t gpa, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		memcpy(guest_at(&vm->guest, gpa + i * GUEST_PAGE), &i, sizeof(i));
}

static bool pages_stay(struct vm *vm, uint64_t gpa, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		EXPECT(vm, memcmp(guest_at(&vm->guest, gpa + i * GUEST_PAGE), &i, sizeof(i)) == 0);
	return true;
}

/* A block of 2 MiB and some pages beside it, as Linux would: 256 PFNs in a buffer. */
static bool give_and_take(struct vm *vm)
{
	const unsigned int half = BLOCK_PAGES / 2;
	const uint64_t singles = PAGES + BLOCK_PAGES * GUEST_PAGE;
	const uint32_t pages = BLOCK_PAGES + SINGLES;
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	EXPECT(vm, before == GUEST_RAM);
	if (!vm_send_pages(vm, INFLATE, PAGES + half * GUEST_PAGE, half) ||
	    !vm_send_pages(vm, INFLATE, PAGES, half) ||
	    !vm_send_pages(vm, INFLATE, singles, SINGLES) || !set_actual(vm, pages) ||
	    !vm_wait_allocated(vm, before - pages * GUEST_PAGE))
		return false;
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == pages * GUEST_PAGE);
	if (!vm_send_pages(vm, DEFLATE, PAGES, half) ||
	    !vm_send_pages(vm, DEFLATE, PAGES + half * GUEST_PAGE, half) ||
	    !vm_send_pages(vm, DEFLATE, singles, SINGLES))
		return false;
	write_pages(vm, PAGES, pages);
	/* One more page, whose release comes after whatever would come too late. */
	if (!vm_send_pages(vm, INFLATE, GUEST_HIGH, 1) || !set_actual(vm, 1) ||
	    !vm_wait_allocated(vm, before - GUEST_PAGE) || !pages_stay(vm, PAGES, pages))
		return false;
	return vm_send_pages(vm, DEFLATE, GUEST_HIGH, 1) && set_actual(vm, 0);
}

static bool shows_free_memory(struct vm *vm, uint64_t bytes)
{
	json_t *answer =
		device_ask(vm->device, "qom-get",
			   json_pack("{s:s, s:s}", "path", BALLOON, "property", "guest-stats"));
	const json_t *stats = json_object_get(answer, "stats");
	bool shows = json_number_value(json_object_get(stats, "stat-free-memory")) == (double)bytes;

	json_decref(answer);
	return shows;
}

static void set_polling(struct vm *vm, int seconds)
{
	json_decref(device_ask(vm->device, "qom-set",
			       json_pack("{s:s, s:s, s:i}", "path", BALLOON, "property",
					 "guest-stats-polling-interval", "value", seconds)));
}

static bool send_stats(struct vm *vm, uint64_t free_bytes)
{
	uint8_t *entry = guest_at(&vm->guest, TABLES);
	const uint16_t tag = MEMFREE;
	uint64_t deadline = now_ms() + HANG_MS;

	memcpy(entry, &tag, sizeof(tag));
	memcpy(entry + sizeof(tag), &free_bytes, sizeof(free_bytes));
	vm_offer(vm, STATS, TABLES, sizeof(tag) + sizeof(free_bytes), 0);
	vm_kick(vm, STATS);
	while (!shows_free_memory(vm, free_bytes)) {
		EXPECT(vm, now_ms() < deadline);
		pause_ms(1);
	}
	return true;
}

/* The device holds the buffer, gives it back for a fresh sample, and shows that. */
static bool send_two_samples(struct vm *vm)
{
	uint16_t used = ring_used_index(&vm->rings[STATS]);
	uint64_t deadline = now_ms() + HANG_MS, value = now_ms() * 4096;

	if (!send_stats(vm, value))
		return false;
	EXPECT(vm, ring_used_index(&vm->rings[STATS]) == used);
	set_polling(vm, 1);
	while (ring_used_index(&vm->rings[STATS]) == used) {
		EXPECT(vm, now_ms() < deadline);
		pause_ms(1);
	}
	set_polling(vm, 0);
	return send_stats(vm, value + 1);
}

bool honest_cycle(struct vm *vm)
{
	return give_and_take(vm) && send_two_samples(vm);
}

bool honest_guest(struct vm *vm)
{
	EXPECT(vm, vm_start(vm) == 0);
	return honest_cycle(vm);
}
