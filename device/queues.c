/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which queue is worked on, and for how long.
 *
 * Theory of operation
 * -------------------
 * A step takes a bounded part out of the current buffer (inflate.c, reporting.c).
 * Of buffers that need no second part it takes up to BUFFERS_STEP of each queue,
 * until they have dealt with PAGES_STEP pages.
 *
 * Deflate buffers are looked at when no inflate buffer is left, and before
 * anything is released.  The order of buffers in two queues is not known; this
 * way a page that is in both belongs to the guest, with its content.  That is
 * what a driver means that breaks the rules and deflates a page before its
 * inflate was acknowledged.  If a driver inflates a page again before its deflate
 * was acknowledged, the page keeps its memory for longer than the driver
 * expects, which does no harm.
 */
#include <errno.h>

#include "device/state.h"

#define BUFFERS_STEP 64u
#define PAGES_STEP 4096u

/* Looks at a new buffer; false, and a fault, if it is to be returned as it is. */
static bool check_buffer(struct balloon *balloon, enum balloon_queue kind)
{
	const struct virtqueue_chain *chain = &balloon->buffers.chain;

	if (chain->fault) {
		balloon_fault(balloon, BALLOON_C_FAULT_CHAIN, virtqueue_fault_name(chain->fault),
			      chain->token.id);
		return false;
	}
	switch (kind) {
	case BALLOON_INFLATE:
	case BALLOON_DEFLATE:
		return inflate_check_buffer(balloon);
	case BALLOON_REPORTING:
		return reporting_check_buffer(balloon);
	case BALLOON_STATS:
	case BALLOON_FREE_PAGE:
	case BALLOON_QUEUE_KINDS:
		break;
	}
	return true;
}

/* Takes a bounded part of the current buffer. */
static void take_buffer_part(struct balloon *balloon, enum balloon_queue kind)
{
	switch (kind) {
	case BALLOON_INFLATE:
	case BALLOON_DEFLATE:
		inflate_take_part(balloon, kind);
		return;
	case BALLOON_REPORTING:
		reporting_take_part(balloon);
		return;
	case BALLOON_STATS:
		stats_take_buffer(balloon);
		return;
	case BALLOON_FREE_PAGE:
		hinting_take_buffer(balloon);
		return;
	case BALLOON_QUEUE_KINDS:
		buffers_finish(balloon);
		return;
	}
}

/* How much memory the current buffer of page numbers names. */
static uint64_t count_bytes(const struct balloon *balloon)
{
	return balloon->buffers.chain.readable_bytes / sizeof(uint32_t) * MEMORY_PAGE_BYTES;
}

/*
 * Makes the next buffer of a queue the current one, unless it is wrong, or has to wait; false if
 * there is none.
 */
static bool next_buffer(struct balloon *balloon, unsigned int queue, enum balloon_queue kind)
{
	if (!buffers_pop(balloon, queue))
		return false;
	if (check_buffer(balloon, kind)) {
		if (kind == BALLOON_DEFLATE && !gate_is_open(balloon, count_bytes(balloon)))
			buffers_put_back(balloon);
		return true;
	}
	/* It may have named any page. */
	if (kind == BALLOON_DEFLATE)
		releases_clear_account(balloon);
	buffers_finish(balloon);
	return true;
}

/* Works on a queue that was kicked, until its ring is empty or the step is used up. */
static void serve_queue(struct balloon *balloon, unsigned int queue, enum balloon_queue kind)
{
	buffers_begin_turn(balloon, queue, PAGES_STEP);
	for (unsigned int i = 0; i < BUFFERS_STEP && balloon->buffers.budget; i++) {
		if (kind == BALLOON_INFLATE && !inflate_has_room(balloon))
			return; /* still kicked: it continues when held buffers are returned */
		if (kind == BALLOON_DEFLATE && gate_still_waits(balloon))
			return; /* and here when the wait is over */
		if (!next_buffer(balloon, queue, kind)) {
			buffers_await_kick(balloon, queue);
			return;
		}
		if (balloon->buffers.busy)
			take_buffer_part(balloon, kind);
		if (balloon->buffers.busy)
			return;
	}
}

/* Is there something to do in the queue for @kind, and is it its turn? */
static bool is_turn_of(struct balloon *balloon, enum balloon_queue kind)
{
	unsigned int queue = balloon_queue_number(balloon, kind);

	if (queue == BALLOON_QUEUES_MAX || !buffers_are_due(balloon, queue))
		return false;
	return kind != BALLOON_DEFLATE ||
	       (!balloon->buffers.kicked[balloon_queue_number(balloon, BALLOON_INFLATE)] &&
		!gate_still_waits(balloon));
}

bool queues_step(struct balloon *balloon)
{
	const struct buffers *buffers = &balloon->buffers;
	bool worked = inflate_return_held(balloon);

	if (buffers->busy) {
		if (buffers_at_rest(balloon, buffers->queue))
			return worked;
		take_buffer_part(balloon, balloon_queue_kind(balloon, buffers->queue));
		return true;
	}
	for (enum balloon_queue kind = 0;
	     kind < BALLOON_QUEUE_KINDS && !balloon->driver.needs_reset; kind++) {
		if (!is_turn_of(balloon, kind))
			continue;
		serve_queue(balloon, balloon_queue_number(balloon, kind), kind);
		if (kind == BALLOON_INFLATE || kind == BALLOON_DEFLATE)
			gate_note_sizes(balloon, kind == BALLOON_DEFLATE);
		worked = true;
		if (buffers->busy)
			return true;
	}
	return worked;
}

int balloon_queue_start(struct balloon *balloon, unsigned int queue,
			const struct virtqueue_setup *setup, const uint32_t *base)
{
	struct virtqueue_setup whole = *setup;
	struct virtqueue started;
	int error;

	if (queue >= balloon_queue_count(balloon))
		return -EINVAL;
	whole.packed = is_acknowledged(balloon, VIRTIO_F_RING_PACKED);
	whole.indirect = is_acknowledged(balloon, VIRTIO_F_RING_INDIRECT_DESC);
	whole.event_idx = is_acknowledged(balloon, VIRTIO_F_RING_EVENT_IDX);
	whole.big_endian = is_big_endian(balloon);
	whole.base = base ? *base : whole.packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT;
	error = virtqueue_start(&started, &balloon->memory, &whole);
	if (error)
		return error;
	balloon_queue_stop(balloon, queue);
	buffers_start_queue(balloon, queue, &started);
	return 0;
}

/* Deals with the current buffer, if it is one of queue number @queue. */
static void finish_current(struct balloon *balloon, unsigned int queue, enum balloon_queue kind)
{
	const struct buffers *buffers = &balloon->buffers;

	/* The pages that it names have been named: PFNS_MAX bounds this. */
	while (buffers->busy && buffers->queue == queue &&
	       (kind == BALLOON_INFLATE || kind == BALLOON_DEFLATE))
		take_buffer_part(balloon, kind);
	if (buffers->busy && buffers->queue == queue)
		buffers_finish(balloon);
}

uint32_t balloon_queue_stop(struct balloon *balloon, unsigned int queue)
{
	enum balloon_queue kind = balloon_queue_kind(balloon, queue);

	if (queue >= BALLOON_QUEUES_MAX || !balloon->buffers.queues[queue].started)
		return 0;
	finish_current(balloon, queue, kind);
	if (kind == BALLOON_INFLATE)
		inflate_abort_held(balloon, queue);
	if (kind == BALLOON_STATS)
		stats_return_buffer(balloon, queue);
	return buffers_stop_queue(balloon, queue);
}
