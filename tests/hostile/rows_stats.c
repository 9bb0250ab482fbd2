/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: at most one buffer, of whole entries. */
#include "tests/hostile/rows.h"

#include <string.h>

/* Whatever it made of the last one: it holds at most one, and asks for another all the same. */
static bool sends(struct vm *vm, uint64_t gpa, uint32_t length, uint16_t flags)
{
	vm_offer(vm, STATS, gpa, length, flags);
	vm_kick(vm, STATS);
	return vm_settles(vm);
}

static bool of_odd_length(struct vm *vm)
{
	for (uint32_t length = 1; length < 32; length++)
		if (length % 10 && !row_buffer(vm, STATS, BUFFERS, length, 0, "fault-length"))
			return false;
	return true;
}

static bool of_huge_length(struct vm *vm)
{
	return row_buffer(vm, STATS, GUEST_LOW, GUEST_PART, 0, "fault-length") &&
	       row_buffer(vm, STATS, GUEST_LOW, UINT32_MAX, 0, "fault-length");
}

static bool of_no_length(struct vm *vm)
{
	return row_buffer(vm, STATS, BUFFERS, 0, 0, "fault-chain");
}

static bool second_buffer(struct vm *vm)
{
	return sends(vm, BUFFERS, 10, 0) && row_buffer(vm, STATS, BUFFERS, 10, 0, "fault-stats");
}

static bool many_buffers(struct vm *vm)
{
	for (unsigned int i = 0; i < RING_SIZE - 1; i++)
		vm_offer(vm, STATS, BUFFERS, 10, 0);
	return row_buffer(vm, STATS, BUFFERS, 10, 0, "fault-stats");
}

static bool writable(struct vm *vm)
{
	return row_buffer(vm, STATS, BUFFERS, 10, RING_WRITE, "fault-direction");
}

static bool nowhere(struct vm *vm)
{
	return row_buffer(vm, STATS, GUEST_HOLE, 10, 0, "fault-memory") &&
	       row_buffer(vm, STATS, GUEST_HOLE - 5, 10, 0, "fault-memory") &&
	       row_buffer(vm, STATS, UINT64_MAX - 4, 10, 0, "fault-memory");
}

/* Tags that nobody knows, each once, and one tag many times. */
static bool of_unknown_tags(struct vm *vm)
{
	uint8_t *entries = guest_at(&vm->guest, BUFFERS);

	for (unsigned int i = 0; i < 64; i++) {
		const uint16_t tag = (uint16_t)(65535 - i);

		memcpy(entries + 10 * i, &tag, sizeof(tag));
		memset(entries + 10 * i + 2, 0xff, 8);
	}
	if (!sends(vm, BUFFERS, 640, 0))
		return false;
	memset(entries, 0, 640);
	return sends(vm, BUFFERS, 640, 0);
}

const struct row rows_stats[] = {
	{ "stats-of-odd-length", STARTED, BOTH, of_odd_length },
	{ "stats-of-huge-length", STARTED, BOTH, of_huge_length },
	{ "stats-of-no-length", STARTED, BOTH, of_no_length },
	{ "stats-second-buffer", STARTED, BOTH, second_buffer },
	{ "stats-many-buffers", STARTED, BOTH, many_buffers },
	{ "stats-writable", STARTED, BOTH, writable },
	{ "stats-nowhere", STARTED, BOTH, nowhere },
	{ "stats-of-unknown-tags", STARTED, BOTH, of_unknown_tags },
	{ 0 },
};
