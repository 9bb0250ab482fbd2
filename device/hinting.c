/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free page hinting (VIRTIO 5.5.6.6): the guest lists its free pages once.
 *
 * Theory of operation
 * -------------------
 * A round has an id, which the device puts into the configuration space.  The
 * driver repeats it on the free page queue (a readable buffer), hints at pages
 * (writable buffers), and says STOP; the device says DONE when nobody needs the
 * hints any more, and the driver takes the pages back.  Ids grow, so that none
 * is used twice in a driver's life.
 */
#include <string.h>

#include "device/state.h"

#define ID_STOP 0u
#define ID_DONE 1u
#define ID_FIRST 2u

uint32_t hinting_config_id(const struct balloon *balloon)
{
	switch (balloon->hinting) {
	case BALLOON_HINT_REQUESTED:
	case BALLOON_HINT_RUNNING:
	case BALLOON_HINT_ENDED:
		return balloon->hint_id;
	case BALLOON_HINT_DONE:
		return ID_DONE;
	case BALLOON_HINT_STOPPED:
		break;
	}
	return ID_STOP;
}

static void become(struct balloon *balloon, enum balloon_hinting state)
{
	balloon->hinting = state;
	balloon->host.notify_config(balloon->host.data);
}

/* Has a round begun that has not ended? */
static bool is_open(const struct balloon *balloon)
{
	return balloon->hinting == BALLOON_HINT_REQUESTED ||
	       balloon->hinting == BALLOON_HINT_RUNNING;
}

static void tell_end(struct balloon *balloon)
{
	balloon->host.event(balloon->host.data, BALLOON_EVENT_HINTS);
}

void hinting_reset(struct balloon *balloon)
{
	bool ends = is_open(balloon);

	if (balloon->hinting != BALLOON_HINT_STOPPED)
		balloon->hinting = BALLOON_HINT_DONE;
	if (ends)
		tell_end(balloon);
}

static bool possible(const struct balloon *balloon)
{
	return balloon->driver_ok && acknowledged(balloon, BALLOON_F_FREE_PAGE_HINT);
}

bool balloon_hint_start(struct balloon *balloon)
{
	if (!possible(balloon) || is_open(balloon))
		return false;
	balloon->hint_id = balloon->hint_id < ID_FIRST || balloon->hint_id == UINT32_MAX
				   ? ID_FIRST
				   : balloon->hint_id + 1;
	become(balloon, BALLOON_HINT_REQUESTED);
	return true;
}

bool balloon_hint_stop(struct balloon *balloon)
{
	if (!possible(balloon) || !is_open(balloon))
		return false;
	become(balloon, BALLOON_HINT_STOPPED);
	tell_end(balloon);
	return true;
}

bool balloon_hint_done(struct balloon *balloon)
{
	bool ends = is_open(balloon);

	if (!possible(balloon) || balloon->hinting == BALLOON_HINT_DONE)
		return false;
	become(balloon, BALLOON_HINT_DONE);
	if (ends)
		tell_end(balloon);
	return true;
}

enum balloon_hinting balloon_hinting(const struct balloon *balloon)
{
	return balloon->hinting;
}

void balloon_set_hint_sink(struct balloon *balloon,
			   void (*sink)(void *data, uint64_t gpa, uint64_t size), void *data)
{
	balloon->hint_sink = sink;
	balloon->hint_sink_data = data;
}

/*
 * STOP is also what a driver says after the device's own STOP or DONE, and the round that it was
 * in may have been ended here meanwhile: both come late, and are no fault.
 */
static void take_word(struct balloon *balloon, uint32_t id)
{
	bool running = balloon->hinting == BALLOON_HINT_RUNNING;

	if (id == ID_STOP && running) {
		balloon->hinting = BALLOON_HINT_ENDED;
		tell_end(balloon);
	} else if (id == balloon->hint_id && balloon->hinting == BALLOON_HINT_REQUESTED) {
		balloon->hinting = BALLOON_HINT_RUNNING;
	} else if (id > balloon->hint_id || (running && id != balloon->hint_id)) {
		balloon_fault(balloon, BALLOON_C_FAULT_HINT, "the id of another round", id);
		/* What follows belongs to that one, until the right id is said again. */
		if (running)
			balloon->hinting = BALLOON_HINT_REQUESTED;
	}
}

/* The driver says which round its hints belong to, or that they end. */
static void take_id(struct balloon *balloon)
{
	uint8_t wire[sizeof(uint32_t)];

	if (balloon->hand.chain.readable_bytes != sizeof(wire)) {
		balloon_fault(balloon, BALLOON_C_FAULT_LENGTH, "the id of a round of hints",
			      balloon->hand.chain.readable_bytes);
		return;
	}
	if (hand_read(balloon, wire, sizeof(wire)) != sizeof(wire)) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "the id of a round of hints",
			      balloon->hand.chain.segments[0].gpa);
		return;
	}
	take_word(balloon, balloon_u32(balloon, wire));
}

static void take_pages(struct balloon *balloon, const struct virtqueue_segment *segment)
{
	const struct memory_region *region = memory_find(&balloon->memory, segment->gpa);

	if (!region || !region->writable ||
	    segment->length > region->size - (segment->gpa - region->gpa)) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "a hint", segment->gpa);
		return;
	}
	balloon->counters[BALLOON_C_HINTED_BYTES] += segment->length;
	if (balloon->hint_sink)
		balloon->hint_sink(balloon->hint_sink_data, segment->gpa, segment->length);
}

void hinting_take(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->hand.chain;

	if (chain->readable)
		take_id(balloon);
	/* Hints of a round that was ended here are late, and no fault. */
	for (unsigned int i = 0; balloon->hinting == BALLOON_HINT_RUNNING && i < chain->writable;
	     i++)
		take_pages(balloon, &chain->segments[chain->readable + i]);
}
