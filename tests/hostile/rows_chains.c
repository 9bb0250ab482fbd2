/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of descriptors that no driver would make, direct and indirect. */
#include "tests/hostile/rows.h"

#include <string.h>

#define CHAIN "fault-chain"

static void fill(struct vm *vm, unsigned int index, uint64_t addr, uint32_t len, uint16_t flags,
		 uint16_t next)
{
	ring_fill(&vm->rings[INFLATE], index, addr, len, flags, next);
}

static bool loops_on_itself(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 4, RING_NEXT, 0);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static bool loops_through_the_ring(struct vm *vm)
{
	for (unsigned int i = 0; i < RING_SIZE; i++)
		fill(vm, i, BUFFERS, 4, RING_NEXT, (uint16_t)((i + 1) % RING_SIZE));
	return row_chain(vm, INFLATE, 5, CHAIN);
}

static bool next_is_just_outside(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 4, RING_NEXT, RING_SIZE);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static bool next_is_far_outside(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 4, RING_NEXT, 65535);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static bool is_of_no_bytes(struct vm *vm)
{
	for (unsigned int i = 0; i < RING_SIZE; i++)
		fill(vm, i, BUFFERS, 0, i + 1 < RING_SIZE ? RING_NEXT : 0, (uint16_t)(i + 1));
	return row_chain(vm, INFLATE, 0, CHAIN);
}

/* Truncated: the second descriptor was never written. */
static bool ends_in_nothing(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 0, RING_NEXT, 1);
	fill(vm, 1, 0, 0, 0, 0);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static bool reads_behind_writing(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 4, RING_WRITE | RING_NEXT, 1);
	fill(vm, 1, BUFFERS, 4, 0, 0);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static bool has_all_flags(struct vm *vm)
{
	fill(vm, 0, BUFFERS, 64, UINT16_MAX, 1);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

/* What is not a mistake: the same head twice, before the first was returned. */
static bool has_the_same_head_twice(struct vm *vm)
{
	*(uint32_t *)guest_at(&vm->guest, BUFFERS) = PAGES / GUEST_PAGE;
	fill(vm, 0, BUFFERS, 4, 0, 0);
	for (unsigned int i = 0; i < RING_SIZE - 1; i++)
		ring_offer(&vm->rings[INFLATE], 0);
	return row_chain(vm, INFLATE, 0, "fault-inflate-twice");
}

static bool table(struct vm *vm, uint64_t gpa, uint32_t length, uint16_t flags)
{
	fill(vm, 0, gpa, length, RING_INDIRECT | flags, 1);
	fill(vm, 1, BUFFERS, 4, 0, 0);
	return row_chain(vm, INFLATE, 0, CHAIN);
}

static void entry(struct vm *vm, unsigned int index, uint16_t flags, uint16_t next)
{
	struct ring_desc *entries = guest_at(&vm->guest, TABLES);

	entries[index] = (struct ring_desc){ BUFFERS, 4, flags, next };
}

static bool table_loops(struct vm *vm)
{
	entry(vm, 0, RING_NEXT, 1);
	entry(vm, 1, RING_NEXT, 0);
	return table(vm, TABLES, 32, 0);
}

static bool table_names_an_entry_outside(struct vm *vm)
{
	entry(vm, 0, RING_NEXT, 2);
	return table(vm, TABLES, 32, 0);
}

static bool table_is_nested(struct vm *vm)
{
	struct ring_desc *entries = guest_at(&vm->guest, TABLES);

	entries[0] = (struct ring_desc){ TABLES, 16, RING_INDIRECT, 0 };
	return table(vm, TABLES, 16, 0);
}

static bool table_is_ragged(struct vm *vm)
{
	entry(vm, 0, 0, 0);
	return table(vm, TABLES, 17, 0) && table(vm, TABLES, 15, 0);
}

static bool table_is_empty(struct vm *vm)
{
	return table(vm, TABLES, 0, 0);
}

static bool table_is_huge(struct vm *vm)
{
	memset(guest_at(&vm->guest, TABLES), 0, GUEST_MIB);
	return table(vm, TABLES, GUEST_MIB, 0) && table(vm, TABLES, UINT32_MAX & ~15U, 0);
}

/* As long as is allowed; every entry leads to the next one, and the last to the first. */
static bool table_is_long_and_loops(struct vm *vm)
{
	for (unsigned int i = 0; i < VIRTQUEUE_SIZE_MAX; i++)
		entry(vm, i, RING_NEXT, (uint16_t)((i + 1) % VIRTQUEUE_SIZE_MAX));
	return table(vm, TABLES, VIRTQUEUE_SIZE_MAX * 16, 0);
}

static bool table_is_nowhere(struct vm *vm)
{
	return table(vm, GUEST_HOLE, 32, 0) && table(vm, GUEST_HOLE - 16, 32, 0) &&
	       table(vm, UINT64_MAX - 15, 32, 0);
}

/* VIRTIO 2.7.5.3.1: not both at once. */
static bool table_has_a_next(struct vm *vm)
{
	entry(vm, 0, 0, 0);
	return table(vm, TABLES, 16, RING_NEXT);
}

static bool table_is_the_ring(struct vm *vm)
{
	return table(vm, RING_GPA(INFLATE), RING_SIZE * 16, 0);
}

const struct row rows_chains[] = {
	{ "chain-loops-on-itself", STARTED, BOTH, loops_on_itself },
	{ "chain-loops-through-the-ring", STARTED, BOTH, loops_through_the_ring },
	{ "chain-next-just-outside", STARTED, BOTH, next_is_just_outside },
	{ "chain-next-far-outside", STARTED, BOTH, next_is_far_outside },
	{ "chain-of-no-bytes", STARTED, BOTH, is_of_no_bytes },
	{ "chain-truncated", STARTED, BOTH, ends_in_nothing },
	{ "chain-reads-behind-writing", STARTED, BOTH, reads_behind_writing },
	{ "chain-has-all-flags", STARTED, BOTH, has_all_flags },
	{ "chain-has-the-same-head-twice", STARTED, BOTH, has_the_same_head_twice },
	{ "indirect-loops", STARTED, BOTH, table_loops },
	{ "indirect-next-outside", STARTED, BOTH, table_names_an_entry_outside },
	{ "indirect-nested", STARTED, BOTH, table_is_nested },
	{ "indirect-ragged", STARTED, BOTH, table_is_ragged },
	{ "indirect-empty", STARTED, BOTH, table_is_empty },
	{ "indirect-huge", STARTED, BOTH, table_is_huge },
	{ "indirect-long-loop", STARTED, BOTH, table_is_long_and_loops },
	{ "indirect-nowhere", STARTED, BOTH, table_is_nowhere },
	{ "indirect-and-next", STARTED, BOTH, table_has_a_next },
	{ "indirect-is-the-ring", STARTED, BOTH, table_is_the_ring },
	{ 0 },
};
