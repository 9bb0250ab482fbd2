/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LEAF_WORDS (PAGES_LEAF_PAGES / 64)
#define LEAF_BLOCKS (PAGES_LEAF_PAGES / PAGES_BLOCK_PAGES)
#define LIST_WORDS (LEAF_BLOCKS / 64)

struct pages_leaf {
	uint32_t count; /* pages in the balloon; with none, all else here is zero */
	uint64_t ballooned[LEAF_WORDS];
	uint64_t pending[LEAF_WORDS];
	uint64_t listed[PAGES_LISTS][LIST_WORDS];
};

static uint64_t bit(uint32_t number)
{
	return UINT64_C(1) << number % 64;
}

static struct pages_leaf *leaf_of(const struct pages *pages, uint32_t pfn)
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

/* The words of @pfn's block in a bitmap of its leaf. */
static uint32_t first_word(uint32_t pfn)
{
	return block_in_leaf(pfn) * PAGES_BLOCK_WORDS;
}

/* Not by calloc(), which writes to some of what it returns: a leaf is to cost nothing until it is
 * written. */
static struct pages_leaf *new_leaf(void)
{
	void *leaf = mmap(NULL, sizeof(struct pages_leaf), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return leaf == MAP_FAILED ? NULL : leaf;
}

/* Nothing is to be written to such a leaf, so that it goes on costing nothing. */
static bool is_empty(const struct pages_leaf *leaf)
{
	return !leaf || !leaf->count;
}

int pages_reserve(struct pages *pages, uint64_t gpa, uint64_t size)
{
	const uint64_t leaf_bytes = PAGES_LEAF_PAGES * MEMORY_PAGE_BYTES;
	uint64_t last = (gpa + (size - 1)) / leaf_bytes;

	for (uint64_t at = gpa / leaf_bytes; at <= last && at < PAGES_LEAVES; at++) {
		if (pages->leaves[at])
			continue;
		pages->leaves[at] = new_leaf();
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

void pages_clear(struct pages *pages)
{
	for (uint32_t i = 0; i < pages->leaf_limit && pages->ballooned; i++)
		if (!is_empty(pages->leaves[i]))
			memset(pages->leaves[i], 0, sizeof(struct pages_leaf));
	pages->ballooned = 0;
	pages->pending = 0;
	memset(pages->listed, 0, sizeof(pages->listed));
}

static bool all_set(const uint64_t words[PAGES_BLOCK_WORDS])
{
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		if (words[i] != UINT64_MAX)
			return false;
	return true;
}

static bool any_set(const uint64_t words[PAGES_BLOCK_WORDS])
{
	for (uint32_t i = 0; i < PAGES_BLOCK_WORDS; i++)
		if (words[i])
			return true;
	return false;
}

/* Puts @pfn's block on @list and on no other; PAGES_LISTS: on none. */
static void put_on(struct pages *pages, uint32_t pfn, enum pages_list list)
{
	struct pages_leaf *leaf = leaf_of(pages, pfn);
	uint32_t block = block_in_leaf(pfn);

	for (enum pages_list each = 0; each < PAGES_LISTS; each++) {
		uint64_t *word = &leaf->listed[each][block / 64];

		if (each == list && !(*word & bit(block)))
			pages->listed[each]++;
		else if (each != list && *word & bit(block))
			pages->listed[each]--;
		if (each == list)
			*word |= bit(block);
		else
			*word &= ~bit(block);
	}
}

static bool is_on(const struct pages *pages, uint32_t pfn, enum pages_list list)
{
	uint32_t block = block_in_leaf(pfn);

	return leaf_of(pages, pfn)->listed[list][block / 64] & bit(block);
}

/* Bits [@from, @from + @count) of a word, @count at least 1. */
static uint64_t mask(uint32_t from, uint32_t count)
{
	return UINT64_MAX >> (64 - count) << from;
}

static uint32_t ones(uint64_t word)
{
	return (uint32_t)__builtin_popcountll(word);
}

/* Sets the bits [@page, @page + @count) of a bitmap of a leaf; returns how many were not set. */
static uint32_t set_bits(uint64_t *bits, uint32_t page, uint32_t count)
{
	uint32_t changed = 0;

	for (uint32_t piece; count; page += piece, count -= piece) {
		uint64_t *word = &bits[page / 64], set;

		piece = count < 64 - page % 64 ? count : 64 - page % 64;
		set = mask(page % 64, piece);
		changed += ones(set & ~*word);
		*word |= set;
	}
	return changed;
}

/* The reverse: returns how many were set. */
static uint32_t clear_bits(uint64_t *bits, uint32_t page, uint32_t count)
{
	uint32_t changed = 0;

	for (uint32_t piece; count; page += piece, count -= piece) {
		uint64_t *word = &bits[page / 64], clear;

		piece = count < 64 - page % 64 ? count : 64 - page % 64;
		clear = mask(page % 64, piece);
		changed += ones(clear & *word);
		*word &= ~clear;
	}
	return changed;
}

bool pages_has(const struct pages *pages, uint32_t pfn)
{
	return leaf_of(pages, pfn);
}

uint32_t pages_inflate(struct pages *pages, uint32_t pfn, uint32_t count)
{
	struct pages_leaf *leaf = leaf_of(pages, pfn);
	uint32_t added = set_bits(leaf->ballooned, page_in_leaf(pfn), count);

	leaf->count += added;
	pages->ballooned += added;
	pages->pending += set_bits(leaf->pending, page_in_leaf(pfn), count);
	if (all_set(&leaf->ballooned[first_word(pfn)]))
		put_on(pages, pfn, PAGES_FULL);
	else if (!is_on(pages, pfn, PAGES_YOUNG) && !is_on(pages, pfn, PAGES_OLD))
		put_on(pages, pfn, PAGES_YOUNG);
	return added;
}

uint32_t pages_deflate(struct pages *pages, uint32_t pfn, uint32_t count, uint32_t *waited)
{
	struct pages_leaf *leaf = leaf_of(pages, pfn);
	uint32_t removed = clear_bits(leaf->ballooned, page_in_leaf(pfn), count);

	*waited = clear_bits(leaf->pending, page_in_leaf(pfn), count);
	leaf->count -= removed;
	pages->ballooned -= removed;
	pages->pending -= *waited;
	if (!any_set(&leaf->pending[first_word(pfn)]))
		put_on(pages, pfn, PAGES_LISTS);
	else if (is_on(pages, pfn, PAGES_FULL))
		put_on(pages, pfn, PAGES_YOUNG);
	return removed;
}

uint64_t pages_settle(struct pages *pages, uint32_t pfn, uint64_t count)
{
	uint64_t settled = 0;

	for (uint32_t piece; count; pfn += piece, count -= piece) {
		struct pages_leaf *leaf = leaf_of(pages, pfn);
		bool empty = is_empty(leaf);
		uint32_t unit = empty ? PAGES_LEAF_PAGES : PAGES_BLOCK_PAGES;

		piece = unit - pfn % unit;
		if (piece > count)
			piece = (uint32_t)count;
		if (empty)
			continue;
		settled += clear_bits(leaf->pending, page_in_leaf(pfn), piece);
		if (!any_set(&leaf->pending[first_word(pfn)]))
			put_on(pages, pfn, PAGES_LISTS);
	}
	pages->pending -= settled;
	return settled;
}

void pages_unlist(struct pages *pages, uint32_t pfn)
{
	put_on(pages, pfn, PAGES_LISTS);
}

bool pages_block(const struct pages *pages, uint32_t pfn, struct pages_block *block)
{
	const struct pages_leaf *leaf = leaf_of(pages, pfn);

	if (!leaf)
		return false;
	block->first_pfn = pfn - pfn % PAGES_BLOCK_PAGES;
	memcpy(block->ballooned, &leaf->ballooned[first_word(pfn)], sizeof(block->ballooned));
	memcpy(block->pending, &leaf->pending[first_word(pfn)], sizeof(block->pending));
	return true;
}

bool pages_block_is_full(const struct pages_block *block)
{
	return all_set(block->ballooned);
}

void pages_age(struct pages *pages)
{
	if (!pages->listed[PAGES_YOUNG])
		return;
	for (uint32_t i = 0; i < pages->leaf_limit; i++) {
		struct pages_leaf *leaf = pages->leaves[i];

		if (is_empty(leaf))
			continue;
		for (uint32_t word = 0; word < LIST_WORDS; word++) {
			leaf->listed[PAGES_OLD][word] |= leaf->listed[PAGES_YOUNG][word];
			leaf->listed[PAGES_YOUNG][word] = 0;
		}
	}
	pages->listed[PAGES_OLD] += pages->listed[PAGES_YOUNG];
	pages->listed[PAGES_YOUNG] = 0;
}

/* The first block of @leaf from @block on that pages_next() wants, or LEAF_BLOCKS. */
static uint32_t next_in_leaf(const struct pages_leaf *leaf, enum pages_list list, uint32_t block)
{
	if (list == PAGES_LISTS) {
		while (block < LEAF_BLOCKS && !any_set(&leaf->ballooned[block * PAGES_BLOCK_WORDS]))
			block++;
		return block;
	}
	while (block < LEAF_BLOCKS) {
		uint64_t left = leaf->listed[list][block / 64] >> block % 64;

		if (left)
			return block + (uint32_t)__builtin_ctzll(left);
		block = (block / 64 + 1) * 64;
	}
	return block;
}

bool pages_next(const struct pages *pages, enum pages_list list, uint32_t *pfn)
{
	uint32_t at = *pfn / PAGES_LEAF_PAGES;
	uint32_t block = (page_in_leaf(*pfn) + PAGES_BLOCK_PAGES - 1) / PAGES_BLOCK_PAGES;

	for (; at < pages->leaf_limit; at++, block = 0) {
		const struct pages_leaf *leaf = pages->leaves[at];

		if (leaf)
			block = next_in_leaf(leaf, list, block);
		if (!leaf || block >= LEAF_BLOCKS)
			continue;
		*pfn = at * PAGES_LEAF_PAGES + block * PAGES_BLOCK_PAGES;
		return true;
	}
	return false;
}

bool pages_next_run(const uint64_t words[PAGES_BLOCK_WORDS], uint32_t *from, uint32_t *count)
{
	uint32_t at = *from, end;

	while (at < PAGES_BLOCK_PAGES && !(words[at / 64] & bit(at)))
		at++;
	end = at;
	while (end < PAGES_BLOCK_PAGES && words[end / 64] & bit(end))
		end++;
	*from = at;
	*count = end - at;
	return end > at;
}
