/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free page hinting (VIRTIO 5.5.6.6): the guest lists its free pages once.
 *
 * Theory of operation
 * -------------------
 * A round has an id, which the device puts into the configuration space.  The
 * driver repeats the id on the free page queue (a readable buffer), hints at
 * pages (writable buffers), and sends STOP.  The device sets DONE when nobody
 * needs the hints any more, and the driver takes the pages back.  Ids increase,
 * so that none is used twice while a driver lives.
 */
#include "device/state.h"

#define ID_STOP 0u
#define ID_DONE 1u
#define ID_FIRST 2u

uint32_t hinting_config_id(const struct balloon *balloon)
{
	switch (balloon->hinting.phase) {
	case BALLOON_HINT_REQUESTED:
	case BALLOON_HINT_RUNNING:
	case BALLOON_HINT_ENDED:
		return balloon->hinting.id;
	case BALLOON_HINT_DONE:
		return ID_DONE;
	case BALLOON_HINT_STOPPED:
		break;
	}
	return ID_STOP;
}

static void set_hinting_phase(struct balloon *balloon, enum balloon_hinting phase)
{
	balloon->hinting.phase = phase;
	balloon->host.notify_config(balloon->host.data);
}

/* Has a round begun that has not ended? */
static bool is_round_open(const struct balloon *balloon)
{
	return balloon->hinting.phase == BALLOON_HINT_REQUESTED ||
	       balloon->hinting.phase == BALLOON_HINT_RUNNING;
}

static void report_round_end(struct balloon *balloon)
{
	balloon->host.event(balloon->host.data, BALLOON_EVENT_HINTS);
}

void hinting_reset(struct balloon *balloon)
{
	bool ends = is_round_open(balloon);

	if (balloon->hinting.phase != BALLOON_HINT_STOPPED)
		balloon->hinting.phase = BALLOON_HINT_DONE;
	if (ends)
		report_round_end(balloon);
}

static bool can_hint(const struct balloon *balloon)
{
	return balloon->driver.driver_ok && is_acknowledged(balloon, BALLOON_F_FREE_PAGE_HINT);
}

bool balloon_hint_start(struct balloon *balloon)
{
	uint32_t id = balloon->hinting.id;

	if (!can_hint(balloon) || is_round_open(balloon))
		return false;
	balloon->hinting.id = id < ID_FIRST || id == UINT32_MAX ? ID_FIRST : id + 1;
	set_hinting_phase(balloon, BALLOON_HINT_REQUESTED);
	return true;
}

bool balloon_hint_stop(struct balloon *balloon)
{
	if (!can_hint(balloon) || !is_round_open(balloon))
		return false;
	set_hinting_phase(balloon, BALLOON_HINT_STOPPED);
	report_round_end(balloon);
	return true;
}

bool balloon_hint_done(struct balloon *balloon)
{
	bool ends = is_round_open(balloon);

	if (!can_hint(balloon) || balloon->hinting.phase == BALLOON_HINT_DONE)
		return false;
	set_hinting_phase(balloon, BALLOON_HINT_DONE);
	if (ends)
		report_round_end(balloon);
	return true;
}

enum balloon_hinting balloon_hinting(const struct balloon *balloon)
{
	return balloon->hinting.phase;
}

void balloon_set_hint_sink(struct balloon *balloon,
			   void (*sink)(void *data, uint64_t gpa, uint64_t size), void *data)
{
	balloon->hinting.sink = sink;
	balloon->hinting.sink_data = data;
}

/*
 * A driver also sends STOP after the device's own STOP or DONE, and the round to which an id
 * belongs may have been ended by the device meanwhile: such ids are late, which is not a fault.
 */
static void handle_round_id(struct balloon *balloon, uint32_t id)
{
	struct hinting_state *hinting = &balloon->hinting;
	bool running = hinting->phase == BALLOON_HINT_RUNNING;

	if (id == ID_STOP && running) {
		hinting->phase = BALLOON_HINT_ENDED;
		report_round_end(balloon);
	} else if (id == hinting->id && hinting->phase == BALLOON_HINT_REQUESTED) {
		hinting->phase = BALLOON_HINT_RUNNING;
	} else if (id > hinting->id || (running && id != hinting->id)) {
		balloon_fault(balloon, BALLOON_C_FAULT_HINT, "the id of another round", id);
		/* What follows belongs to that round, until the right id is sent again. */
		if (running)
			hinting->phase = BALLOON_HINT_REQUESTED;
	}
}

/* Reads the id of the round to which the driver's hints belong, or STOP. */
static void read_round_id(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->buffers.chain;
	uint8_t wire[sizeof(uint32_t)];

	if (chain->readable_bytes != sizeof(wire))
		balloon_fault(balloon, BALLOON_C_FAULT_LENGTH, "the id of a round of hints",
			      chain->readable_bytes);
	else if (buffers_read(balloon, wire, sizeof(wire)) != sizeof(wire))
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "the id of a round of hints",
			      chain->segments[0].gpa);
	else
		handle_round_id(balloon, driver_u32(balloon, wire));
}

static void take_hint(struct balloon *balloon, const struct virtqueue_segment *segment)
{
	const struct memory_region *region = memory_find(&balloon->memory, segment->gpa);

	if (!region || !region->writable ||
	    segment->length > region->size - (segment->gpa - region->gpa)) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "a hint", segment->gpa);
		return;
	}
	balloon_count(balloon, BALLOON_C_HINTED_BYTES, segment->length);
	if (balloon->hinting.sink)
		balloon->hinting.sink(balloon->hinting.sink_data, segment->gpa, segment->length);
}

void hinting_take_buffer(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->buffers.chain;

	if (chain->readable)
		read_round_id(balloon);
	/* Hints of a round that the device has ended are late, which is not a fault. */
	for (unsigned int i = 0;
	     balloon->hinting.phase == BALLOON_HINT_RUNNING && i < chain->writable; i++)
		take_hint(balloon, &chain->segments[chain->readable + i]);
	buffers_spend(balloon, chain->writable);
	buffers_finish(balloon);
}
