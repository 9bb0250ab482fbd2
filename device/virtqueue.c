/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * What both ring formats have in common: starting a ring, finding it in this
 * process, collecting the segments of a chain, and counting what is in flight.
 * Everything that depends on the layout of the ring is behind struct ring_ops.
 *
 * Numbers from the guest only decide which of its own bytes are read: every index
 * is compared with the table's length before it is used, and every walk is
 * counted.
 */
#include "device/virtqueue.h"

#include "device/virtqueue_ring.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct ring_ops *ring_ops_of(const struct virtqueue_setup *setup)
{
	return setup->packed ? &ring_packed_ops : &ring_split_ops;
}

const char *virtqueue_fault_name(enum virtqueue_fault fault)
{
	static const char *const names[VIRTQUEUE_FAULT_COUNT] = {
		[VIRTQUEUE_OK] = "ok",
		[VIRTQUEUE_LOOP] = "loop",
		[VIRTQUEUE_INDEX] = "index",
		[VIRTQUEUE_INDIRECT] = "indirect",
		[VIRTQUEUE_DIRECTION] = "direction",
		[VIRTQUEUE_EMPTY] = "empty",
	};

	return fault < VIRTQUEUE_FAULT_COUNT ? names[fault] : "unknown";
}

static bool is_size_valid(const struct virtqueue_setup *setup)
{
	if (setup->size == 0 || setup->size > VIRTQUEUE_SIZE_MAX)
		return false;
	return setup->packed || (setup->size & (setup->size - 1)) == 0;
}

static bool is_area_valid(const struct ring_area *area)
{
	return area->gpa % area->alignment == 0 && area->gpa <= UINT64_MAX - area->bytes;
}

int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_setup *setup)
{
	struct virtqueue fresh = { .setup = *setup, .started = true };
	struct ring_areas areas;

	if (!is_size_valid(setup) || (setup->packed && setup->big_endian))
		return -EINVAL;
	ring_ops_of(setup)->areas(setup, &areas);
	if (!is_area_valid(&areas.desc) || !is_area_valid(&areas.driver) ||
	    !is_area_valid(&areas.device))
		return -EINVAL;
	if (!ring_ops_of(setup)->set_base(&fresh))
		return -EINVAL;
	*queue = fresh;
	virtqueue_relocate(queue, memory);
	return 0;
}

void virtqueue_stop(struct virtqueue *queue)
{
	queue->started = false;
	queue->desc = queue->driver = queue->device = NULL;
}

uint32_t virtqueue_base(const struct virtqueue *queue)
{
	return ring_ops_of(&queue->setup)->base(queue);
}

static uint8_t *locate_area(const struct memory *memory, const struct ring_area *area)
{
	return memory_at(memory, area->gpa, area->bytes, area->writable);
}

void virtqueue_relocate(struct virtqueue *queue, const struct memory *memory)
{
	struct ring_areas areas;

	if (!queue->started)
		return;
	ring_ops_of(&queue->setup)->areas(&queue->setup, &areas);
	queue->desc = locate_area(memory, &areas.desc);
	queue->driver = locate_area(memory, &areas.driver);
	queue->device = locate_area(memory, &areas.device);
	if (!queue->desc || !queue->driver || !queue->device)
		queue->desc = queue->driver = queue->device = NULL;
}

bool virtqueue_ready(const struct virtqueue *queue)
{
	return queue->started && !queue->broken && queue->desc;
}

enum virtqueue_fault ring_add_segment(struct virtqueue_chain *chain, const struct descriptor *desc)
{
	unsigned int count = chain->readable + chain->writable;

	if (desc->length == 0)
		return VIRTQUEUE_OK;
	/* Only an indirect table that follows many descriptors of the ring can be that long. */
	if (count == VIRTQUEUE_SEGMENTS_MAX)
		return VIRTQUEUE_INDIRECT;
	chain->segments[count] =
		(struct virtqueue_segment){ .gpa = desc->gpa, .length = desc->length };
	if (desc->flags & DESC_F_WRITE) {
		chain->writable++;
		chain->writable_bytes += desc->length;
		return VIRTQUEUE_OK;
	}
	if (chain->writable)
		return VIRTQUEUE_DIRECTION;
	chain->readable++;
	chain->readable_bytes += desc->length;
	return VIRTQUEUE_OK;
}

unsigned int ring_table_entries(const struct virtqueue *queue, const struct descriptor *desc)
{
	unsigned int entries = desc->length / DESC_BYTES;

	if (!queue->setup.indirect || desc->length % DESC_BYTES || entries > VIRTQUEUE_SIZE_MAX ||
	    desc->gpa > UINT64_MAX - desc->length)
		return 0;
	return entries;
}

bool ring_read_table(const struct virtqueue *queue, const struct memory *memory, uint64_t table,
		     unsigned int index, struct descriptor *desc)
{
	struct {
		uint64_t gpa;
		uint32_t length;
		uint16_t half[2];
	} raw;
	/* The formats differ in which of the two comes first. */
	unsigned int flags = queue->setup.packed ? 1 : 0;

	_Static_assert(sizeof(raw) == DESC_BYTES, "the layout in the guest");
	if (!memory_read(memory, table + (uint64_t)index * DESC_BYTES, &raw, sizeof(raw)))
		return false;
	desc->gpa = ring_cpu64(queue, raw.gpa);
	desc->length = ring_cpu32(queue, raw.length);
	desc->flags = ring_cpu16(queue, raw.half[flags]);
	desc->next = ring_cpu16(queue, raw.half[1 - flags]);
	return true;
}

bool ring_has_room(const struct virtqueue *queue, uint16_t count)
{
	return count <= queue->setup.size - queue->in_flight;
}

static void clear_chain(struct virtqueue_chain *chain)
{
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
}

/* Everything but the segments, which are many, and valid only as far as they are counted. */
static void init_chain(struct virtqueue_chain *chain)
{
	chain->token = (struct virtqueue_token){ 0 };
	chain->fault = VIRTQUEUE_OK;
	clear_chain(chain);
}

int virtqueue_pop(struct virtqueue *queue, const struct memory *memory,
		  struct virtqueue_chain *chain)
{
	int result;

	init_chain(chain);
	if (!virtqueue_ready(queue))
		return 0;
	result = ring_ops_of(&queue->setup)->pop(queue, memory, chain);
	if (result > 0)
		queue->in_flight = (uint16_t)(queue->in_flight + chain->token.count);
	if (result < 0)
		queue->broken = true;
	if (result > 0 && chain->fault == VIRTQUEUE_OK && chain->readable + chain->writable == 0)
		chain->fault = VIRTQUEUE_EMPTY;
	if (result < 0 || chain->fault != VIRTQUEUE_OK)
		clear_chain(chain);
	return result;
}

void virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	/* The ring did not hand out this token since it was started. */
	if (token.count == 0 || token.count > queue->in_flight)
		return;
	queue->in_flight = (uint16_t)(queue->in_flight - token.count);
	if (!virtqueue_ready(queue))
		return;
	ring_ops_of(&queue->setup)->push(queue, token, written);
	if (queue->pushed <= UINT32_MAX - token.count)
		queue->pushed += token.count;
}

bool virtqueue_should_notify(struct virtqueue *queue)
{
	bool notify;

	if (!virtqueue_ready(queue) || queue->pushed == 0)
		return false;
	ring_fence();
	notify = ring_ops_of(&queue->setup)->should_notify(queue);
	queue->pushed = 0;
	queue->asked = true;
	return notify;
}

void virtqueue_disable_kicks(struct virtqueue *queue)
{
	if (virtqueue_ready(queue))
		ring_ops_of(&queue->setup)->disable_kicks(queue);
}

bool virtqueue_enable_kicks(struct virtqueue *queue)
{
	return virtqueue_ready(queue) && ring_ops_of(&queue->setup)->enable_kicks(queue);
}
