/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/hostile/rows.h"

#include <string.h>

uint64_t row_counter(struct vm *vm, const char *name)
{
	return device_number(vm->device, "x-query-counters", name);
}

static bool kick_and_count(struct vm *vm, unsigned int queue, const char *fault, uint64_t before)
{
	uint64_t deadline = now_ms() + HANG_MS;

	vm_kick(vm, queue);
	if (!vm_settles(vm))
		return false;
	/* Statistics may be held, so that they say nothing by their return. */
	while (row_counter(vm, fault) <= before) {
		if (now_ms() > deadline)
			return vm_fail(vm, "no %s was counted", fault);
		pause_ms(1);
	}
	return true;
}

bool row_chain(struct vm *vm, unsigned int queue, uint16_t head, const char *fault)
{
	uint64_t before = row_counter(vm, fault);

	ring_offer(&vm->rings[queue], head);
	return kick_and_count(vm, queue, fault, before);
}

bool row_buffer(struct vm *vm, unsigned int queue, uint64_t gpa, uint32_t length, uint16_t flags,
		const char *fault)
{
	uint64_t before = row_counter(vm, fault);

	vm_offer(vm, queue, gpa, length, flags);
	return kick_and_count(vm, queue, fault, before);
}

bool row_pfns(struct vm *vm, unsigned int queue, const uint32_t *pfns, unsigned int count,
	      const char *fault)
{
	memcpy(guest_at(&vm->guest, BUFFERS), pfns, count * sizeof(*pfns));
	return row_buffer(vm, queue, BUFFERS, count * (uint32_t)sizeof(*pfns), 0, fault);
}

bool row_files(struct vm *vm, int most)
{
	uint64_t deadline = now_ms() + HANG_MS;

	while (device_files(vm->device) > most) {
		if (now_ms() > deadline || !device_lives(vm->device))
			return vm_fail(vm, "%d files are open, and not %d",
				       device_files(vm->device), most);
		pause_ms(1);
	}
	return true;
}

uint32_t row_random(uint32_t *state)
{
	/* Marsaglia's xorshift. */
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}
