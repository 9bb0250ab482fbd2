/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits for its release, and when it goes.
 *
 * Theory of operation
 * -------------------
 * With MUST_TELL_HOST a page in the balloon is the device's until its deflate is
 * acknowledged, so releases wait for company: full blocks until there are
 * FULL_MIN of them or FULL_WAIT_NS have gone by, and then several that touch go
 * in one call; blocks that are not full for release_delay_ns to twice that, in
 * the hope that they become it.  When the driver says that it has reached the
 * target, all goes.
 *
 * Without MUST_TELL_HOST a page is the device's only while its inflate is not
 * acknowledged.  Then exactly the pages of the buffers at hand are released,
 * at once, and whatever is left over of a huge page of hugetlbfs is given up:
 * pages of earlier buffers, which would complete it, may be in use again.
 *
 * One step makes one call, or those of one block.
 */
#include "device/state.h"

#define RUN_BLOCKS 8u /* 16 MiB: 2 to 5 ms a call where pages are small */
#define FULL_MIN (2 * RUN_BLOCKS)
#define FULL_WAIT_NS UINT64_C(50000000)
#define RUNS_MAX (PAGES_BLOCK_PAGES / 2)

static bool may_wait(const struct balloon *balloon)
{
	return acknowledged(balloon, BALLOON_F_MUST_TELL_HOST);
}

static uint64_t gpa_of(uint32_t pfn)
{
	return (uint64_t)pfn * MEMORY_PAGE_BYTES;
}

/* The region that holds [@gpa, @gpa + @size) wholly, or NULL. */
static const struct memory_region *region_around(const struct balloon *balloon, uint64_t gpa,
						 uint64_t size)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa);

	return region && size <= region->size - (gpa - region->gpa) ? region : NULL;
}

static bool is_full(const struct balloon *balloon, uint32_t pfn)
{
	struct pages_block block;

	return pages_block(&balloon->pages, pfn, &block) && pages_block_is_full(&block);
}

/* How many full blocks that wait begin at @pfn, and lie in @region; at most @most. */
static uint32_t full_blocks(const struct balloon *balloon, const struct memory_region *region,
			    uint32_t pfn, uint32_t most)
{
	uint64_t left = (region->size - (gpa_of(pfn) - region->gpa)) / PAGES_BLOCK_BYTES;
	uint32_t blocks = 1, next = pfn + PAGES_BLOCK_PAGES;

	while (blocks < most && blocks < left) {
		uint32_t found = next;

		if (!pages_next(&balloon->pages, PAGES_FULL, &found) || found != next)
			break;
		next += PAGES_BLOCK_PAGES;
		blocks++;
	}
	return blocks;
}

/*
 * The huge page, larger than a block, that holds @pfn: *@pfn becomes its first page.  False when
 * it reaches out of @region, or does not begin with a block.
 */
static bool find_unit(const struct memory_region *region, uint32_t *pfn)
{
	uint64_t gpa = gpa_of(*pfn), into = gpa - region->gpa;
	uint64_t slack = (region->fd_offset + into) % region->page_bytes;

	if (slack > into || region->page_bytes > region->size - (into - slack) ||
	    gpa - slack + region->page_bytes > MEMORY_BALLOON_LIMIT)
		return false;
	*pfn = pages_of(gpa - slack);
	return *pfn % PAGES_BLOCK_PAGES == 0;
}

/* Are all its pages in the balloon? */
static bool unit_is_full(const struct balloon *balloon, uint32_t pfn, uint32_t count)
{
	for (uint32_t i = 0; i < count; i += PAGES_BLOCK_PAGES)
		if (!is_full(balloon, pfn + i))
			return false;
	return true;
}

/*
 * Releases the full block at @pfn with those behind it, in one call.  False when it lies in no
 * single region, or not as its backing wants it.
 */
static bool release_full(struct balloon *balloon, uint32_t pfn)
{
	const struct memory_region *region = region_around(balloon, gpa_of(pfn), PAGES_BLOCK_BYTES);
	uint32_t count;

	if (!region)
		return false;
	if (region->page_bytes > PAGES_BLOCK_BYTES) {
		count = pages_of(region->page_bytes);
		if (!find_unit(region, &pfn) || !unit_is_full(balloon, pfn, count))
			return false;
	} else {
		count = PAGES_BLOCK_PAGES * full_blocks(balloon, region, pfn, RUN_BLOCKS);
	}
	if (!release_fits(region, gpa_of(pfn), gpa_of(count)))
		return false;
	release_range(&balloon->release, region, gpa_of(pfn), gpa_of(count));
	pages_settle(&balloon->pages, pfn, count);
	return true;
}

/* Cuts a run of pages where regions end; returns the region of its first part, or NULL. */
static const struct memory_region *cut(const struct balloon *balloon, uint32_t pfn, uint32_t *count)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa_of(pfn));
	uint64_t left;

	if (!region) {
		*count = 1;
		return NULL;
	}
	left = (region->size - (gpa_of(pfn) - region->gpa)) / MEMORY_PAGE_BYTES;
	if (left < *count)
		*count = (uint32_t)left;
	return region;
}

/* Runs that are to go in one call. */
struct batch {
	const struct memory_region *region;
	struct release_run runs[RUNS_MAX + 1];
	unsigned int count;
};

static void send(struct balloon *balloon, struct batch *batch)
{
	if (batch->count)
		release_runs(&balloon->release, batch->region, batch->runs, batch->count);
	batch->count = 0;
}

static void add(struct balloon *balloon, struct batch *batch, const struct memory_region *region,
		uint32_t pfn, uint32_t count)
{
	if (batch->region != region || batch->count == RUNS_MAX + 1)
		send(balloon, batch);
	batch->region = region;
	batch->runs[batch->count].gpa = gpa_of(pfn);
	batch->runs[batch->count++].size = gpa_of(count);
}

/* Releases what waits in the block at @pfn, page by page where it must be. */
static void release_parts(struct balloon *balloon, uint32_t pfn)
{
	struct batch batch = { .count = 0 };
	struct pages_block block;
	uint32_t from = 0, count;

	if (!pages_block(&balloon->pages, pfn, &block))
		return;
	for (; pages_next_run(block.pending, &from, &count); from += count) {
		const struct memory_region *region = cut(balloon, pfn + from, &count);

		if (region && release_fits(region, gpa_of(pfn + from), gpa_of(count)))
			add(balloon, &batch, region, pfn + from, count);
		else if (region && may_wait(balloon))
			continue; /* a part of a huge page: remembered until it is complete */
		pages_settle(&balloon->pages, pfn + from, count);
	}
	send(balloon, &batch);
	pages_unlist(&balloon->pages, pfn);
}

/* Without MUST_TELL_HOST: everything, block by block. */
static bool release_at_once(struct balloon *balloon)
{
	for (enum pages_list list = 0; list < PAGES_LISTS; list++) {
		uint32_t pfn = 0;

		if (!balloon->pages.listed[list] || !pages_next(&balloon->pages, list, &pfn))
			continue;
		release_parts(balloon, pfn);
		return true;
	}
	return false;
}

static bool full_are_due(const struct balloon *balloon)
{
	uint32_t full = balloon->pages.listed[PAGES_FULL];

	return full && (balloon->flush || full >= FULL_MIN ||
			now_ns(balloon) - balloon->full_since_ns >= FULL_WAIT_NS);
}

static uint64_t next_age_ns(const struct balloon *balloon)
{
	uint64_t now = now_ns(balloon), delay = balloon->options.release_delay_ns;

	return delay < BALLOON_IDLE - now ? now + delay : BALLOON_IDLE;
}

/* A block that is not full: what was young when the account was last aged goes now. */
static bool release_old(struct balloon *balloon)
{
	uint32_t pfn = 0;

	if (balloon->flush)
		pages_age(&balloon->pages);
	else if (now_ns(balloon) < balloon->age_due_ns)
		return false;
	if (balloon->pages.listed[PAGES_OLD] && pages_next(&balloon->pages, PAGES_OLD, &pfn)) {
		release_parts(balloon, pfn);
		return true;
	}
	pages_age(&balloon->pages);
	balloon->age_due_ns =
		balloon->pages.listed[PAGES_OLD] ? next_age_ns(balloon) : BALLOON_IDLE;
	return false;
}

static bool release_in_company(struct balloon *balloon)
{
	uint32_t pfn = 0;

	if (full_are_due(balloon) && pages_next(&balloon->pages, PAGES_FULL, &pfn)) {
		if (!release_full(balloon, pfn))
			release_parts(balloon, pfn);
		/* The others have waited for as long. */
		balloon->full_since_ns = balloon->pages.listed[PAGES_FULL]
						 ? now_ns(balloon) - FULL_WAIT_NS
						 : BALLOON_IDLE;
		return true;
	}
	if (release_old(balloon))
		return true;
	balloon->flush = false;
	return false;
}

bool releases_step(struct balloon *balloon)
{
	return may_wait(balloon) ? release_in_company(balloon) : release_at_once(balloon);
}

void releases_changed(struct balloon *balloon)
{
	if (!may_wait(balloon))
		return; /* there is nothing to wait for */
	if (!balloon->pages.listed[PAGES_FULL])
		balloon->full_since_ns = BALLOON_IDLE;
	else if (balloon->full_since_ns == BALLOON_IDLE)
		balloon->full_since_ns = now_ns(balloon);
	if (balloon->pages.listed[PAGES_YOUNG] && balloon->age_due_ns == BALLOON_IDLE)
		balloon->age_due_ns = next_age_ns(balloon);
}

uint64_t releases_due_ns(const struct balloon *balloon)
{
	uint64_t due = balloon->age_due_ns;

	if (balloon->pages.listed[PAGES_FULL] && balloon->full_since_ns + FULL_WAIT_NS < due)
		due = balloon->full_since_ns + FULL_WAIT_NS;
	return due;
}

void releases_cancel(struct balloon *balloon)
{
	/* Not by the lists: parts of huge pages stand on none. */
	if (balloon->pages.pending)
		pages_settle(&balloon->pages, 0, PAGES_PFNS);
	balloon->flush = false;
	balloon->full_since_ns = BALLOON_IDLE;
	balloon->age_due_ns = BALLOON_IDLE;
}
