/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The account of the balloon: which pages are in it, and which of these still
 * wait for their release.
 *
 * Theory of operation
 * -------------------
 * Two bits per page of 4 KiB, in leaves of 1 GiB that exist where there is RAM
 * (64 KiB per GiB).  The account is by guest address and not by region, so a VMM
 * may remap memory without any loss.  A leaf costs memory only where pages
 * were in the balloon.
 *
 * Pages form blocks of 2 MiB, the huge page of x86 and arm64, which is what the
 * host wants back in one piece.  A block with pages that wait is on one of three
 * lists, each of which has one bit per block:
 *
 *	PAGES_FULL	all its pages are in the balloon
 *	PAGES_YOUNG	not all of them; it may become full yet
 *	PAGES_OLD	not all of them; it was young when the account was last aged
 *
 * If old blocks are released and the account is then aged every T, each block
 * waits for T to 2 T.  This needs neither a time nor a link per block.
 *
 * The functions are called by one thread.  Page numbers (PFNs) are guest addresses
 * divided by 4096.
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

/* All zero: an empty account without leaves.  Others may read the three numbers at its end. */
struct pages {
	struct pages_leaf *leaves[PAGES_LEAVES];
	uint32_t leaf_limit;		    /* all leaves have a lower index */
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

/*
 * pages_reserve - map the leaves of [@gpa, @gpa + @size), as far as PFNs reach
 *
 * The range is not empty and does not wrap.  0, or -ENOMEM with some of the leaves mapped.
 */
int pages_reserve(struct pages *pages, uint64_t gpa, uint64_t size);
/* Unmaps all leaves; the account is as new. */
void pages_free(struct pages *pages);
/* Empties the balloon: nothing is in it, and nothing waits.  Leaves stay. */
void pages_clear(struct pages *pages);

/*
 * pages_inflate - put [@pfn, @pfn + @count) into the balloon, to wait for their release
 *
 * Returns how many were not in it before; the others wait again.  The range is not empty and lies
 * within one block, whose leaf is mapped.
 */
uint32_t pages_inflate(struct pages *pages, uint32_t pfn, uint32_t count);

/*
 * pages_deflate - take [@pfn, @pfn + @count) out of the balloon; they no longer wait
 *
 * Returns how many were in it, and sets *@waited to how many of these had not been released.  The
 * range is not empty and lies within one block, whose leaf need not be mapped.
 */
uint32_t pages_deflate(struct pages *pages, uint32_t pfn, uint32_t count, uint32_t *waited);

/* Is the leaf of @pfn mapped? */
bool pages_has_leaf(const struct pages *pages, uint32_t pfn);

/*
 * pages_clear_pending - [@pfn, @pfn + @count) no longer wait
 *
 * Any range up to PAGES_PFNS, also where there is no leaf.  Returns how many pages had waited.
 */
uint64_t pages_clear_pending(struct pages *pages, uint32_t pfn, uint64_t count);
/*
 * Takes @pfn's block, whose leaf is mapped, off its list, until pages_inflate() puts it on one
 * again.  Its pages still wait.
 */
void pages_unlist(struct pages *pages, uint32_t pfn);

/* Copies the bits of @pfn's block; false, with @block untouched, if none of its pages is in the
 * balloon. */
bool pages_copy_block(const struct pages *pages, uint32_t pfn, struct pages_block *block);
/* Are all pages of the block in the balloon? */
bool pages_block_is_full(const struct pages_block *block);

/* Young blocks become old. */
void pages_age(struct pages *pages);
/*
 * pages_next - the first block on @list that begins at *@pfn or later
 *
 * With PAGES_LISTS: the first block that has a page in the balloon.  Sets *@pfn to the block's
 * first page; false if there is no such block.
 */
bool pages_next(const struct pages *pages, enum pages_list list, uint32_t *pfn);

/*
 * pages_next_run - the first run of set bits in a block's @words, from bit *@from on
 *
 * Sets *@from and *@count to where it begins and how long it is; false if there is none.
 */
bool pages_next_run(const uint64_t words[PAGES_BLOCK_WORDS], uint32_t *from, uint32_t *count);

#endif
