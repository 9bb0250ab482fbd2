/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics (VIRTIO 5.5.6.3): packed entries of a 16-bit tag and a 64-bit value.
 *
 * The driver has one buffer, which the device holds; returning it asks for a
 * fresh sample, which comes in the same buffer.  Tags may come in any order, and
 * unknown ones are kept by their number.  The private ones are our own driver's.
 */
#include <endian.h>
#include <string.h>

#include "device/state.h"

#define ENTRY_BYTES 10u
#define ENTRIES_MAX 64u /* more than there are tags, known and private */

static unsigned int row_of(uint16_t tag)
{
	if (tag < BALLOON_STATS_STANDARD)
		return tag;
	/* What is not a private tag wraps, or lies beyond the last row. */
	return BALLOON_STATS_STANDARD + (uint16_t)(tag - BALLOON_STATS_PRIVATE);
}

static void add(struct balloon_stats *stats, uint16_t tag, uint64_t value)
{
	unsigned int row = row_of(tag);

	if (row < BALLOON_STATS_KNOWN) {
		stats->value[row] = value;
	} else if (stats->unknown_count < BALLOON_STATS_UNKNOWN_MAX) {
		stats->unknown[stats->unknown_count].tag = tag;
		stats->unknown[stats->unknown_count++].value = value;
	}
}

static void parse(const struct balloon *balloon, struct balloon_stats *stats, const uint8_t *wire,
		  unsigned int entries)
{
	memset(stats->value, 0xff, sizeof(stats->value)); /* BALLOON_UNSET */
	for (; entries; entries--, wire += ENTRY_BYTES) {
		uint16_t tag;
		uint64_t value;

		memcpy(&tag, wire, sizeof(tag));
		memcpy(&value, wire + sizeof(tag), sizeof(value));
		if (is_big_endian(balloon))
			add(stats, be16toh(tag), be64toh(value));
		else
			add(stats, le16toh(tag), le64toh(value));
	}
}

/* The sample of the chain in hand; false when there is none in it. */
static bool read_sample(struct balloon *balloon, struct balloon_stats *stats)
{
	uint8_t wire[ENTRIES_MAX * ENTRY_BYTES];
	const struct virtqueue_chain *chain = &balloon->hand.chain;
	int size;

	if (chain->writable) {
		balloon_fault(balloon, BALLOON_C_FAULT_DIRECTION, "writable statistics",
			      chain->writable_bytes);
		return false;
	}
	if (chain->readable_bytes % ENTRY_BYTES || chain->readable_bytes > sizeof(wire))
		balloon_fault(balloon, BALLOON_C_FAULT_LENGTH, "statistics", chain->readable_bytes);
	size = hand_read(balloon, wire, sizeof(wire));
	if (size < 0) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "statistics",
			      chain->segments[0].gpa);
		return false;
	}
	parse(balloon, stats, wire, (unsigned int)size / ENTRY_BYTES);
	return true;
}

bool stats_take(struct balloon *balloon)
{
	struct balloon_stats stats = { .arrived_ns = now_ns(balloon) };
	bool first = !balloon->stats_seen;

	if (!read_sample(balloon, &stats))
		return true;
	if (balloon->stats_held) {
		balloon_fault(balloon, BALLOON_C_FAULT_STATS, "a second buffer, of length",
			      balloon->hand.chain.readable_bytes);
		balloon_return(balloon, balloon->hand.queue, balloon->stats_token);
	}
	balloon->stats_seen = true;
	balloon->stats_held = true;
	balloon->stats_token = balloon->hand.chain.token;
	/* VIRTIO 5.5.6.3.2: what comes first is to be ignored by a transitional device. */
	if (first && !acknowledged(balloon, VIRTIO_F_VERSION_1))
		return false;
	balloon->stats = stats;
	balloon->counters[BALLOON_C_STATS_RECEIVED]++;
	balloon->host.event(balloon->host.data, BALLOON_EVENT_STATS);
	return false;
}

void stats_forget_buffer(struct balloon *balloon)
{
	balloon->stats_held = false;
	balloon->stats_seen = false;
}

const struct balloon_stats *balloon_stats(const struct balloon *balloon)
{
	return &balloon->stats;
}

bool balloon_request_stats(struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_STATS);

	if (!balloon->stats_held || !balloon->driver_ok || queue == BALLOON_QUEUES_MAX ||
	    !virtqueue_ready(&balloon->queues[queue]))
		return false;
	balloon->stats_held = false;
	balloon_return(balloon, queue, balloon->stats_token);
	return true;
}
