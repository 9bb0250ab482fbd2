/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed virtqueues (VIRTIO 1.2, 2.8); always little-endian.
 *
 * Theory of operation
 * -------------------
 * One ring of descriptors (address, length, buffer id, flags) that both sides
 * write.  Each side goes round it with a wrap counter of one bit, which starts
 * at 1 and flips at the end of the ring.  An entry is available when its AVAIL
 * flag equals the driver's counter and its USED flag does not; used, when both
 * equal the device's.
 *
 * A chain is a run of entries, all but the last with NEXT; the last one has the
 * buffer id.  It is answered by one used entry, and then as many entries are
 * skipped as the chain had.  An indirect table is one entry of the ring; of the
 * flags in it only WRITE counts.
 *
 * The two other areas are words of 4 bytes in which each side says when it
 * wants to be notified: always, never, or when a certain entry is reached.
 */
#include "device/virtqueue_ring.h"

#include <errno.h>

#define DESC_F_AVAIL (1u << 7)
#define DESC_F_USED (1u << 15)
#define WRAP_BIT 15
#define INDEX_MASK 0x7fffu
/* In a word of event suppression: the low half is a place (index and wrap), the high half flags. */
#define EVENT_FLAGS_SHIFT 16
#define EVENT_FLAGS_MASK 3u
#define EVENT_BYTES 4
enum event_flags { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

/* A place in the ring, and the wrap counter there. */
struct place {
	uint16_t index;
	bool wrap;
};

static void areas(const struct virtqueue_setup *setup, struct ring_areas *out)
{
	*out = (struct ring_areas){
		.desc = { setup->desc, (uint64_t)DESC_BYTES * setup->size, 16, true },
		.driver = { setup->driver, EVENT_BYTES, 4, false },
		.device = { setup->device, EVENT_BYTES, 4, true },
	};
}

static struct place unpack(uint16_t word)
{
	return (struct place){ .index = word & INDEX_MASK, .wrap = word >> WRAP_BIT };
}

static uint16_t pack(uint16_t index, bool wrap)
{
	return (uint16_t)(index | (unsigned int)wrap << WRAP_BIT);
}

static bool set_base(struct virtqueue *queue)
{
	struct place avail = unpack((uint16_t)queue->setup.base);
	struct place used = unpack((uint16_t)(queue->setup.base >> 16));

	queue->next_avail = avail.index;
	queue->avail_wrap = avail.wrap;
	queue->next_used = used.index;
	queue->used_wrap = used.wrap;
	return avail.index < queue->setup.size && used.index < queue->setup.size;
}

static uint32_t base(const struct virtqueue *queue)
{
	return (uint32_t)pack(queue->next_used, queue->used_wrap) << 16 |
	       pack(queue->next_avail, queue->avail_wrap);
}

/* Goes @entries on, which are at most the ring's. */
static struct place advance(const struct virtqueue *queue, struct place place, uint16_t entries)
{
	unsigned int index = (unsigned int)place.index + entries;

	if (index >= queue->setup.size) {
		index -= queue->setup.size;
		place.wrap = !place.wrap;
	}
	place.index = (uint16_t)index;
	return place;
}

static uint8_t *entry_at(const struct virtqueue *queue, uint16_t index)
{
	return queue->desc + (size_t)DESC_BYTES * index;
}

static uint16_t read_flags(const struct virtqueue *queue, uint16_t index)
{
	return ring_load16_acquire(queue, entry_at(queue, index) + 14);
}

/* Flags first: the driver writes them last. */
static void read_desc(const struct virtqueue *queue, uint16_t index, struct descriptor *desc)
{
	const uint8_t *at = entry_at(queue, index);

	desc->flags = read_flags(queue, index);
	desc->gpa = ring_load64(queue, at);
	desc->length = ring_load32(queue, at + 8);
	desc->id = ring_load16(queue, at + 12);
}

static bool is_available(uint16_t flags, bool wrap)
{
	bool avail = flags & DESC_F_AVAIL, used = flags & DESC_F_USED;

	return avail == wrap && used != wrap;
}

static enum virtqueue_fault add_table(const struct virtqueue *queue, const struct memory *memory,
				      const struct descriptor *desc, struct virtqueue_chain *chain)
{
	unsigned int entries = ring_table_entries(queue, desc);
	enum virtqueue_fault fault = entries ? VIRTQUEUE_OK : VIRTQUEUE_INDIRECT;
	struct descriptor entry;

	for (unsigned int i = 0; i < entries && fault == VIRTQUEUE_OK; i++) {
		if (!ring_read_table(queue, memory, desc->gpa, i, &entry))
			return VIRTQUEUE_INDIRECT;
		fault = ring_add_segment(chain, &entry);
	}
	return fault;
}

static enum virtqueue_fault add_entry(const struct virtqueue *queue, const struct memory *memory,
				      const struct descriptor *desc, bool alone,
				      struct virtqueue_chain *chain)
{
	if (!(desc->flags & DESC_F_INDIRECT))
		return ring_add_segment(chain, desc);
	return alone ? add_table(queue, memory, desc, chain) : VIRTQUEUE_INDIRECT;
}

static int pop(struct virtqueue *queue, const struct memory *memory, struct virtqueue_chain *chain)
{
	struct place place = { queue->next_avail, queue->avail_wrap };
	struct descriptor desc;
	uint16_t count = 0;

	/*
	 * Behind a fault, too, the walk goes on: the id stands in the last entry.
	 * A ring at rest ends it where the wrap counter flips, the count ends it
	 * even if the driver changes flags meanwhile.
	 */
	do {
		if (count == queue->setup.size)
			return -EPROTO;
		read_desc(queue, place.index, &desc);
		if (!is_available(desc.flags, place.wrap))
			return count ? -EPROTO : 0;
		if (chain->fault == VIRTQUEUE_OK)
			chain->fault = add_entry(queue, memory, &desc,
						 count == 0 && !(desc.flags & DESC_F_NEXT), chain);
		place = advance(queue, place, 1);
		count++;
	} while (desc.flags & DESC_F_NEXT);
	if (!ring_has_room(queue, count))
		return -EPROTO;

	queue->next_avail = place.index;
	queue->avail_wrap = place.wrap;
	chain->token = (struct virtqueue_token){ .id = desc.id, .count = count };
	return 1;
}

static void push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	struct place place = { queue->next_used, queue->used_wrap };
	uint8_t *at = entry_at(queue, place.index);
	unsigned int flags = place.wrap ? DESC_F_AVAIL | DESC_F_USED : 0;

	if (written)
		flags |= DESC_F_WRITE;
	ring_store32(queue, at + 8, written);
	ring_store16(queue, at + 12, token.id);
	ring_store16_release(queue, at + 14, (uint16_t)flags);

	place = advance(queue, place, token.count);
	queue->next_used = place.index;
	queue->used_wrap = place.wrap;
}

/* Places in the order in which they are reached; after two rounds they come again. */
static unsigned int position(const struct virtqueue *queue, struct place place)
{
	return place.index + (place.wrap ? 0u : queue->setup.size);
}

/* Is @event among the entries that were pushed? */
static bool passed(const struct virtqueue *queue, struct place event)
{
	unsigned int cycle = 2u * queue->setup.size;
	struct place next = { queue->next_used, queue->used_wrap };

	if (event.index >= queue->setup.size)
		return true;
	return (position(queue, next) + cycle - 1 - position(queue, event)) % cycle < queue->pushed;
}

static bool should_notify(const struct virtqueue *queue)
{
	/* One load, since the place belongs to the flags. */
	uint32_t word = ring_load32(queue, queue->driver);
	unsigned int flags = word >> EVENT_FLAGS_SHIFT & EVENT_FLAGS_MASK;

	if (flags == EVENT_DISABLE)
		return false;
	/* What makes no sense asks for too much rather than for too little. */
	if (flags != EVENT_DESC || !queue->setup.event_idx || !queue->asked)
		return true;
	return passed(queue, unpack((uint16_t)word));
}

static void quiet(struct virtqueue *queue)
{
	ring_store32(queue, queue->device, (uint32_t)EVENT_DISABLE << EVENT_FLAGS_SHIFT);
}

static bool listen(struct virtqueue *queue)
{
	uint32_t word = (uint32_t)EVENT_ENABLE << EVENT_FLAGS_SHIFT;

	if (queue->setup.event_idx)
		word = (uint32_t)EVENT_DESC << EVENT_FLAGS_SHIFT |
		       pack(queue->next_avail, queue->avail_wrap);
	ring_store32(queue, queue->device, word);
	ring_fence();
	return is_available(read_flags(queue, queue->next_avail), queue->avail_wrap);
}

const struct ring_ops ring_packed_ops = {
	.areas = areas,
	.set_base = set_base,
	.base = base,
	.pop = pop,
	.push = push,
	.should_notify = should_notify,
	.quiet = quiet,
	.listen = listen,
};
