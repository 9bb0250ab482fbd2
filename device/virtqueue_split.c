/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split virtqueues (VIRTIO 1.2, 2.7).
 *
 * Theory of operation
 * -------------------
 * Three areas.  Descriptor table: @size entries of 16 bytes, address, length,
 * flags, next.  Available ring, written by the driver: flags, idx, a ring of
 * heads, used_event.  Used ring, written by the device: flags, idx, a ring of
 * (id, length), avail_event.  Both idx run freely through 16 bits, as do
 * next_avail and next_used here; modulo the size, which is a power of two, they
 * are positions in the rings.
 *
 * The used index belongs to the device.  It is read from the ring only once, in
 * case another process served this queue before.
 */
#include "device/virtqueue_ring.h"

#include <errno.h>

#define FLAGS_OFFSET 0
#define INDEX_OFFSET 2
#define ENTRIES_OFFSET 4
#define AVAIL_ENTRY_BYTES 2u
#define USED_ENTRY_BYTES 8u
#define EVENT_BYTES 2u
#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY 1u

/* A table of descriptors: the ring's, or an indirect one in guest memory. */
struct table {
	uint64_t gpa; /* indirect */
	unsigned int entries;
	bool indirect;
};

static void split_areas(const struct virtqueue_setup *setup, struct ring_areas *out)
{
	/* used_event and avail_event exist only with EVENT_IDX. */
	uint64_t header = ENTRIES_OFFSET + (setup->event_idx ? EVENT_BYTES : 0);

	*out = (struct ring_areas){
		.desc = { setup->desc, (uint64_t)DESC_BYTES * setup->size, 16, false },
		.driver = { setup->driver, header + AVAIL_ENTRY_BYTES * setup->size, 2, false },
		.device = { setup->device, header + USED_ENTRY_BYTES * setup->size, 4, true },
	};
}

static bool split_set_base(struct virtqueue *queue)
{
	queue->next_avail = (uint16_t)queue->setup.base;
	return queue->setup.base <= UINT16_MAX;
}

static uint32_t split_base(const struct virtqueue *queue)
{
	return queue->next_avail;
}

static uint16_t wrap_index(const struct virtqueue *queue, uint16_t index)
{
	return index & (uint16_t)(queue->setup.size - 1);
}

static void split_read_desc(const struct virtqueue *queue, uint16_t index, struct descriptor *desc)
{
	const uint8_t *at = queue->desc + (size_t)DESC_BYTES * index;

	desc->gpa = ring_load64(queue, at);
	desc->length = ring_load32(queue, at + 8);
	desc->flags = ring_load16(queue, at + 12);
	desc->next = ring_load16(queue, at + 14);
}

static enum virtqueue_fault walk_table(const struct virtqueue *queue, const struct memory *memory,
				       const struct table *table, uint16_t index,
				       struct virtqueue_chain *chain);

/* The rest of the chain is in the table to which @desc refers. */
static enum virtqueue_fault walk_indirect_table(const struct virtqueue *queue,
						const struct memory *memory,
						const struct descriptor *desc,
						struct virtqueue_chain *chain)
{
	struct table table = { .gpa = desc->gpa, .indirect = true };

	table.entries = ring_table_entries(queue, desc);
	if (table.entries == 0 || desc->flags & DESC_F_NEXT)
		return VIRTQUEUE_INDIRECT;
	return walk_table(queue, memory, &table, 0, chain);
}

static enum virtqueue_fault walk_table(const struct virtqueue *queue, const struct memory *memory,
				       const struct table *table, uint16_t index,
				       struct virtqueue_chain *chain)
{
	for (unsigned int steps = 0; steps < table->entries; steps++) {
		enum virtqueue_fault fault;
		struct descriptor desc;

		if (!table->indirect)
			split_read_desc(queue, index, &desc);
		else if (!ring_read_table(queue, memory, table->gpa, index, &desc))
			return VIRTQUEUE_INDIRECT;
		if (desc.flags & DESC_F_INDIRECT)
			return table->indirect ? VIRTQUEUE_INDIRECT
					       : walk_indirect_table(queue, memory, &desc, chain);
		fault = ring_add_segment(chain, &desc);
		if (fault != VIRTQUEUE_OK || !(desc.flags & DESC_F_NEXT))
			return fault;
		if (desc.next >= table->entries)
			return VIRTQUEUE_INDEX;
		index = desc.next;
	}
	return VIRTQUEUE_LOOP;
}

static uint16_t read_avail_index(const struct virtqueue *queue)
{
	return ring_load16_acquire(queue, queue->driver + INDEX_OFFSET);
}

static int split_pop(struct virtqueue *queue, const struct memory *memory,
		     struct virtqueue_chain *chain)
{
	const struct table table = { .entries = queue->setup.size };
	uint16_t ahead = (uint16_t)(read_avail_index(queue) - queue->next_avail);
	uint16_t head;

	if (ahead == 0)
		return 0;
	if (ahead > queue->setup.size || !ring_has_room(queue, 1))
		return -EPROTO;
	head = ring_load16(queue, queue->driver + ENTRIES_OFFSET +
					  AVAIL_ENTRY_BYTES * wrap_index(queue, queue->next_avail));
	if (head >= queue->setup.size)
		return -EPROTO;
	queue->next_avail++;
	chain->token = (struct virtqueue_token){ .id = head, .count = 1 };
	chain->fault = walk_table(queue, memory, &table, head, chain);
	return 1;
}

static void split_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	uint8_t *entry;

	if (!queue->used_known) {
		queue->next_used = ring_load16(queue, queue->device + INDEX_OFFSET);
		queue->used_known = true;
	}
	entry = queue->device + ENTRIES_OFFSET +
		USED_ENTRY_BYTES * wrap_index(queue, queue->next_used);
	ring_store32(queue, entry, token.id);
	ring_store32(queue, entry + 4, written);
	queue->next_used++;
	ring_store16_release(queue, queue->device + INDEX_OFFSET, queue->next_used);
}

/* Is the entry with index used_event among those that were pushed? */
static bool split_should_notify(const struct virtqueue *queue)
{
	uint16_t event, since;

	if (!queue->setup.event_idx)
		return !(ring_load16(queue, queue->driver + FLAGS_OFFSET) & AVAIL_F_NO_INTERRUPT);
	if (!queue->asked)
		return true;
	event = ring_load16(queue,
			    queue->driver + ENTRIES_OFFSET + AVAIL_ENTRY_BYTES * queue->setup.size);
	since = (uint16_t)(queue->next_used - 1 - event);
	return since < queue->pushed;
}

static void split_disable_kicks(struct virtqueue *queue)
{
	/* With EVENT_IDX an avail_event that the driver has passed already suppresses kicks. */
	if (!queue->setup.event_idx)
		ring_store16(queue, queue->device + FLAGS_OFFSET, USED_F_NO_NOTIFY);
}

static bool split_enable_kicks(struct virtqueue *queue)
{
	if (queue->setup.event_idx)
		ring_store16(queue,
			     queue->device + ENTRIES_OFFSET + USED_ENTRY_BYTES * queue->setup.size,
			     queue->next_avail);
	else
		ring_store16(queue, queue->device + FLAGS_OFFSET, 0);
	ring_fence();
	return read_avail_index(queue) != queue->next_avail;
}

const struct ring_ops ring_split_ops = {
	.areas = split_areas,
	.set_base = split_set_base,
	.base = split_base,
	.pop = split_pop,
	.push = split_push,
	.should_notify = split_should_notify,
	.disable_kicks = split_disable_kicks,
	.enable_kicks = split_enable_kicks,
};
