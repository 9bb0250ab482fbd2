/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the buffers of each queue mean, worked on a bounded piece at a time.
 *
 * Theory of operation
 * -------------------
 * One chain is in hand at a time, and is finished before any queue hands out
 * another.  A step takes PFNS_STEP page numbers or one piece of reported memory
 * out of it; of chains that are quickly done it takes up to CHAINS_STEP of each
 * queue, until they had to do with PAGES_STEP pages.
 *
 * Deflate buffers are looked at when no inflate buffer is left, and before
 * anything is released.  The order of buffers in two queues cannot be told; this
 * way a page that is in both is the guest's, with its content.  That is what a
 * driver means which, against the rules, deflates a page before its inflate was
 * acknowledged; one that gives a page again before its deflate was acknowledged
 * keeps the memory behind it for longer than it thinks, and no harm is done.
 *
 * A deflate that cannot be read is acknowledged like any other.  Since nobody
 * knows of which pages it told, the account is forgotten then.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "device/state.h"

#define PFNS_STEP 1024u
#define CHAINS_STEP 64u
#define PAGES_STEP 4096u
#define PFNS_MAX 65536u /* in one buffer: 256 MiB; Linux sends 256 */
#define REPORT_STEP_BYTES (UINT64_C(16) << 20)

uint32_t balloon_u32(const struct balloon *balloon, const void *wire)
{
	uint32_t value;

	memcpy(&value, wire, sizeof(value));
	return is_big_endian(balloon) ? be32toh(value) : le32toh(value);
}

/*
 * The chain in hand
 */

int hand_read(struct balloon *balloon, void *to, unsigned int size)
{
	struct hand *hand = &balloon->hand;
	uint8_t *out = to;
	unsigned int done = 0;

	while (done < size && hand->segment < hand->chain.readable) {
		const struct virtqueue_segment *segment = &hand->chain.segments[hand->segment];
		unsigned int piece = segment->length - hand->offset;

		if (piece > size - done)
			piece = size - done;
		if (!memory_read(&balloon->memory, segment->gpa + hand->offset, out + done, piece))
			return -EFAULT;
		done += piece;
		hand->offset += piece;
		if (hand->offset == segment->length) {
			hand->segment++;
			hand->offset = 0;
		}
	}
	return (int)done;
}

/* So many pages had to be dealt with. */
static void spend(struct balloon *balloon, uint64_t pages)
{
	balloon->budget -= pages < balloon->budget ? (uint32_t)pages : balloon->budget;
}

/* Started, and out of RAM for the moment: what is returned now would be lost. */
static bool at_rest(const struct virtqueue *queue)
{
	return queue->started && !queue->broken && !virtqueue_ready(queue);
}

static void put_down(struct balloon *balloon)
{
	balloon->hand.busy = false;
	balloon_return(balloon, balloon->hand.queue, balloon->hand.chain.token);
}

/*
 * Inflate and deflate
 */

/*
 * Guests send most pages one beside the other, up or down (Linux: down), so page
 * numbers are gathered into stretches, and a stretch is looked up, marked and
 * populated as one.
 */
struct stretch {
	uint32_t first, count;
};

static void populate(struct balloon *balloon, const struct memory_region *region, uint32_t pfn,
		     uint32_t count)
{
	uint64_t size = count * MEMORY_PAGE_BYTES;

	if (release_undo(region, pfn * MEMORY_PAGE_BYTES, size))
		balloon->counters[BALLOON_C_POPULATED_BYTES] += size;
}

static void inflate(struct balloon *balloon, uint32_t pfn, uint32_t count)
{
	uint32_t added = pages_inflate(&balloon->pages, pfn, count);

	balloon->counters[BALLOON_C_INFLATED_PAGES] += added;
	balloon_faults(balloon, BALLOON_C_FAULT_INFLATE_TWICE, count - added, "PFN", pfn);
}

static void deflate(struct balloon *balloon, const struct memory_region *region, uint32_t pfn,
		    uint32_t count)
{
	uint32_t waited, removed = pages_deflate(&balloon->pages, pfn, count, &waited);

	balloon->counters[BALLOON_C_DEFLATED_PAGES] += removed;
	balloon->counters[BALLOON_C_RELEASE_CANCELLED_PAGES] += waited;
	balloon_faults(balloon, BALLOON_C_FAULT_DEFLATE_NEVER, count - removed, "PFN", pfn);
	if (balloon->options.populate && removed > waited)
		populate(balloon, region, pfn, count);
}

/* How much of a stretch lies in one region and in one block; its region, or NULL: not in RAM. */
static const struct memory_region *cut(const struct balloon *balloon, const struct stretch *stretch,
				       uint32_t *count)
{
	uint64_t gpa = stretch->first * MEMORY_PAGE_BYTES, left;
	const struct memory_region *region = memory_find(&balloon->memory, gpa);

	*count = PAGES_BLOCK_PAGES - stretch->first % PAGES_BLOCK_PAGES;
	if (*count > stretch->count)
		*count = stretch->count;
	if (!region || !region->writable || !pages_has(&balloon->pages, stretch->first)) {
		*count = 1;
		return NULL;
	}
	left = (region->size - (gpa - region->gpa)) / MEMORY_PAGE_BYTES;
	if (left < *count)
		*count = (uint32_t)left;
	return region;
}

/* A page that is not in RAM.  Should it have been, when it was inflated, it is the guest's again.
 */
static void refuse(struct balloon *balloon, enum balloon_queue kind, uint32_t pfn)
{
	uint32_t waited;

	balloon_fault(balloon, BALLOON_C_FAULT_PFN, "PFN", pfn);
	if (kind == BALLOON_DEFLATE)
		pages_deflate(&balloon->pages, pfn, 1, &waited);
}

static void take_stretch(struct balloon *balloon, enum balloon_queue kind, struct stretch stretch)
{
	for (uint32_t count; stretch.count; stretch.first += count, stretch.count -= count) {
		const struct memory_region *region = cut(balloon, &stretch, &count);

		if (!region)
			refuse(balloon, kind, stretch.first);
		else if (kind == BALLOON_INFLATE)
			inflate(balloon, stretch.first, count);
		else
			deflate(balloon, region, stretch.first, count);
	}
}

static void take_pfns(struct balloon *balloon, enum balloon_queue kind, const uint8_t *wire,
		      unsigned int count)
{
	struct stretch stretch = { .count = 0 };

	for (unsigned int i = 0; i < count; i++) {
		uint32_t pfn = balloon_u32(balloon, wire + i * sizeof(pfn));

		if (stretch.count && pfn == stretch.first - 1) {
			stretch.first--;
			stretch.count++;
		} else if (stretch.count && pfn == stretch.first + stretch.count) {
			stretch.count++;
		} else {
			take_stretch(balloon, kind, stretch);
			stretch = (struct stretch){ .first = pfn, .count = 1 };
		}
	}
	take_stretch(balloon, kind, stretch);
	releases_changed(balloon);
	spend(balloon, count);
}

/* Is the new chain in hand one of page numbers? */
static bool check_pfns(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->hand.chain;

	if (chain->writable) {
		balloon_fault(balloon, BALLOON_C_FAULT_DIRECTION,
			      "a writable buffer of PFNs, length", chain->writable_bytes);
		return false;
	}
	if (chain->readable_bytes % sizeof(uint32_t) ||
	    chain->readable_bytes > PFNS_MAX * sizeof(uint32_t)) {
		balloon_fault(balloon, BALLOON_C_FAULT_LENGTH, "PFNs", chain->readable_bytes);
		return false;
	}
	return true;
}

/* A piece of the page numbers in hand; true when they are at their end. */
static bool pfns_piece(struct balloon *balloon, enum balloon_queue kind)
{
	uint8_t wire[PFNS_STEP * sizeof(uint32_t)];
	int size = hand_read(balloon, wire, sizeof(wire));

	if (size < 0) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "PFNs",
			      balloon->hand.chain.segments[balloon->hand.segment].gpa);
		if (kind == BALLOON_DEFLATE)
			balloon_forget_account(balloon);
		return true;
	}
	take_pfns(balloon, kind, wire, (unsigned int)size / sizeof(uint32_t));
	return size < (int)sizeof(wire);
}

/*
 * Reporting
 */

/* A poison other than zero has to be there when the page comes back: a hole reads as zero. */
static bool may_release_reports(const struct balloon *balloon)
{
	return balloon->reporting &&
	       !(acknowledged(balloon, BALLOON_F_PAGE_POISON) && balloon->poison);
}

/* What of [@gpa, @gpa + *@size) can go in one call; *@size is set to that, or 0. */
static uint64_t report_part(const struct memory_region *region, uint64_t gpa, uint64_t *size)
{
	uint64_t unit = region->page_bytes;
	uint64_t slack = (gpa - region->gpa + region->fd_offset) % unit;
	uint64_t skip = slack ? unit - slack : 0;

	*size = *size > skip ? (*size - skip) / unit * unit : 0;
	return gpa + skip;
}

/* Releases what is reported at @gpa, as far as one region and one step go; returns how far. */
static uint32_t report(struct balloon *balloon, uint64_t gpa, uint32_t length)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa);
	uint64_t size = length, part;

	if (!region || !region->writable || gpa % MEMORY_PAGE_BYTES || length % MEMORY_PAGE_BYTES) {
		balloon_fault(balloon, BALLOON_C_FAULT_PFN, "report of address", gpa);
		return length;
	}
	if (size > region->size - (gpa - region->gpa))
		size = region->size - (gpa - region->gpa);
	if (size > REPORT_STEP_BYTES && region->page_bytes <= REPORT_STEP_BYTES)
		size = REPORT_STEP_BYTES;
	balloon->counters[BALLOON_C_REPORTED_BYTES] += size;
	spend(balloon, size / MEMORY_PAGE_BYTES);
	part = size;
	gpa = report_part(region, gpa, &part);
	if (part && may_release_reports(balloon))
		release_range(&balloon->release, region, gpa, part);
	return (uint32_t)size;
}

static bool check_reports(struct balloon *balloon)
{
	if (!balloon->hand.chain.readable)
		return true;
	balloon_fault(balloon, BALLOON_C_FAULT_DIRECTION, "a readable report, length",
		      balloon->hand.chain.readable_bytes);
	return false;
}

static bool reports_piece(struct balloon *balloon)
{
	struct hand *hand = &balloon->hand;
	const struct virtqueue_segment *segment = &hand->chain.segments[hand->segment];

	hand->offset +=
		report(balloon, segment->gpa + hand->offset, segment->length - hand->offset);
	if (hand->offset == segment->length) {
		hand->segment++;
		hand->offset = 0;
	}
	return hand->segment == hand->chain.writable;
}

/*
 * All queues
 */

/* Looks at a new chain; false when it is to be returned as it is. */
static bool check(struct balloon *balloon, enum balloon_queue kind)
{
	const struct virtqueue_chain *chain = &balloon->hand.chain;

	if (chain->fault) {
		balloon_fault(balloon, BALLOON_C_FAULT_CHAIN, virtqueue_fault_name(chain->fault),
			      chain->token.id);
		return false;
	}
	switch (kind) {
	case BALLOON_INFLATE:
	case BALLOON_DEFLATE:
		return check_pfns(balloon);
	case BALLOON_REPORTING:
		return check_reports(balloon);
	case BALLOON_STATS:
	case BALLOON_FREE_PAGE:
	case BALLOON_QUEUE_KINDS:
		break;
	}
	return true;
}

/* Inflate buffers go back when their pages are released, without MUST_TELL_HOST. */
static void hold(struct balloon *balloon)
{
	balloon->held[balloon->held_count++] = balloon->hand.chain.token;
	balloon->hand.busy = false;
}

/* A bounded piece of the chain in hand. */
static void piece(struct balloon *balloon, enum balloon_queue kind)
{
	switch (kind) {
	case BALLOON_INFLATE:
		if (!pfns_piece(balloon, kind))
			return;
		if (!acknowledged(balloon, BALLOON_F_MUST_TELL_HOST))
			hold(balloon);
		else
			put_down(balloon);
		return;
	case BALLOON_DEFLATE:
		if (pfns_piece(balloon, kind))
			put_down(balloon);
		return;
	case BALLOON_REPORTING:
		if (reports_piece(balloon))
			put_down(balloon);
		return;
	case BALLOON_STATS:
		balloon->hand.busy = false;
		if (stats_take(balloon))
			put_down(balloon);
		return;
	case BALLOON_FREE_PAGE:
		hinting_take(balloon);
		spend(balloon, balloon->hand.chain.writable);
		put_down(balloon);
		return;
	case BALLOON_QUEUE_KINDS:
		put_down(balloon);
		return;
	}
}

/* Takes the next chain of a queue in hand; false when there is none. */
static bool take(struct balloon *balloon, unsigned int queue)
{
	struct hand *hand = &balloon->hand;
	int got = virtqueue_pop(&balloon->queues[queue], &balloon->memory, &hand->chain);

	if (got < 0) {
		balloon->needs_reset = true;
		balloon_fault(balloon, BALLOON_C_FAULT_RING, "queue", queue);
		balloon->host.notify_config(balloon->host.data);
	}
	if (got <= 0)
		return false;
	hand->busy = true;
	hand->queue = queue;
	hand->segment = 0;
	hand->offset = 0;
	if (!check(balloon, balloon_queue_kind(balloon, queue))) {
		if (balloon_queue_kind(balloon, queue) == BALLOON_DEFLATE)
			balloon_forget_account(balloon);
		put_down(balloon);
	}
	return true;
}

/* Works on a queue that was kicked, until its ring is empty or the step is full. */
static void work_on(struct balloon *balloon, unsigned int queue)
{
	struct virtqueue *ring = &balloon->queues[queue];
	enum balloon_queue kind = balloon_queue_kind(balloon, queue);

	virtqueue_quiet(ring);
	balloon->budget = PAGES_STEP;
	for (unsigned int chains = 0; chains < CHAINS_STEP && balloon->budget; chains++) {
		if (kind == BALLOON_INFLATE && balloon->held_count == HELD_MAX)
			return; /* still kicked: goes on when they are returned */
		if (!take(balloon, queue)) {
			/* What came before the driver was asked to kick, it will not tell of. */
			balloon->kicked[queue] = virtqueue_listen(ring);
			return;
		}
		if (balloon->hand.busy)
			piece(balloon, kind);
		if (balloon->hand.busy)
			return;
	}
}

/* Is there something to do in a queue, and its turn? */
static bool is_due(struct balloon *balloon, enum balloon_queue kind)
{
	unsigned int queue = balloon_queue_number(balloon, kind);

	if (queue == BALLOON_QUEUES_MAX || !balloon->kicked[queue])
		return false;
	if (!virtqueue_ready(&balloon->queues[queue])) {
		balloon->kicked[queue] = false;
		return false;
	}
	return kind != BALLOON_DEFLATE ||
	       !balloon->kicked[balloon_queue_number(balloon, BALLOON_INFLATE)];
}

/* Inflate buffers that were held go back once nothing of theirs waits. */
static bool return_held(struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_INFLATE);

	if (!balloon->held_count || balloon->pages.listed[PAGES_FULL] ||
	    balloon->pages.listed[PAGES_YOUNG] || balloon->pages.listed[PAGES_OLD] ||
	    at_rest(&balloon->queues[queue]))
		return false;
	for (unsigned int i = 0; i < balloon->held_count; i++)
		balloon_return(balloon, queue, balloon->held[i]);
	balloon->held_count = 0;
	return true;
}

void queues_finish(struct balloon *balloon, unsigned int queue)
{
	const struct hand *hand = &balloon->hand;
	enum balloon_queue kind = balloon_queue_kind(balloon, queue);

	/* Pages that were told of are told of: PFNS_MAX bounds this. */
	while (hand->busy && hand->queue == queue &&
	       (kind == BALLOON_INFLATE || kind == BALLOON_DEFLATE))
		piece(balloon, kind);
	if (hand->busy && hand->queue == queue)
		put_down(balloon);
}

bool queues_step(struct balloon *balloon)
{
	bool worked = return_held(balloon);

	if (balloon->hand.busy) {
		if (at_rest(&balloon->queues[balloon->hand.queue]))
			return worked;
		piece(balloon, balloon_queue_kind(balloon, balloon->hand.queue));
		return true;
	}
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS && !balloon->needs_reset;
	     kind++) {
		if (!is_due(balloon, kind))
			continue;
		work_on(balloon, balloon_queue_number(balloon, kind));
		worked = true;
		if (balloon->hand.busy)
			return true;
	}
	return worked;
}
