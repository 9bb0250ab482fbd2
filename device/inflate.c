/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers of page numbers: pages that enter the balloon, or leave it.
 *
 * Theory of operation
 * -------------------
 * Guests send most pages in ascending or descending order (Linux: descending),
 * so page numbers are gathered into ranges, and a range is looked up, marked and
 * populated as a whole.
 *
 * With MUST_TELL_HOST an inflate buffer is returned as soon as its pages are
 * marked.  Without it the buffer is held until they are released, for then the
 * driver may use any page whose inflate was acknowledged.
 *
 * A deflate that cannot be read is acknowledged like any other.  Since nobody
 * knows which pages it named, the account is cleared.
 */
#include "device/state.h"

#define PFNS_STEP 1024u
#define PFNS_MAX 65536u /* in one buffer: 256 MiB; Linux sends 256 */

struct pfn_range {
	uint32_t first, count;
};

bool inflate_check_buffer(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->buffers.chain;

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

static void inflate_range(struct balloon *balloon, uint32_t pfn, uint32_t count)
{
	uint32_t added = pages_inflate(&balloon->pages, pfn, count);

	balloon_count(balloon, BALLOON_C_INFLATED_PAGES, added);
	balloon_faults(balloon, BALLOON_C_FAULT_INFLATE_TWICE, count - added, "PFN", pfn);
}

static void deflate_range(struct balloon *balloon, const struct memory_region *region, uint32_t pfn,
			  uint32_t count)
{
	uint32_t waited, removed = pages_deflate(&balloon->pages, pfn, count, &waited);
	uint64_t size = count * MEMORY_PAGE_BYTES;

	balloon_count(balloon, BALLOON_C_DEFLATED_PAGES, removed);
	balloon_count(balloon, BALLOON_C_RELEASE_CANCELLED_PAGES, waited);
	balloon_faults(balloon, BALLOON_C_FAULT_DEFLATE_NEVER, count - removed, "PFN", pfn);
	if (balloon->options.populate && removed > waited &&
	    release_populate(region, pfn * MEMORY_PAGE_BYTES, size))
		balloon_count(balloon, BALLOON_C_POPULATED_BYTES, size);
}

/* A page that is not in RAM.  If it was when it was inflated, it belongs to the guest again. */
static void refuse_pfn(struct balloon *balloon, enum balloon_queue kind, uint32_t pfn)
{
	uint32_t waited;

	balloon_fault(balloon, BALLOON_C_FAULT_PFN, "PFN", pfn);
	if (kind == BALLOON_DEFLATE)
		pages_deflate(&balloon->pages, pfn, 1, &waited);
}

/*
 * Sets *@count to how much of @range lies in one region and in one block, and returns that region;
 * NULL if the first page is not in RAM.
 */
static const struct memory_region *cut_range(const struct balloon *balloon,
					     const struct pfn_range *range, uint32_t *count)
{
	uint64_t gpa = range->first * MEMORY_PAGE_BYTES, left;
	const struct memory_region *region = memory_find(&balloon->memory, gpa);

	*count = PAGES_BLOCK_PAGES - range->first % PAGES_BLOCK_PAGES;
	if (*count > range->count)
		*count = range->count;
	if (!region || !region->writable || !pages_has_leaf(&balloon->pages, range->first)) {
		*count = 1;
		return NULL;
	}
	left = (region->size - (gpa - region->gpa)) / MEMORY_PAGE_BYTES;
	if (left < *count)
		*count = (uint32_t)left;
	return region;
}

static void take_range(struct balloon *balloon, enum balloon_queue kind, struct pfn_range range)
{
	for (uint32_t count; range.count; range.first += count, range.count -= count) {
		const struct memory_region *region = cut_range(balloon, &range, &count);

		if (!region)
			refuse_pfn(balloon, kind, range.first);
		else if (kind == BALLOON_INFLATE)
			inflate_range(balloon, range.first, count);
		else
			deflate_range(balloon, region, range.first, count);
	}
}

static void take_pfns(struct balloon *balloon, enum balloon_queue kind, const uint8_t *wire,
		      unsigned int count)
{
	struct pfn_range range = { .count = 0 };

	for (unsigned int i = 0; i < count; i++) {
		uint32_t pfn = driver_u32(balloon, wire + i * sizeof(pfn));

		if (range.count && pfn == range.first - 1) {
			range.first--;
			range.count++;
		} else if (range.count && pfn == range.first + range.count) {
			range.count++;
		} else {
			take_range(balloon, kind, range);
			range = (struct pfn_range){ .first = pfn, .count = 1 };
		}
	}
	take_range(balloon, kind, range);
	releases_changed(balloon);
	buffers_spend(balloon, count);
}

void inflate_take_part(struct balloon *balloon, enum balloon_queue kind)
{
	struct inflate_state *inflate = &balloon->inflate;
	uint8_t wire[PFNS_STEP * sizeof(uint32_t)];
	int size = buffers_read(balloon, wire, sizeof(wire));

	if (size >= 0)
		take_pfns(balloon, kind, wire, (unsigned int)size / sizeof(uint32_t));
	if (size == (int)sizeof(wire))
		return;
	if (size < 0) {
		balloon_fault(balloon, BALLOON_C_FAULT_MEMORY, "PFNs",
			      balloon->buffers.chain.segments[balloon->buffers.segment].gpa);
		if (kind == BALLOON_DEFLATE)
			releases_clear_account(balloon);
	}
	if (kind == BALLOON_INFLATE && !is_acknowledged(balloon, BALLOON_F_MUST_TELL_HOST))
		inflate->held[inflate->held_count++] = buffers_keep(balloon);
	else
		buffers_finish(balloon);
}

bool inflate_has_room(const struct balloon *balloon)
{
	return balloon->inflate.held_count < HELD_MAX;
}

static void return_all_held(struct balloon *balloon, unsigned int queue)
{
	for (unsigned int i = 0; i < balloon->inflate.held_count; i++)
		buffers_return(balloon, queue, balloon->inflate.held[i]);
	balloon->inflate.held_count = 0;
}

bool inflate_return_held(struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_INFLATE);

	if (!balloon->inflate.held_count || balloon->pages.listed[PAGES_FULL] ||
	    balloon->pages.listed[PAGES_YOUNG] || balloon->pages.listed[PAGES_OLD] ||
	    buffers_at_rest(balloon, queue))
		return false;
	return_all_held(balloon, queue);
	return true;
}

void inflate_abort_held(struct balloon *balloon, unsigned int queue)
{
	if (!balloon->inflate.held_count)
		return;
	releases_cancel(balloon);
	return_all_held(balloon, queue);
}

void inflate_reset(struct balloon *balloon)
{
	balloon->inflate.held_count = 0;
}
