/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics (VIRTIO 5.5.6.3): packed entries of a 16-bit tag and a 64-bit value.
 *
 * The driver has one buffer, and the device holds it.  Returning the buffer asks
 * for a new sample, which arrives in the same buffer.  Tags may come in any
 * order; unknown ones are kept by their number.
 */
#include <stdio.h>

#include "device/state.h"

#define STAT_TOTAL 5u			   /* the tag of MEMTOT */
#define KERNEL_BYTES (UINT64_C(128) << 20) /* or a quarter: what a kernel may keep for itself */
#define ENTRY_BYTES 10u
#define ENTRIES_MAX 64u /* more than there are tags, known and private */

void stats_clear_sample(struct balloon *balloon)
{
	balloon->stats.sample = (struct balloon_stats){ 0 };
	memset(balloon->stats.sample.value, 0xff, sizeof(balloon->stats.sample.value));
}

/* BALLOON_STATS_KNOWN or more for a tag that has no row. */
static unsigned int row_of_tag(uint16_t tag)
{
	if (tag < BALLOON_STATS_STANDARD)
		return tag;
	/* A tag below the private ones wraps around to a large number. */
	return BALLOON_STATS_STANDARD + (uint16_t)(tag - BALLOON_STATS_PRIVATE);
}

static void add_stat(struct balloon_stats *stats, uint16_t tag, uint64_t value)
{
	unsigned int row = row_of_tag(tag);

	if (row < BALLOON_STATS_KNOWN) {
		stats->value[row] = value;
	} else if (stats->unknown_count < BALLOON_STATS_UNKNOWN_MAX) {
		stats->unknown[stats->unknown_count].tag = tag;
		stats->unknown[stats->unknown_count++].value = value;
	}
}

static void parse_sample(const struct balloon *balloon, struct balloon_stats *stats,
			 const uint8_t *wire, unsigned int entries)
{
	memset(stats->value, 0xff, sizeof(stats->value)); /* BALLOON_UNSET */
	for (; entries; entries--, wire += ENTRY_BYTES) {
		uint16_t tag;
		uint64_t value;

		memcpy(&tag, wire, sizeof(tag));
		memcpy(&value, wire + sizeof(tag), sizeof(value));
		if (is_big_endian(balloon))
			add_stat(stats, be16toh(tag), be64toh(value));
		else
			add_stat(stats, le16toh(tag), le64toh(value));
	}
}

/* Reads the current buffer; false, and a fault, if there is no sample in it. */
static bool read_sample(struct balloon *balloon, struct balloon_stats *stats)
{
	uint8_t wire[ENTRIES_MAX * ENTRY_BYTES];
	const struct virtqueue_chain *chain = &balloon->buffers.chain;
	int size;

	if (chain->writable) {
		balloon_fault(balloon, BALLOON_C_FAULT_DIRECTION, "writable statistics",
			      chain->writable_bytes);
		return false;
	}
	if (chain->readable_bytes % ENTRY_BYTES || chain->readable_bytes > sizeof(wire))
		balloon_fault(balloon, BALLOON_C_FAULT_LENGTH, "statistics", chain->readable_bytes);
	size = buffers_read(balloon, wire, sizeof(wire));
	if (size < 0) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "statistics",
			      chain->segments[0].gpa);
		return false;
	}
	parse_sample(balloon, stats, wire, (unsigned int)size / ENTRY_BYTES);
	return true;
}

/*
 * The RAM is what the VMM shares, unless --max says otherwise.  Some share more: the file of User
 * Mode Linux has a gap that counts.  A target that is computed from it would take too much, so it
 * is logged, once per process, when the guest reports far less.  A kernel keeps some for itself.
 */
static void compare_total(struct balloon *balloon)
{
	uint64_t total = balloon->stats.sample.value[STAT_TOTAL];
	uint64_t ram = config_max_bytes(balloon);
	uint64_t ballooned = balloon->pages.ballooned * MEMORY_PAGE_BYTES;
	uint64_t kernel = ram / 4 > KERNEL_BYTES ? ram / 4 : KERNEL_BYTES;
	char line[200];

	if (balloon->stats.gap_logged || balloon->options.max_bytes || total >= ram ||
	    ram - total <= kernel || ram - total - kernel <= ballooned)
		return;
	balloon->stats.gap_logged = true;
	snprintf(line, sizeof(line),
		 "the VMM shares %llu MiB, but the guest has only %llu MiB; if the rest is no RAM, "
		 "give its true size as the maximum (--max)",
		 (unsigned long long)(ram >> 20), (unsigned long long)((total + ballooned) >> 20));
	balloon->host.log(balloon->host.data, line);
}

void stats_take_buffer(struct balloon *balloon)
{
	struct stats_state *state = &balloon->stats;
	struct balloon_stats sample = { .arrived_ns = balloon_now_ns(balloon) };
	bool first = !state->seen;

	if (!read_sample(balloon, &sample)) {
		buffers_finish(balloon);
		return;
	}
	if (state->held) {
		balloon_fault(balloon, BALLOON_C_FAULT_STATS, "a second buffer, of length",
			      balloon->buffers.chain.readable_bytes);
		buffers_return(balloon, balloon->buffers.queue, state->token);
	}
	state->seen = true;
	state->held = true;
	state->token = buffers_keep(balloon);
	/* VIRTIO 5.5.6.3.2: a transitional device ignores the first sample. */
	if (first && !is_acknowledged(balloon, VIRTIO_F_VERSION_1))
		return;
	state->sample = sample;
	compare_total(balloon);
	balloon_count(balloon, BALLOON_C_STATS_RECEIVED, 1);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_STATS);
}

void stats_reset(struct balloon *balloon)
{
	balloon->stats.held = false;
	balloon->stats.seen = false;
}

void stats_return_buffer(struct balloon *balloon, unsigned int queue)
{
	if (balloon->stats.held)
		buffers_return(balloon, queue, balloon->stats.token);
	stats_reset(balloon);
}

const struct balloon_stats *balloon_stats(const struct balloon *balloon)
{
	return &balloon->stats.sample;
}

bool balloon_request_stats(struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_STATS);

	if (!balloon->stats.held || !balloon->driver.driver_ok || queue == BALLOON_QUEUES_MAX ||
	    !virtqueue_ready(&balloon->buffers.queues[queue]))
		return false;
	balloon->stats.held = false;
	buffers_return(balloon, queue, balloon->stats.token);
	return true;
}
