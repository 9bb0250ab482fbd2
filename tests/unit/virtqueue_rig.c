/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/virtqueue_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void start(struct rig *rig)
{
	assert_int_equal(virtqueue_start(&rig->queue, &rig->memory, &rig->setup), 0);
}

static struct rig *rig_new(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->ram = aligned_alloc(4096, SLOW_BYTES);
	assert_non_null(rig->ram);
	memset(rig->ram, 0, SLOW_BYTES);
	assert_int_equal(memory_add(&rig->memory, SLOW_GPA, SLOW_BYTES, rig->ram), 0);
	slow_place_rings(&rig->setup);
	rig->setup.size = SIZE;
	rig->setup.indirect = true;
	*state = rig;
	return rig;
}

int rig_setup_split(void **state)
{
	start(rig_new(state));
	return 0;
}

int rig_setup_event(void **state)
{
	struct rig *rig = rig_new(state);

	rig->setup.event_idx = true;
	start(rig);
	return 0;
}

int rig_setup_packed(void **state)
{
	struct rig *rig = rig_new(state);

	rig->setup.packed = true;
	rig->setup.base = VIRTQUEUE_BASE_PACKED;
	start(rig);
	return 0;
}

int rig_setup_packed_event(void **state)
{
	struct rig *rig;

	rig_setup_packed(state);
	rig = *state;
	rig->setup.event_idx = true;
	start(rig);
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	memory_clear(&rig->memory);
	free(rig->ram);
	free(rig);
	return 0;
}

void put(struct rig *rig, uint64_t gpa, unsigned int bytes, uint64_t value)
{
	slow_put(rig->ram, gpa, bytes, value, rig->setup.big_endian);
}

uint64_t get(const struct rig *rig, uint64_t gpa, unsigned int bytes)
{
	return slow_get(rig->ram, gpa, bytes, rig->setup.big_endian);
}

void desc(struct rig *rig, uint64_t table, unsigned int i, uint64_t gpa, uint32_t length,
	  unsigned int flags, unsigned int next)
{
	put(rig, table + 16 * i, 8, gpa);
	put(rig, table + 16 * i + 8, 4, length);
	put(rig, table + 16 * i + 12, 2, flags);
	put(rig, table + 16 * i + 14, 2, next);
}

void entry(struct rig *rig, uint64_t table, unsigned int i, uint64_t gpa, uint32_t length,
	   unsigned int flags, unsigned int id)
{
	desc(rig, table, i, gpa, length, id, flags);
}

void offer(struct rig *rig, unsigned int head)
{
	put(rig, rig->setup.driver + 4 + 2 * (rig->offered % rig->setup.size), 2, head);
	put(rig, rig->setup.driver + 2, 2, ++rig->offered);
}

void offer_simple(struct rig *rig, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		desc(rig, rig->setup.desc, i, BUFFER, 8, 0, 0);
		offer(rig, i);
	}
}

int pop(struct rig *rig)
{
	return virtqueue_pop(&rig->queue, &rig->memory, &rig->chain);
}

void pops_fault(struct rig *rig, enum virtqueue_fault fault)
{
	assert_int_equal(pop(rig), 1);
	assert_string_equal(virtqueue_fault_name(rig->chain.fault), virtqueue_fault_name(fault));
	if (fault == VIRTQUEUE_OK)
		return;
	assert_int_equal(rig->chain.readable + rig->chain.writable, 0);
	assert_int_equal(rig->chain.readable_bytes + rig->chain.writable_bytes, 0);
}

void has_segment(const struct rig *rig, unsigned int i, uint64_t gpa, uint32_t length)
{
	assert_true(i < rig->chain.readable + rig->chain.writable);
	assert_int_equal(rig->chain.segments[i].gpa, gpa);
	assert_int_equal(rig->chain.segments[i].length, length);
}

void pop_and_push(struct rig *rig)
{
	assert_int_equal(pop(rig), 1);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
}

void breaks(struct rig *rig)
{
	assert_int_equal(pop(rig), -EPROTO);
	assert_true(rig->queue.broken);
	assert_false(virtqueue_ready(&rig->queue));
	assert_int_equal(pop(rig), 0);
}

void good_table(struct rig *rig)
{
	desc(rig, TABLE, 0, BUFFER, 8, 0, 0);
}

void refused(const struct rig *rig, const struct virtqueue_setup *setup)
{
	struct virtqueue queue = { .next_avail = 77 };

	assert_int_equal(virtqueue_start(&queue, &rig->memory, setup), -EINVAL);
	assert_int_equal(queue.next_avail, 77);
	assert_false(queue.started);
}
