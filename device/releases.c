/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which pages are released, and when.
 *
 * Theory of operation
 * -------------------
 * With MUST_TELL_HOST a page in the balloon belongs to the device until its
 * deflate is acknowledged, so releases are batched.  Full blocks wait until there
 * are FULL_MIN of them or FULL_WAIT_NS have passed; then adjacent ones are
 * released in one call.  Blocks that are not full wait for release_delay_ns to
 * twice that, since they may become full.  When the driver reports that it has
 * reached the target, everything is released.
 *
 * Without MUST_TELL_HOST a page belongs to the device only until its inflate is
 * acknowledged.  Then exactly the pages of the buffers that are held are
 * released, at once, and the rest of a huge page of hugetlbfs is given up: the
 * pages of earlier buffers, which would complete it, may be in use again.
 *
 * One step makes one call, or those for one block.
 */
#include <stdio.h>

#include "device/state.h"

#define RUN_BLOCKS 8u /* 16 MiB: 2 to 5 ms per call where pages are small */
#define FULL_MIN (2 * RUN_BLOCKS)
#define FULL_WAIT_NS UINT64_C(50000000)
#define RUNS_MAX (PAGES_BLOCK_PAGES / 2)

static bool may_delay_releases(const struct balloon *balloon)
{
	return is_acknowledged(balloon, BALLOON_F_MUST_TELL_HOST);
}

static uint64_t gpa_of_pfn(uint32_t pfn)
{
	return (uint64_t)pfn * MEMORY_PAGE_BYTES;
}

static uint64_t page_count_bytes(uint32_t pages)
{
	return (uint64_t)pages * MEMORY_PAGE_BYTES;
}

/* The region that contains all of [@gpa, @gpa + @size), or NULL. */
static const struct memory_region *region_around(const struct balloon *balloon, uint64_t gpa,
						 uint64_t size)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa);

	return region && size <= region->size - (gpa - region->gpa) ? region : NULL;
}

static bool is_block_full(const struct balloon *balloon, uint32_t pfn)
{
	struct pages_block block;

	return pages_copy_block(&balloon->pages, pfn, &block) && pages_block_is_full(&block);
}

/* How many adjacent full blocks wait from @pfn on, and lie in @region; at most @most. */
static uint32_t count_full_blocks(const struct balloon *balloon, const struct memory_region *region,
				  uint32_t pfn, uint32_t most)
{
	uint64_t left = (region->size - (gpa_of_pfn(pfn) - region->gpa)) / PAGES_BLOCK_BYTES;
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
 * Sets *@pfn to the first page of the huge page, larger than a block, that contains it.  False if
 * the huge page extends beyond @region, or does not begin with a block.
 */
static bool find_huge_page(const struct memory_region *region, uint32_t *pfn)
{
	uint64_t gpa = gpa_of_pfn(*pfn), into = gpa - region->gpa;
	uint64_t slack = (region->fd_offset + into) % region->page_bytes;

	if (slack > into || region->page_bytes > region->size - (into - slack) ||
	    gpa - slack + region->page_bytes > MEMORY_BALLOON_LIMIT)
		return false;
	*pfn = (uint32_t)((gpa - slack) / MEMORY_PAGE_BYTES);
	return *pfn % PAGES_BLOCK_PAGES == 0;
}

/* Are all of its pages in the balloon? */
static bool is_huge_page_full(const struct balloon *balloon, uint32_t pfn, uint32_t count)
{
	for (uint32_t i = 0; i < count; i += PAGES_BLOCK_PAGES)
		if (!is_block_full(balloon, pfn + i))
			return false;
	return true;
}

/*
 * Releases the full block at @pfn and those that follow it, in one call.  False if it does not lie
 * in a single region, or cannot be released in the units of its backing.
 */
static bool release_full_blocks(struct balloon *balloon, uint32_t pfn)
{
	const struct memory_region *region =
		region_around(balloon, gpa_of_pfn(pfn), PAGES_BLOCK_BYTES);
	uint32_t count;

	if (!region)
		return false;
	if (region->page_bytes > PAGES_BLOCK_BYTES) {
		count = (uint32_t)(region->page_bytes / MEMORY_PAGE_BYTES);
		if (!find_huge_page(region, &pfn) || !is_huge_page_full(balloon, pfn, count))
			return false;
	} else {
		count = PAGES_BLOCK_PAGES * count_full_blocks(balloon, region, pfn, RUN_BLOCKS);
	}
	if (!release_fits(region, gpa_of_pfn(pfn), page_count_bytes(count)))
		return false;
	release_range(&balloon->release, region, gpa_of_pfn(pfn), page_count_bytes(count));
	pages_clear_pending(&balloon->pages, pfn, count);
	return true;
}

/* Cuts a run of pages where its region ends; returns that region, or NULL if there is none. */
static const struct memory_region *cut_run(const struct balloon *balloon, uint32_t pfn,
					   uint32_t *count)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa_of_pfn(pfn));
	uint64_t left;

	if (!region) {
		*count = 1;
		return NULL;
	}
	left = (region->size - (gpa_of_pfn(pfn) - region->gpa)) / MEMORY_PAGE_BYTES;
	if (left < *count)
		*count = (uint32_t)left;
	return region;
}

/* Runs that are to be released in one call. */
struct batch {
	const struct memory_region *region;
	struct release_run runs[RUNS_MAX + 1];
	unsigned int count;
};

static void release_batch(struct balloon *balloon, struct batch *batch)
{
	if (batch->count)
		release_runs(&balloon->release, batch->region, batch->runs, batch->count);
	batch->count = 0;
}

static void add_to_batch(struct balloon *balloon, struct batch *batch,
			 const struct memory_region *region, uint32_t pfn, uint32_t count)
{
	if (batch->region != region || batch->count == RUNS_MAX + 1)
		release_batch(balloon, batch);
	batch->region = region;
	batch->runs[batch->count].gpa = gpa_of_pfn(pfn);
	batch->runs[batch->count++].size = page_count_bytes(count);
}

/* Releases what waits in the block at @pfn, run by run. */
static void release_block(struct balloon *balloon, uint32_t pfn)
{
	struct batch batch = { .count = 0 };
	struct pages_block block;
	uint32_t from = 0, count;

	if (!pages_copy_block(&balloon->pages, pfn, &block))
		return;
	for (; pages_next_run(block.pending, &from, &count); from += count) {
		const struct memory_region *region = cut_run(balloon, pfn + from, &count);

		if (region && release_fits(region, gpa_of_pfn(pfn + from), page_count_bytes(count)))
			add_to_batch(balloon, &batch, region, pfn + from, count);
		else if (region && may_delay_releases(balloon))
			continue; /* a part of a huge page: it waits until the page is complete */
		pages_clear_pending(&balloon->pages, pfn + from, count);
	}
	release_batch(balloon, &batch);
	pages_unlist(&balloon->pages, pfn);
}

/* Without MUST_TELL_HOST: everything, block by block. */
static bool release_immediately(struct balloon *balloon)
{
	for (enum pages_list list = 0; list < PAGES_LISTS; list++) {
		uint32_t pfn = 0;

		if (!balloon->pages.listed[list] || !pages_next(&balloon->pages, list, &pfn))
			continue;
		release_block(balloon, pfn);
		return true;
	}
	return false;
}

static bool are_full_blocks_due(const struct balloon *balloon)
{
	uint32_t full = balloon->pages.listed[PAGES_FULL];

	return full && (balloon->releases.flush || full >= FULL_MIN ||
			balloon_now_ns(balloon) - balloon->releases.full_since_ns >= FULL_WAIT_NS);
}

static uint64_t next_aging_ns(const struct balloon *balloon)
{
	uint64_t now = balloon_now_ns(balloon), delay = balloon->options.release_delay_ns;

	return delay < BALLOON_IDLE - now ? now + delay : BALLOON_IDLE;
}

/* Releases a block that is not full, and was young when the account was last aged. */
static bool release_old_block(struct balloon *balloon)
{
	uint32_t pfn = 0;

	if (balloon->releases.flush)
		pages_age(&balloon->pages);
	else if (balloon_now_ns(balloon) < balloon->releases.age_due_ns)
		return false;
	if (balloon->pages.listed[PAGES_OLD] && pages_next(&balloon->pages, PAGES_OLD, &pfn)) {
		release_block(balloon, pfn);
		return true;
	}
	pages_age(&balloon->pages);
	balloon->releases.age_due_ns =
		balloon->pages.listed[PAGES_OLD] ? next_aging_ns(balloon) : BALLOON_IDLE;
	return false;
}

static bool release_batched(struct balloon *balloon)
{
	uint32_t pfn = 0;

	if (are_full_blocks_due(balloon) && pages_next(&balloon->pages, PAGES_FULL, &pfn)) {
		if (!release_full_blocks(balloon, pfn))
			release_block(balloon, pfn);
		/* The remaining ones have waited just as long. */
		balloon->releases.full_since_ns = balloon->pages.listed[PAGES_FULL]
							  ? balloon_now_ns(balloon) - FULL_WAIT_NS
							  : BALLOON_IDLE;
		return true;
	}
	if (release_old_block(balloon))
		return true;
	balloon->releases.flush = false;
	return false;
}

/* Logs releases that the host refused, as often as balloon_faults() logs a guest's faults. */
static void log_refusals(struct balloon *balloon)
{
	uint64_t before = balloon->releases.refusals_logged, after = balloon->release.failed;
	char line[160];

	balloon->releases.refusals_logged = after;
	if (!fault_is_logged(before, after))
		return;
	snprintf(line, sizeof(line), "host: a release was refused: %s (%llu so far)",
		 strerror(balloon->release.error), (unsigned long long)after);
	balloon->host.log(balloon->host.data, line);
}

bool releases_step(struct balloon *balloon)
{
	bool worked = may_delay_releases(balloon) ? release_batched(balloon)
						  : release_immediately(balloon);

	log_refusals(balloon);
	return worked;
}

void releases_changed(struct balloon *balloon)
{
	if (!may_delay_releases(balloon))
		return; /* nothing is delayed */
	if (!balloon->pages.listed[PAGES_FULL])
		balloon->releases.full_since_ns = BALLOON_IDLE;
	else if (balloon->releases.full_since_ns == BALLOON_IDLE)
		balloon->releases.full_since_ns = balloon_now_ns(balloon);
	if (balloon->pages.listed[PAGES_YOUNG] && balloon->releases.age_due_ns == BALLOON_IDLE)
		balloon->releases.age_due_ns = next_aging_ns(balloon);
}

uint64_t releases_due_ns(const struct balloon *balloon)
{
	uint64_t due = balloon->releases.age_due_ns;

	if (balloon->pages.listed[PAGES_FULL] &&
	    balloon->releases.full_since_ns + FULL_WAIT_NS < due)
		due = balloon->releases.full_since_ns + FULL_WAIT_NS;
	return due;
}

void releases_cancel(struct balloon *balloon)
{
	/* Not along the lists: parts of huge pages are on none of them. */
	if (balloon->pages.pending)
		pages_clear_pending(&balloon->pages, 0, PAGES_PFNS);
	balloon->releases.flush = false;
	balloon->releases.full_since_ns = BALLOON_IDLE;
	balloon->releases.age_due_ns = BALLOON_IDLE;
}

void releases_cancel_range(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	uint64_t first = gpa / MEMORY_PAGE_BYTES, last = (gpa + (size - 1)) / MEMORY_PAGE_BYTES;

	if (last >= PAGES_PFNS)
		last = PAGES_PFNS - 1;
	if (first <= last && balloon->pages.pending)
		pages_clear_pending(&balloon->pages, (uint32_t)first, last - first + 1);
}

void releases_flush(struct balloon *balloon)
{
	balloon->releases.flush = true;
}

void releases_clear_account(struct balloon *balloon)
{
	releases_cancel(balloon);
	pages_clear(&balloon->pages);
}
