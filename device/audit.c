/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The audit: ballooned pages that are resident on the host again.
 *
 * Theory of operation
 * -------------------
 * A page that is in the balloon and was released costs the host nothing, until
 * somebody touches it: the guest, which had given it away (a bug, or cheating),
 * or a huge page that the host made around its neighbours.  mincore() tells, of
 * anonymous memory and of files; of hugetlbfs it tells only what this process has
 * touched itself, so there the audit is blind.  Looking costs about as much as the balloon is
 * large, so it is done in steps of a few blocks.
 *
 * Releasing what is found is right only with MUST_TELL_HOST: else the guest may
 * be using a page of which it has not told yet.
 */
#include <sys/mman.h>

#include "device/state.h"

#define STEP_BLOCKS 8

/* Those of @words' pages that are not resident, or lie in no region, lose their bits. */
static void keep_resident(const struct balloon *balloon, uint32_t first_pfn,
			  uint64_t words[PAGES_BLOCK_WORDS])
{
	unsigned char resident[PAGES_BLOCK_PAGES] = { 0 };
	uint32_t page = 0;

	while (page < PAGES_BLOCK_PAGES) {
		uint64_t gpa = (uint64_t)(first_pfn + page) * MEMORY_PAGE_BYTES;
		const struct memory_region *region = memory_find(&balloon->memory, gpa);
		uint32_t left = PAGES_BLOCK_PAGES - page;
		uint64_t in_region;

		if (!region) {
			page++;
			continue;
		}
		in_region = (region->size - (gpa - region->gpa)) / MEMORY_PAGE_BYTES;
		if (in_region < left)
			left = (uint32_t)in_region;
		/* What cannot be looked at is not resident, as far as is known. */
		(void)mincore(region->host + (gpa - region->gpa), left * MEMORY_PAGE_BYTES,
			      &resident[page]);
		page += left;
	}
	for (page = 0; page < PAGES_BLOCK_PAGES; page++)
		if (!(resident[page] & 1))
			words[page / 64] &= ~(UINT64_C(1) << page % 64);
}

static uint32_t count_bits(const uint64_t words[PAGES_BLOCK_WORDS])
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		bits += (uint32_t)__builtin_popcountll(words[i]);
	return bits;
}

/* Puts the pages of @words on the list of what waits for its release. */
static void release_again(struct balloon *balloon, uint32_t first_pfn,
			  const uint64_t words[PAGES_BLOCK_WORDS])
{
	uint32_t from = 0, run;

	for (; pages_next_run(words, &from, &run); from += run)
		pages_inflate(&balloon->pages, first_pfn + from, run);
	balloon->audit.released_pages += count_bits(words);
	releases_changed(balloon);
}

static void audit_block(struct balloon *balloon, uint32_t pfn)
{
	struct balloon_audit *audit = &balloon->audit;
	struct pages_block block;
	uint32_t found;

	if (!pages_block(&balloon->pages, pfn, &block))
		return;
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		block.ballooned[i] &= ~block.pending[i];
	audit->checked_pages += count_bits(block.ballooned);
	keep_resident(balloon, block.first_pfn, block.ballooned);
	found = count_bits(block.ballooned);
	audit->resident_pages += found;
	balloon->counters[BALLOON_C_AUDIT_RESIDENT_PAGES] += found;
	if (found && balloon->options.audit_release &&
	    acknowledged(balloon, BALLOON_F_MUST_TELL_HOST))
		release_again(balloon, block.first_pfn, block.ballooned);
}

void balloon_audit_start(struct balloon *balloon)
{
	balloon->audit = (struct balloon_audit){ .running = true };
	balloon->audit_pfn = 0;
}

struct balloon_audit balloon_audit_result(const struct balloon *balloon)
{
	return balloon->audit;
}

static void end(struct balloon *balloon)
{
	balloon->audit.running = false;
	balloon->audit.ended_ns = now_ns(balloon);
	balloon->counters[BALLOON_C_AUDITS]++;
	balloon->host.event(balloon->host.data, BALLOON_EVENT_AUDIT);
}

bool audit_step(struct balloon *balloon)
{
	if (!balloon->audit.running)
		return false;
	for (int i = 0; i < STEP_BLOCKS; i++) {
		if (!pages_next(&balloon->pages, PAGES_LISTS, &balloon->audit_pfn)) {
			end(balloon);
			return false;
		}
		audit_block(balloon, balloon->audit_pfn);
		balloon->audit_pfn += PAGES_BLOCK_PAGES;
		if (!balloon->audit_pfn) { /* the last block of all that PFNs reach */
			end(balloon);
			return false;
		}
	}
	return true;
}
