/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues, and the buffer that is being worked on.
 *
 * One buffer at a time is current; it is finished before any queue hands out
 * another.  Nothing is ever written into a guest's buffer.
 */
#include <errno.h>

#include "device/state.h"

bool buffers_pop(struct balloon *balloon, unsigned int queue)
{
	struct buffers *buffers = &balloon->buffers;
	int got;

	buffers->before = buffers->queues[queue];
	got = virtqueue_pop(&buffers->queues[queue], &balloon->memory, &buffers->chain);

	if (got < 0)
		driver_require_reset(balloon, queue);
	if (got <= 0)
		return false;
	buffers->busy = true;
	buffers->queue = queue;
	buffers->segment = 0;
	buffers->offset = 0;
	return true;
}

void buffers_advance(struct balloon *balloon, uint32_t bytes)
{
	struct buffers *buffers = &balloon->buffers;

	buffers->offset += bytes;
	if (buffers->offset == buffers->chain.segments[buffers->segment].length) {
		buffers->segment++;
		buffers->offset = 0;
	}
}

int buffers_read(struct balloon *balloon, void *to, unsigned int size)
{
	const struct buffers *buffers = &balloon->buffers;
	uint8_t *out = to;
	unsigned int done = 0;

	while (done < size && buffers->segment < buffers->chain.readable) {
		const struct virtqueue_segment *segment =
			&buffers->chain.segments[buffers->segment];
		unsigned int part = segment->length - buffers->offset;

		if (part > size - done)
			part = size - done;
		if (!memory_read(&balloon->memory, segment->gpa + buffers->offset, out + done,
				 part))
			return -EFAULT;
		done += part;
		buffers_advance(balloon, part);
	}
	return (int)done;
}

void buffers_put_back(struct balloon *balloon)
{
	struct buffers *buffers = &balloon->buffers;

	/* Taking it wrote nothing to the ring. */
	buffers->queues[buffers->queue] = buffers->before;
	buffers->busy = false;
}

struct virtqueue_token buffers_keep(struct balloon *balloon)
{
	balloon->buffers.busy = false;
	return balloon->buffers.chain.token;
}

void buffers_finish(struct balloon *balloon)
{
	buffers_return(balloon, balloon->buffers.queue, buffers_keep(balloon));
}

void buffers_return(struct balloon *balloon, unsigned int queue, struct virtqueue_token token)
{
	struct virtqueue *ring;

	if (queue >= BALLOON_QUEUES_MAX)
		return;
	ring = &balloon->buffers.queues[queue];
	virtqueue_push(ring, token, 0);
	if (virtqueue_should_notify(ring))
		balloon->host.notify_queue(balloon->host.data, queue);
}

bool buffers_at_rest(const struct balloon *balloon, unsigned int queue)
{
	const struct virtqueue *ring = &balloon->buffers.queues[queue];

	return ring->started && !ring->broken && !virtqueue_ready(ring);
}

bool buffers_are_due(struct balloon *balloon, unsigned int queue)
{
	bool *kicked = &balloon->buffers.kicked[queue];

	/* For a ring that is out of RAM, buffers_relocate() makes up for this kick. */
	if (*kicked && !virtqueue_ready(&balloon->buffers.queues[queue]))
		*kicked = false;
	return *kicked;
}

void buffers_begin_turn(struct balloon *balloon, unsigned int queue, uint32_t pages)
{
	virtqueue_disable_kicks(&balloon->buffers.queues[queue]);
	balloon->buffers.budget = pages;
}

void buffers_spend(struct balloon *balloon, uint64_t pages)
{
	uint32_t *budget = &balloon->buffers.budget;

	*budget -= pages < *budget ? (uint32_t)pages : *budget;
}

void buffers_await_kick(struct balloon *balloon, unsigned int queue)
{
	/* The driver does not kick for what it made available before it was asked to. */
	balloon->buffers.kicked[queue] = virtqueue_enable_kicks(&balloon->buffers.queues[queue]);
}

void balloon_kick(struct balloon *balloon, unsigned int queue)
{
	if (queue < BALLOON_QUEUES_MAX)
		balloon->buffers.kicked[queue] = true;
}

void buffers_start_queue(struct balloon *balloon, unsigned int queue,
			 const struct virtqueue *started)
{
	balloon->buffers.queues[queue] = *started;
	balloon->buffers.kicked[queue] = true;
}

uint32_t buffers_stop_queue(struct balloon *balloon, unsigned int queue)
{
	struct virtqueue *ring = &balloon->buffers.queues[queue];
	uint32_t base = virtqueue_base(ring);

	virtqueue_stop(ring);
	balloon->buffers.kicked[queue] = false;
	return base;
}

void buffers_relocate(struct balloon *balloon)
{
	struct buffers *buffers = &balloon->buffers;

	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		virtqueue_relocate(&buffers->queues[i], &balloon->memory);
		/* A kick may have come while the ring was out of RAM. */
		buffers->kicked[i] = buffers->queues[i].started;
	}
}

void buffers_reset(struct balloon *balloon)
{
	struct buffers *buffers = &balloon->buffers;

	buffers->busy = false;
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		virtqueue_stop(&buffers->queues[i]);
		buffers->kicked[i] = false;
	}
}
