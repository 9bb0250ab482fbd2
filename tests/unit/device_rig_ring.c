/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of both ring formats, VIRTIO 1.2, 2.7 and 2.8, as the specification describes
 * them. */
#include "tests/unit/device_rig.h"

#include <string.h>

#define NEXT 1u
#define WRITE 2u
#define INDIRECT 4u
#define AVAIL (1u << 7)
#define USED (1u << 15)
#define RINGS_GPA (RIG_DRIVER_GPA + RIG_DRIVER_BYTES / 4 * 3)
#define RING_BYTES UINT64_C(0x8000)

void rig_ring_init(struct device_rig *rig, enum balloon_queue kind)
{
	uint64_t at = RINGS_GPA + kind * RING_BYTES;

	rig->queues[kind] = (struct rig_queue){
		.number = BALLOON_QUEUES_MAX,
		.size = rig->options.queue_size,
		.desc = at,
		.driver = at + 0x4000,
		.device = at + 0x6000,
		.avail_wrap = true,
		.used_wrap = true,
	};
	assert_true(rig->options.queue_size <= RIG_QUEUE_SIZE_MAX);
	memset(rig_at(rig, at), 0, RING_BYTES);
}

struct virtqueue_setup rig_ring_setup(const struct rig_queue *queue)
{
	return (struct virtqueue_setup){
		.desc = queue->desc,
		.driver = queue->driver,
		.device = queue->device,
		.size = queue->size,
	};
}

static void put_desc(struct device_rig *rig, uint64_t table, unsigned int index,
		     const struct rig_segment *segment, unsigned int third, unsigned int fourth)
{
	rig_put(rig, table + 16 * index, 8, segment->gpa);
	rig_put(rig, table + 16 * index + 8, 4, segment->length);
	rig_put(rig, table + 16 * index + 12, 2, third);
	rig_put(rig, table + 16 * index + 14, 2, fourth);
}

static unsigned int flags_of(const struct rig_chain *chain, unsigned int i)
{
	unsigned int flags = chain->segments[i].writable ? WRITE : 0;

	return i + 1 < chain->count || chain->loop ? flags | NEXT : flags;
}

/* The chain in a table of its own: one segment that refers to it. */
static struct rig_segment put_table(struct device_rig *rig, const struct rig_chain *chain)
{
	uint64_t table = rig_alloc(rig, 16 * chain->count);

	for (unsigned int i = 0; i < chain->count; i++) {
		unsigned int next = i + 1 < chain->count ? i + 1 : 0;
		unsigned int flags = flags_of(chain, i);

		if (rig->packed)
			put_desc(rig, table, i, &chain->segments[i], 0, flags & WRITE);
		else
			put_desc(rig, table, i, &chain->segments[i], flags, next);
	}
	return (struct rig_segment){ .gpa = table, .length = 16 * chain->count };
}

/*
 * Split
 */

static uint16_t take_desc(struct rig_queue *queue)
{
	for (uint16_t i = 0; i < queue->size; i++)
		if (!queue->taken[i]) {
			queue->taken[i] = true;
			return i;
		}
	fail_msg("the ring is full");
	return 0;
}

static void send_split(struct device_rig *rig, struct rig_queue *queue,
		       const struct rig_chain *chain, unsigned int extra)
{
	struct rig_buffer buffer = { .sent = true };
	uint16_t head;

	for (unsigned int i = 0; i < chain->count; i++)
		buffer.at[buffer.entries++] = take_desc(queue);
	head = buffer.at[0];
	for (unsigned int i = 0; i < chain->count; i++)
		put_desc(rig, queue->desc, buffer.at[i], &chain->segments[i],
			 flags_of(chain, i) | extra, buffer.at[i + 1 < chain->count ? i + 1 : 0]);
	queue->buffers[head] = buffer;
	rig_put(rig, queue->driver + 4 + 2 * (queue->next_avail % queue->size), 2, head);
	rig_put(rig, queue->driver + 2, 2, ++queue->next_avail);
}

static bool collect_split(struct device_rig *rig, struct rig_queue *queue)
{
	uint64_t entry = queue->device + 4 + 8 * (queue->next_used % queue->size);
	struct rig_buffer *buffer;
	uint32_t id;

	/* Asks for an interrupt at the next one; then looks whether it is there. */
	if (rig->event_idx)
		rig_put(rig, queue->driver + 4 + 2 * queue->size, 2, queue->next_used);
	if (rig_get(rig, queue->device + 2, 2) == queue->next_used)
		return false;
	id = (uint32_t)rig_get(rig, entry, 4);
	assert_true(id < queue->size);
	buffer = &queue->buffers[id];
	assert_true(buffer->sent);
	assert_int_equal(rig_get(rig, entry + 4, 4), 0);
	for (uint16_t i = 0; i < buffer->entries; i++)
		queue->taken[buffer->at[i]] = false;
	buffer->sent = false;
	queue->next_used++;
	return true;
}

static bool wants_kick_split(struct device_rig *rig, const struct rig_queue *queue)
{
	uint16_t event;

	if (!rig->event_idx)
		return !(rig_get(rig, queue->device, 2) & 1);
	event = (uint16_t)rig_get(rig, queue->device + 4 + 8 * queue->size, 2);
	return (uint16_t)(queue->next_avail - event - 1) <
	       (uint16_t)(queue->next_avail - queue->kicked_at);
}

/*
 * Packed
 */

static uint16_t take_id(struct rig_queue *queue)
{
	for (uint16_t i = 0; i < queue->size; i++)
		if (!queue->buffers[i].sent)
			return i;
	fail_msg("no buffer id is left");
	return 0;
}

static void advance(const struct rig_queue *queue, uint16_t *index, bool *wrap, uint16_t entries)
{
	*index = (uint16_t)(*index + entries);
	if (*index >= queue->size) {
		*index = (uint16_t)(*index - queue->size);
		*wrap = !*wrap;
	}
}

static void send_packed(struct device_rig *rig, struct rig_queue *queue,
			const struct rig_chain *chain, unsigned int extra)
{
	uint16_t id = take_id(queue), first = queue->next_avail;
	unsigned int first_flags = 0, in_flight = 0;

	for (uint16_t i = 0; i < queue->size; i++)
		in_flight += queue->buffers[i].sent ? queue->buffers[i].entries : 0;
	assert_true(in_flight + chain->count <= queue->size);
	queue->buffers[id] = (struct rig_buffer){ .sent = true, .entries = (uint16_t)chain->count };
	for (unsigned int i = 0; i < chain->count; i++) {
		unsigned int flags = flags_of(chain, i) | extra;

		flags |= queue->avail_wrap ? AVAIL : USED;
		/* The first entry's flags come last: they make all available. */
		if (i == 0)
			first_flags = flags;
		put_desc(rig, queue->desc, queue->next_avail, &chain->segments[i], id,
			 i == 0 ? (unsigned int)rig_get(rig, queue->desc + 16 * first + 14, 2)
				: flags);
		advance(queue, &queue->next_avail, &queue->avail_wrap, 1);
	}
	rig_put(rig, queue->desc + 16 * first + 14, 2, first_flags);
}

static bool collect_packed(struct device_rig *rig, struct rig_queue *queue)
{
	uint64_t entry = queue->desc + 16 * queue->next_used;
	struct rig_buffer *buffer;
	unsigned int flags;
	uint16_t id;

	if (rig->event_idx) {
		rig_put(rig, queue->driver, 2,
			queue->next_used | (queue->used_wrap ? 1u << 15 : 0));
		rig_put(rig, queue->driver + 2, 2, 2);
	}
	flags = (unsigned int)rig_get(rig, entry + 14, 2);
	if (!!(flags & AVAIL) != queue->used_wrap || !!(flags & USED) != queue->used_wrap)
		return false;
	id = (uint16_t)rig_get(rig, entry + 12, 2);
	assert_true(id < queue->size);
	buffer = &queue->buffers[id];
	assert_true(buffer->sent);
	assert_int_equal(rig_get(rig, entry + 8, 4), 0);
	advance(queue, &queue->next_used, &queue->used_wrap, buffer->entries);
	buffer->sent = false;
	return true;
}

static bool wants_kick_packed(struct device_rig *rig, const struct rig_queue *queue)
{
	unsigned int flags = (unsigned int)rig_get(rig, queue->device + 2, 2) & 3;
	uint16_t place = (uint16_t)rig_get(rig, queue->device, 2);
	int event = place & 0x7fff, next = queue->next_avail, before = queue->kicked_at;

	if (flags != 2)
		return flags == 0;
	if ((place >> 15 & 1) != queue->avail_wrap)
		event -= queue->size;
	/* How far the driver came since the last kick, in the terms of now. */
	if (before > next)
		before -= queue->size;
	return before <= event && event < next;
}

/*
 * Both
 */

void rig_send(struct device_rig *rig, enum balloon_queue kind, const struct rig_chain *chain)
{
	struct rig_queue *queue = &rig->queues[kind];
	struct rig_chain table = { .count = 1 };
	unsigned int extra = rig->indirect ? INDIRECT : 0;

	assert_int_not_equal(queue->number, BALLOON_QUEUES_MAX);
	rig_collect(rig, kind);
	if (rig->indirect) {
		table.segments[0] = put_table(rig, chain);
		chain = &table;
	}
	if (rig->packed)
		send_packed(rig, queue, chain, extra);
	else
		send_split(rig, queue, chain, extra);
	queue->sent++;
}

void rig_send_one(struct device_rig *rig, enum balloon_queue kind, uint64_t gpa, uint32_t length,
		  bool writable)
{
	const struct rig_chain chain = {
		.segments = { { .gpa = gpa, .length = length, .writable = writable } },
		.count = 1,
	};

	rig_send(rig, kind, &chain);
}

void rig_kick(struct device_rig *rig, enum balloon_queue kind)
{
	struct rig_queue *queue = &rig->queues[kind];
	bool wants = rig->packed ? wants_kick_packed(rig, queue) : wants_kick_split(rig, queue);

	queue->kicked_at = queue->next_avail;
	if (!wants)
		return;
	queue->kicks++;
	balloon_kick(rig->balloon, queue->number);
}

unsigned int rig_collect(struct device_rig *rig, enum balloon_queue kind)
{
	struct rig_queue *queue = &rig->queues[kind];
	unsigned int collected = 0;

	while (rig->packed ? collect_packed(rig, queue) : collect_split(rig, queue))
		collected++;
	queue->returned += collected;
	return collected;
}

unsigned int rig_outstanding(struct device_rig *rig, enum balloon_queue kind)
{
	rig_collect(rig, kind);
	return rig->queues[kind].sent - rig->queues[kind].returned;
}
