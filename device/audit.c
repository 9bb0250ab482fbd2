/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The audit: ballooned pages that are resident on the host again.
 *
 * Theory of operation
 * -------------------
 * A page that is in the balloon and was released costs the host nothing until
 * somebody touches it: the guest, which had given it up (a bug, or cheating), or
 * the host, when it makes a huge page around the page's neighbours.  mincore()
 * finds such pages in anonymous memory and in files.  Of hugetlbfs it shows only
 * what this process has touched itself, so there the audit is blind.  An audit
 * takes time in proportion to the balloon, so it is done in steps of a few blocks.
 *
 * Releasing what was found is right only with MUST_TELL_HOST: without it the
 * guest may be using a page whose deflate it has not sent yet.
 */
#include <sys/mman.h>

#include "device/state.h"

#define STEP_BLOCKS 8

/* Clears the bits of pages in @words that are not resident, or lie in no region. */
static void keep_resident_pages(const struct balloon *balloon, uint32_t first_pfn,
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
		/* If mincore() fails, the pages count as not resident. */
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

/* The pages of @words wait for their release once more. */
static void release_again(struct balloon *balloon, uint32_t first_pfn,
			  const uint64_t words[PAGES_BLOCK_WORDS])
{
	uint32_t from = 0, count;

	for (; pages_next_run(words, &from, &count); from += count)
		pages_inflate(&balloon->pages, first_pfn + from, count);
	balloon->audit.result.released_pages += count_bits(words);
	releases_changed(balloon);
}

static void audit_block(struct balloon *balloon, uint32_t pfn)
{
	struct balloon_audit *audit = &balloon->audit.result;
	struct pages_block block;
	uint32_t found;

	if (!pages_copy_block(&balloon->pages, pfn, &block))
		return;
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		block.ballooned[i] &= ~block.pending[i];
	audit->checked_pages += count_bits(block.ballooned);
	keep_resident_pages(balloon, block.first_pfn, block.ballooned);
	found = count_bits(block.ballooned);
	audit->resident_pages += found;
	balloon_count(balloon, BALLOON_C_AUDIT_RESIDENT_PAGES, found);
	if (found && balloon->options.audit_release &&
	    is_acknowledged(balloon, BALLOON_F_MUST_TELL_HOST))
		release_again(balloon, block.first_pfn, block.ballooned);
}

void balloon_audit_start(struct balloon *balloon)
{
	balloon->audit = (struct audit_state){ .result.running = true };
}

struct balloon_audit balloon_audit_result(const struct balloon *balloon)
{
	return balloon->audit.result;
}

static void end_audit(struct balloon *balloon)
{
	balloon->audit.result.running = false;
	balloon->audit.result.ended_ns = balloon_now_ns(balloon);
	balloon_count(balloon, BALLOON_C_AUDITS, 1);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_AUDIT);
}

bool audit_step(struct balloon *balloon)
{
	uint32_t *pfn = &balloon->audit.next_pfn;

	if (!balloon->audit.result.running)
		return false;
	for (int i = 0; i < STEP_BLOCKS; i++) {
		if (!pages_next(&balloon->pages, PAGES_LISTS, pfn)) {
			end_audit(balloon);
			return false;
		}
		audit_block(balloon, *pfn);
		*pfn += PAGES_BLOCK_PAGES;
		if (!*pfn) { /* that was the last block that PFNs can reach */
			end_audit(balloon);
			return false;
		}
	}
	return true;
}
