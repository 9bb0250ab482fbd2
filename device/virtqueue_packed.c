/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed virtqueues (VIRTIO 1.2, 2.8); always little-endian.
 *
 * Theory of operation
 * -------------------
 * One ring of descriptors (address, length, buffer id, flags) that both sides
 * write.  Each side goes through it with a wrap counter of one bit, which starts
 * at 1 and flips at the end of the ring.  An entry is available when its AVAIL
 * flag equals the driver's counter and its USED flag does not.  It is used when
 * both equal the device's counter.
 *
 * A chain is a run of entries, all but the last with NEXT; the last one has the
 * buffer id.  It is answered by one used entry, after which as many entries are
 * skipped as the chain had.  An indirect table is one entry of the ring; of the
 * flags in its descriptors only WRITE counts.
 *
 * The two other areas are words of 4 bytes.  With its word each side specifies when
 * it wants to be notified: always, never, or when a certain entry is reached.
 */
#include "device/virtqueue_ring.h"

#include <errno.h>

#define DESC_F_AVAIL (1u << 7)
#define DESC_F_USED (1u << 15)
#define WRAP_BIT 15
#define INDEX_MASK 0x7fffu
/* In a word of event suppression the low half is a position, and the high half has flags. */
#define EVENT_FLAGS_SHIFT 16
#define EVENT_FLAGS_MASK 3u
#define EVENT_BYTES 4
enum event_flags { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

/* A position in the ring, and the wrap counter there. */
struct ring_position {
	uint16_t index;
	bool wrap;
};

static void packed_areas(const struct virtqueue_setup *setup, struct ring_areas *out)
{
	*out = (struct ring_areas){
		.desc = { setup->desc, (uint64_t)DESC_BYTES * setup->size, 16, true },
		.driver = { setup->driver, EVENT_BYTES, 4, false },
		.device = { setup->device, EVENT_BYTES, 4, true },
	};
}

static struct ring_position unpack_position(uint16_t word)
{
	return (struct ring_position){ .index = word & INDEX_MASK, .wrap = word >> WRAP_BIT };
}

static uint16_t pack_position(uint16_t index, bool wrap)
{
	return (uint16_t)(index | (unsigned int)wrap << WRAP_BIT);
}

static bool packed_set_base(struct virtqueue *queue)
{
	struct ring_position avail = unpack_position((uint16_t)queue->setup.base);
	struct ring_position used = unpack_position((uint16_t)(queue->setup.base >> 16));

	queue->next_avail = avail.index;
	queue->avail_wrap = avail.wrap;
	queue->next_used = used.index;
	queue->used_wrap = used.wrap;
	return avail.index < queue->setup.size && used.index < queue->setup.size;
}

static uint32_t packed_base(const struct virtqueue *queue)
{
	return (uint32_t)pack_position(queue->next_used, queue->used_wrap) << 16 |
	       pack_position(queue->next_avail, queue->avail_wrap);
}

/* Moves @entries on, which are at most the ring's size. */
static struct ring_position advance_position(const struct virtqueue *queue,
					     struct ring_position position, uint16_t entries)
{
	unsigned int index = (unsigned int)position.index + entries;

	if (index >= queue->setup.size) {
		index -= queue->setup.size;
		position.wrap = !position.wrap;
	}
	position.index = (uint16_t)index;
	return position;
}

static uint8_t *locate_entry(const struct virtqueue *queue, uint16_t index)
{
	return queue->desc + (size_t)DESC_BYTES * index;
}

static uint16_t read_flags(const struct virtqueue *queue, uint16_t index)
{
	return ring_load16_acquire(queue, locate_entry(queue, index) + 14);
}

/* Reads the flags first, since the driver writes them last. */
static void packed_read_desc(const struct virtqueue *queue, uint16_t index, struct descriptor *desc)
{
	const uint8_t *at = locate_entry(queue, index);

	desc->flags = read_flags(queue, index);
	desc->gpa = ring_load64(queue, at);
	desc->length = ring_load32(queue, at + 8);
	desc->id = ring_load16(queue, at + 12);
}

static bool is_entry_available(uint16_t flags, bool wrap)
{
	bool avail = flags & DESC_F_AVAIL, used = flags & DESC_F_USED;

	return avail == wrap && used != wrap;
}

static enum virtqueue_fault add_indirect_table(const struct virtqueue *queue,
					       const struct memory *memory,
					       const struct descriptor *desc,
					       struct virtqueue_chain *chain)
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
	return alone ? add_indirect_table(queue, memory, desc, chain) : VIRTQUEUE_INDIRECT;
}

static int packed_pop(struct virtqueue *queue, const struct memory *memory,
		      struct virtqueue_chain *chain)
{
	struct ring_position position = { queue->next_avail, queue->avail_wrap };
	struct descriptor desc;
	uint16_t count = 0;

	/*
	 * After a fault the walk continues, since the last entry has the id.  In an
	 * unchanging ring the walk ends at the latest where the wrap counter flips;
	 * the count ends it even if the driver changes flags meanwhile.
	 */
	do {
		if (count == queue->setup.size)
			return -EPROTO;
		packed_read_desc(queue, position.index, &desc);
		if (!is_entry_available(desc.flags, position.wrap))
			return count ? -EPROTO : 0;
		if (chain->fault == VIRTQUEUE_OK)
			chain->fault = add_entry(queue, memory, &desc,
						 count == 0 && !(desc.flags & DESC_F_NEXT), chain);
		position = advance_position(queue, position, 1);
		count++;
	} while (desc.flags & DESC_F_NEXT);
	if (!ring_has_room(queue, count))
		return -EPROTO;

	queue->next_avail = position.index;
	queue->avail_wrap = position.wrap;
	chain->token = (struct virtqueue_token){ .id = desc.id, .count = count };
	return 1;
}

static void packed_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	struct ring_position position = { queue->next_used, queue->used_wrap };
	uint8_t *at = locate_entry(queue, position.index);
	unsigned int flags = position.wrap ? DESC_F_AVAIL | DESC_F_USED : 0;

	if (written)
		flags |= DESC_F_WRITE;
	ring_store32(queue, at + 8, written);
	ring_store16(queue, at + 12, token.id);
	ring_store16_release(queue, at + 14, (uint16_t)flags);

	position = advance_position(queue, position, token.count);
	queue->next_used = position.index;
	queue->used_wrap = position.wrap;
}

/* Numbers positions in the order in which they are reached; they repeat after two rounds. */
static unsigned int position_in_cycle(const struct virtqueue *queue, struct ring_position position)
{
	return position.index + (position.wrap ? 0u : queue->setup.size);
}

/* Was @event among the entries that were pushed? */
static bool has_passed_event(const struct virtqueue *queue, struct ring_position event)
{
	unsigned int cycle = 2u * queue->setup.size;
	struct ring_position next = { queue->next_used, queue->used_wrap };

	if (event.index >= queue->setup.size)
		return true;
	return (position_in_cycle(queue, next) + cycle - 1 - position_in_cycle(queue, event)) %
		       cycle <
	       queue->pushed;
}

static bool packed_should_notify(const struct virtqueue *queue)
{
	/* One load, since the position belongs to the flags. */
	uint32_t word = ring_load32(queue, queue->driver);
	unsigned int flags = word >> EVENT_FLAGS_SHIFT & EVENT_FLAGS_MASK;

	if (flags == EVENT_DISABLE)
		return false;
	/* With flags that make no sense one notification too many is better than one too few. */
	if (flags != EVENT_DESC || !queue->setup.event_idx || !queue->asked)
		return true;
	return has_passed_event(queue, unpack_position((uint16_t)word));
}

static void packed_disable_kicks(struct virtqueue *queue)
{
	ring_store32(queue, queue->device, (uint32_t)EVENT_DISABLE << EVENT_FLAGS_SHIFT);
}

static bool packed_enable_kicks(struct virtqueue *queue)
{
	uint32_t word = (uint32_t)EVENT_ENABLE << EVENT_FLAGS_SHIFT;

	if (queue->setup.event_idx)
		word = (uint32_t)EVENT_DESC << EVENT_FLAGS_SHIFT |
		       pack_position(queue->next_avail, queue->avail_wrap);
	ring_store32(queue, queue->device, word);
	ring_fence();
	return is_entry_available(read_flags(queue, queue->next_avail), queue->avail_wrap);
}

const struct ring_ops ring_packed_ops = {
	.areas = packed_areas,
	.set_base = packed_set_base,
	.base = packed_base,
	.pop = packed_pop,
	.push = packed_push,
	.should_notify = packed_should_notify,
	.disable_kicks = packed_disable_kicks,
	.enable_kicks = packed_enable_kicks,
};
