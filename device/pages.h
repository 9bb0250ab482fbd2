/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The account of the balloon: which pages are in it, and which of these still
 * wait for their release.
 *
 * Theory of operation
 * -------------------
 * Two bits a page of 4 KiB, in leaves of 1 GiB that exist where there is RAM
 * (64 KiB per GiB), by guest address and not by region, so that a VMM may remap
 * memory without the account losing anything.  A leaf costs memory only where
 * pages were in the balloon: what was never written is never read either.
 *
 * Pages form blocks of 2 MiB, the huge page of x86 and arm64, which is what the
 * host wants back in one piece.  A block with pages that wait stands on one of
 * three lists, each a bit a block:
 *
 *	PAGES_FULL	all its pages are in the balloon
 *	PAGES_YOUNG	not all; it may become full yet
 *	PAGES_OLD	not all; it was young when the account was last aged
 *
 * Whoever, every T, releases what is old and then ages the account keeps every
 * block waiting for T to 2 T, with no time and no link a block.
 */
#ifndef AEROSTAT_DEVICE_PAGES_H
#define AEROSTAT_DEVICE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "device/memory.h"

#define PAGES_LEAF_PAGES (UINT32_C(1) << 18) /* 1 GiB */
#define PAGES_LEAVES (UINT32_C(1) << 14)     /* of 32-bit PFNs */
#define PAGES_PFNS (UINT64_C(1) << 32)
#define PAGES_BLOCK_PAGES UINT32_C(512)
#define PAGES_BLOCK_BYTES (PAGES_BLOCK_PAGES * MEMORY_PAGE_BYTES)
#define PAGES_BLOCK_WORDS (PAGES_BLOCK_PAGES / 64)

enum pages_list { PAGES_FULL, PAGES_YOUNG, PAGES_OLD, PAGES_LISTS };

struct pages_leaf;

struct pages {
	struct pages_leaf *leaves[PAGES_LEAVES];
	uint32_t leaf_limit;		    /* no leaf from this index on */
	uint64_t in_use[PAGES_LEAVES / 64]; /* a bit per leaf that has a page in the balloon */
	uint64_t ballooned;		    /* pages in the balloon */
	uint64_t pending;		    /* of these, pages that wait for their release */
	uint32_t listed[PAGES_LISTS];	    /* blocks on each list */
};

/* A copy of one block's bits. */
struct pages_block {
	uint32_t first_pfn;
	uint64_t ballooned[PAGES_BLOCK_WORDS];
	uint64_t pending[PAGES_BLOCK_WORDS];
};

/* Makes the leaves of [@gpa, @gpa + @size), as far as PFNs reach; 0 or -ENOMEM.  The range is not
 * empty and does not wrap. */
int pages_reserve(struct pages *pages, uint64_t gpa, uint64_t size);
void pages_free(struct pages *pages);
/* Empties the balloon: nothing is in it, nothing waits. */
void pages_clear(struct pages *pages);

/*
 * pages_inflate - [@pfn, @pfn + @count) go into the balloon and wait for their release
 *
 * Returns how many were not in it before; the others wait again.  The range lies within one
 * block, whose leaf is there.
 */
uint32_t pages_inflate(struct pages *pages, uint32_t pfn, uint32_t count);

/*
 * pages_deflate - [@pfn, @pfn + @count) leave the balloon, and wait no more
 *
 * Returns how many were in it; *@waited of these had not been released.  The range lies within
 * one block, whose leaf need not be there.
 */
uint32_t pages_deflate(struct pages *pages, uint32_t pfn, uint32_t count, uint32_t *waited);

/* Is there a leaf for @pfn? */
bool pages_has(const struct pages *pages, uint32_t pfn);

/*
 * pages_settle - nothing of [@pfn, @pfn + @count) waits any more
 *
 * Any range up to PAGES_PFNS, also where there is no leaf.  Returns how many pages had waited.
 */
uint64_t pages_settle(struct pages *pages, uint32_t pfn, uint64_t count);
/* The pages of @pfn's block go on waiting, but on no list: until more of it comes. */
void pages_unlist(struct pages *pages, uint32_t pfn);

/* The block that holds @pfn; false if no page of it is in the balloon. */
bool pages_block(const struct pages *pages, uint32_t pfn, struct pages_block *block);
bool pages_block_is_full(const struct pages_block *block);

/* Young blocks become old. */
void pages_age(struct pages *pages);
/*
 * The first block on @list that begins at *@pfn or behind it; false when there is none.  With
 * PAGES_LISTS: that has a page in the balloon.  *@pfn becomes its first page.
 */
bool pages_next(const struct pages *pages, enum pages_list list, uint32_t *pfn);

/*
 * Runs of equal bits in a block: sets *@from and *@count to the first run of set bits of @words
 * at or behind bit *@from; false when there is none.
 */
bool pages_next_run(const uint64_t words[PAGES_BLOCK_WORDS], uint32_t *from, uint32_t *count);

#endif
