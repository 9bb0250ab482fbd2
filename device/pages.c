/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A leaf is mapped when its RAM is, and much of it may never be written, since
 * only pages in the balloon leave a mark.  On most kernels reading such memory is
 * free, because it maps the shared zero page; on others every page that is read
 * is allocated.  So the account never reads what it has not written.  Bits at two
 * levels record that:
 *
 *	pages.in_use	 a bit per leaf that has a page in the balloon
 *	leaf.occupied	 a bit per block that has one
 *
 * All bits of a block that is not occupied are zero, and so is all of a leaf
 * that is not in use.  Every walk follows these bits, so its time depends on
 * the size of the balloon and not on the size of the guest.
 */
#include "device/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LEAF_WORDS (PAGES_LEAF_PAGES / 64)
#define LEAF_BLOCKS (PAGES_LEAF_PAGES / PAGES_BLOCK_PAGES)
#define LIST_WORDS (LEAF_BLOCKS / 64)

struct pages_leaf {
	/* These are read for every block, and share one page of memory. */
	uint64_t occupied[LIST_WORDS];
	uint64_t listed[PAGES_LISTS][LIST_WORDS];
	uint64_t ballooned[LEAF_WORDS];
	uint64_t pending[LEAF_WORDS];
};

static uint64_t bit_of(uint32_t number)
{
	return UINT64_C(1) << number % 64;
}

static struct pages_leaf *leaf_of_pfn(const struct pages *pages, uint32_t pfn)
{
	return pages->leaves[pfn / PAGES_LEAF_PAGES];
}

static uint32_t page_in_leaf(uint32_t pfn)
{
	return pfn % PAGES_LEAF_PAGES;
}

static uint32_t block_in_leaf(uint32_t pfn)
{
	return page_in_leaf(pfn) / PAGES_BLOCK_PAGES;
}

/* Where the words of @pfn's block begin in a bitmap of its leaf. */
static uint32_t first_block_word(uint32_t pfn)
{
	return block_in_leaf(pfn) * PAGES_BLOCK_WORDS;
}

/*
 * A leaf must cost nothing until it is written.  So it does not come from calloc(), which writes
 * to some of what it returns, and it is not backed by a huge page, which the first write would
 * allocate.
 */
static struct pages_leaf *map_leaf(void)
{
	void *leaf = mmap(NULL, sizeof(struct pages_leaf), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (leaf == MAP_FAILED)
		return NULL;
	(void)madvise(leaf, sizeof(struct pages_leaf), MADV_NOHUGEPAGE);
	return leaf;
}

/* The leaf of @pfn, or NULL if it is not in use. */
static struct pages_leaf *find_used_leaf(const struct pages *pages, uint32_t pfn)
{
	uint32_t at = pfn / PAGES_LEAF_PAGES;

	return pages->in_use[at / 64] & bit_of(at) ? pages->leaves[at] : NULL;
}

/* The first leaf in use from @at on, or PAGES_LEAVES. */
static uint32_t next_used_leaf(const struct pages *pages, uint32_t at)
{
	while (at < PAGES_LEAVES) {
		uint64_t left = pages->in_use[at / 64] >> at % 64;

		if (left)
			return at + (uint32_t)__builtin_ctzll(left);
		at = (at / 64 + 1) * 64;
	}
	return PAGES_LEAVES;
}

static bool is_occupied(const struct pages_leaf *leaf, uint32_t pfn)
{
	uint32_t block = block_in_leaf(pfn);

	return leaf->occupied[block / 64] & bit_of(block);
}

static void mark_occupied(struct pages *pages, uint32_t pfn)
{
	uint32_t at = pfn / PAGES_LEAF_PAGES, block = block_in_leaf(pfn);

	pages->in_use[at / 64] |= bit_of(at);
	pages->leaves[at]->occupied[block / 64] |= bit_of(block);
}

/* All bits of @pfn's block are zero now.  Its leaf is in use. */
static void mark_vacant(struct pages *pages, uint32_t pfn)
{
	uint32_t at = pfn / PAGES_LEAF_PAGES, block = block_in_leaf(pfn);
	struct pages_leaf *leaf = pages->leaves[at];

	leaf->occupied[block / 64] &= ~bit_of(block);
	for (uint32_t word = 0; word < LIST_WORDS; word++)
		if (leaf->occupied[word])
			return;
	pages->in_use[at / 64] &= ~bit_of(at);
}

int pages_reserve(struct pages *pages, uint64_t gpa, uint64_t size)
{
	const uint64_t leaf_bytes = PAGES_LEAF_PAGES * MEMORY_PAGE_BYTES;
	uint64_t last = (gpa + (size - 1)) / leaf_bytes;

	for (uint64_t at = gpa / leaf_bytes; at <= last && at < PAGES_LEAVES; at++) {
		if (pages->leaves[at])
			continue;
		pages->leaves[at] = map_leaf();
		if (!pages->leaves[at])
			return -ENOMEM;
		if (pages->leaf_limit <= at)
			pages->leaf_limit = (uint32_t)at + 1;
	}
	return 0;
}

void pages_free(struct pages *pages)
{
	for (uint32_t i = 0; i < pages->leaf_limit; i++)
		if (pages->leaves[i])
			munmap(pages->leaves[i], sizeof(struct pages_leaf));
	memset(pages, 0, sizeof(*pages));
}

static void clear_leaf(struct pages_leaf *leaf)
{
	for (uint32_t block = 0; block < LEAF_BLOCKS; block++) {
		uint32_t word = block * PAGES_BLOCK_WORDS;

		if (!(leaf->occupied[block / 64] & bit_of(block)))
			continue;
		memset(&leaf->ballooned[word], 0, PAGES_BLOCK_WORDS * sizeof(uint64_t));
		memset(&leaf->pending[word], 0, PAGES_BLOCK_WORDS * sizeof(uint64_t));
	}
	memset(leaf->occupied, 0, sizeof(leaf->occupied));
	memset(leaf->listed, 0, sizeof(leaf->listed));
}

void pages_clear(struct pages *pages)
{
	for (uint32_t at = 0; (at = next_used_leaf(pages, at)) < PAGES_LEAVES; at++)
		clear_leaf(pages->leaves[at]);
	memset(pages->in_use, 0, sizeof(pages->in_use));
	pages->ballooned = 0;
	pages->pending = 0;
	memset(pages->listed, 0, sizeof(pages->listed));
}

static bool are_all_set(const uint64_t words[PAGES_BLOCK_WORDS])
{
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		if (words[i] != UINT64_MAX)
			return false;
	return true;
}

static bool is_any_set(const uint64_t words[PAGES_BLOCK_WORDS])
{
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		if (words[i])
			return true;
	return false;
}

/* Moves @pfn's block to @list, or to no list if that is PAGES_LISTS. */
static void move_to_list(struct pages *pages, uint32_t pfn, enum pages_list list)
{
	struct pages_leaf *leaf = leaf_of_pfn(pages, pfn);
	uint32_t block = block_in_leaf(pfn);

	for (enum pages_list each = 0; each < PAGES_LISTS; each++) {
		uint64_t *word = &leaf->listed[each][block / 64];

		if (each == list && !(*word & bit_of(block)))
			pages->listed[each]++;
		else if (each != list && *word & bit_of(block))
			pages->listed[each]--;
		if (each == list)
			*word |= bit_of(block);
		else
			*word &= ~bit_of(block);
	}
}

static bool is_on_list(const struct pages *pages, uint32_t pfn, enum pages_list list)
{
	uint32_t block = block_in_leaf(pfn);

	return leaf_of_pfn(pages, pfn)->listed[list][block / 64] & bit_of(block);
}

/* Bits [@from, @from + @count) of a word, @count at least 1. */
static uint64_t bit_range(uint32_t from, uint32_t count)
{
	return UINT64_MAX >> (64 - count) << from;
}

static uint32_t count_ones(uint64_t word)
{
	return (uint32_t)__builtin_popcountll(word);
}

/* Sets the bits [@page, @page + @count) of a bitmap of a leaf; returns how many were not set. */
static uint32_t set_bits(uint64_t *bits, uint32_t page, uint32_t count)
{
	uint32_t changed = 0;

	for (uint32_t part; count; page += part, count -= part) {
		uint64_t *word = &bits[page / 64], set;

		part = count < 64 - page % 64 ? count : 64 - page % 64;
		set = bit_range(page % 64, part);
		changed += count_ones(set & ~*word);
		*word |= set;
	}
	return changed;
}

/* The reverse: returns how many were set. */
static uint32_t clear_bits(uint64_t *bits, uint32_t page, uint32_t count)
{
	uint32_t changed = 0;

	for (uint32_t part; count; page += part, count -= part) {
		uint64_t *word = &bits[page / 64], clear;

		part = count < 64 - page % 64 ? count : 64 - page % 64;
		clear = bit_range(page % 64, part);
		changed += count_ones(clear & *word);
		*word &= ~clear;
	}
	return changed;
}

bool pages_has_leaf(const struct pages *pages, uint32_t pfn)
{
	return leaf_of_pfn(pages, pfn);
}

uint32_t pages_inflate(struct pages *pages, uint32_t pfn, uint32_t count)
{
	struct pages_leaf *leaf = leaf_of_pfn(pages, pfn);
	uint32_t added = set_bits(leaf->ballooned, page_in_leaf(pfn), count);

	mark_occupied(pages, pfn);
	pages->ballooned += added;
	pages->pending += set_bits(leaf->pending, page_in_leaf(pfn), count);
	if (are_all_set(&leaf->ballooned[first_block_word(pfn)]))
		move_to_list(pages, pfn, PAGES_FULL);
	else if (!is_on_list(pages, pfn, PAGES_YOUNG) && !is_on_list(pages, pfn, PAGES_OLD))
		move_to_list(pages, pfn, PAGES_YOUNG);
	return added;
}

uint32_t pages_deflate(struct pages *pages, uint32_t pfn, uint32_t count, uint32_t *waited)
{
	struct pages_leaf *leaf = find_used_leaf(pages, pfn);
	uint32_t removed;

	*waited = 0;
	if (!leaf || !is_occupied(leaf, pfn))
		return 0;
	removed = clear_bits(leaf->ballooned, page_in_leaf(pfn), count);
	*waited = clear_bits(leaf->pending, page_in_leaf(pfn), count);
	pages->ballooned -= removed;
	pages->pending -= *waited;
	if (!is_any_set(&leaf->pending[first_block_word(pfn)]))
		move_to_list(pages, pfn, PAGES_LISTS);
	else if (is_on_list(pages, pfn, PAGES_FULL))
		move_to_list(pages, pfn, PAGES_YOUNG);
	if (!is_any_set(&leaf->ballooned[first_block_word(pfn)]))
		mark_vacant(pages, pfn);
	return removed;
}

uint64_t pages_clear_pending(struct pages *pages, uint32_t pfn, uint64_t count)
{
	uint64_t settled = 0;

	for (uint32_t part; count; pfn += part, count -= part) {
		struct pages_leaf *leaf = find_used_leaf(pages, pfn);
		uint32_t unit = leaf ? PAGES_BLOCK_PAGES : PAGES_LEAF_PAGES;

		part = unit - pfn % unit;
		if (part > count)
			part = (uint32_t)count;
		if (!leaf || !is_occupied(leaf, pfn))
			continue;
		settled += clear_bits(leaf->pending, page_in_leaf(pfn), part);
		if (!is_any_set(&leaf->pending[first_block_word(pfn)]))
			move_to_list(pages, pfn, PAGES_LISTS);
	}
	pages->pending -= settled;
	return settled;
}

void pages_unlist(struct pages *pages, uint32_t pfn)
{
	move_to_list(pages, pfn, PAGES_LISTS);
}

bool pages_copy_block(const struct pages *pages, uint32_t pfn, struct pages_block *block)
{
	const struct pages_leaf *leaf = find_used_leaf(pages, pfn);

	if (!leaf || !is_occupied(leaf, pfn))
		return false;
	block->first_pfn = pfn - pfn % PAGES_BLOCK_PAGES;
	memcpy(block->ballooned, &leaf->ballooned[first_block_word(pfn)], sizeof(block->ballooned));
	memcpy(block->pending, &leaf->pending[first_block_word(pfn)], sizeof(block->pending));
	return true;
}

bool pages_block_is_full(const struct pages_block *block)
{
	return are_all_set(block->ballooned);
}

void pages_age(struct pages *pages)
{
	if (!pages->listed[PAGES_YOUNG])
		return;
	for (uint32_t at = 0; (at = next_used_leaf(pages, at)) < PAGES_LEAVES; at++) {
		struct pages_leaf *leaf = pages->leaves[at];

		for (uint32_t word = 0; word < LIST_WORDS; word++) {
			leaf->listed[PAGES_OLD][word] |= leaf->listed[PAGES_YOUNG][word];
			leaf->listed[PAGES_YOUNG][word] = 0;
		}
	}
	pages->listed[PAGES_OLD] += pages->listed[PAGES_YOUNG];
	pages->listed[PAGES_YOUNG] = 0;
}

/* The first block of @leaf from @block on that is on @list (see pages_next()), or LEAF_BLOCKS. */
static uint32_t next_block_in_leaf(const struct pages_leaf *leaf, enum pages_list list,
				   uint32_t block)
{
	const uint64_t *blocks = list == PAGES_LISTS ? leaf->occupied : leaf->listed[list];

	while (block < LEAF_BLOCKS) {
		uint64_t left = blocks[block / 64] >> block % 64;

		if (left)
			return block + (uint32_t)__builtin_ctzll(left);
		block = (block / 64 + 1) * 64;
	}
	return block;
}

bool pages_next(const struct pages *pages, enum pages_list list, uint32_t *pfn)
{
	uint32_t from = *pfn / PAGES_LEAF_PAGES;
	uint32_t block = (page_in_leaf(*pfn) + PAGES_BLOCK_PAGES - 1) / PAGES_BLOCK_PAGES;

	for (uint32_t at = from; (at = next_used_leaf(pages, at)) < PAGES_LEAVES; at++) {
		uint32_t found =
			next_block_in_leaf(pages->leaves[at], list, at == from ? block : 0);

		if (found >= LEAF_BLOCKS)
			continue;
		*pfn = at * PAGES_LEAF_PAGES + found * PAGES_BLOCK_PAGES;
		return true;
	}
	return false;
}

bool pages_next_run(const uint64_t words[PAGES_BLOCK_WORDS], uint32_t *from, uint32_t *count)
{
	uint32_t at = *from, end;

	while (at < PAGES_BLOCK_PAGES && !(words[at / 64] & bit_of(at)))
		at++;
	end = at;
	while (end < PAGES_BLOCK_PAGES && words[end / 64] & bit_of(end))
		end++;
	*from = at;
	*count = end - at;
	return end > at;
}
