/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The account of the balloon: its rules one by one, and then a random run
 * against a model that has one flag per page and searches for everything.
 */
#include "device/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define BLOCK PAGES_BLOCK_PAGES
#define LEAF PAGES_LEAF_PAGES
#define LAST_PFN UINT32_MAX
/* Two bits per page, and a page of memory for what goes with them. */
#define LEAF_BYTES (2 * LEAF / 8 + MEMORY_PAGE_BYTES)
#define SEVERAL 64u

static int setup(void **state)
{
	struct pages *pages = calloc(1, sizeof(*pages));

	*state = pages;
	return pages ? pages_reserve(pages, 0, LEAF * MEMORY_PAGE_BYTES) : -1;
}

static int teardown(void **state)
{
	pages_free(*state);
	free(*state);
	return 0;
}

static bool is_listed(const struct pages *pages, enum pages_list list, uint32_t pfn)
{
	uint32_t found = pfn - pfn % BLOCK, first = found;

	return pages_next(pages, list, &found) && found == first;
}

/* @pfn's block is on @list and on no other; PAGES_LISTS: on none. */
static void stands_on(const struct pages *pages, enum pages_list list, uint32_t pfn)
{
	for (enum pages_list each = 0; each < PAGES_LISTS; each++)
		assert_int_equal(is_listed(pages, each, pfn), each == list);
}

static void numbers_are(const struct pages *pages, uint64_t ballooned, uint64_t pending)
{
	assert_int_equal(pages->ballooned, ballooned);
	assert_int_equal(pages->pending, pending);
}

static void leaves_exist_where_there_is_ram(void **state)
{
	struct pages *pages = *state;
	struct pages_block block;

	assert_true(pages_has_leaf(pages, 0));
	assert_true(pages_has_leaf(pages, LEAF - 1));
	assert_false(pages_has_leaf(pages, LEAF));
	assert_false(pages_copy_block(pages, LEAF, &block));
	/* One page on either side of a border needs both leaves. */
	assert_int_equal(pages_reserve(pages, (3 * (uint64_t)LEAF - 1) * MEMORY_PAGE_BYTES, 8192),
			 0);
	assert_false(pages_has_leaf(pages, LEAF));
	assert_true(pages_has_leaf(pages, 2 * LEAF));
	assert_true(pages_has_leaf(pages, 3 * LEAF));
	assert_int_equal(pages->leaf_limit, 4);
}

static void ram_above_what_page_numbers_reach_has_no_account(void **state)
{
	struct pages *pages = *state;
	uint32_t waited;

	assert_int_equal(pages_reserve(pages, MEMORY_BALLOON_LIMIT - 4096, 8192), 0);
	assert_int_equal(pages_reserve(pages, MEMORY_BALLOON_LIMIT, UINT64_C(1) << 50), 0);
	assert_int_equal(pages->leaf_limit, PAGES_LEAVES);
	assert_int_equal(pages_inflate(pages, LAST_PFN, 1), 1);
	assert_int_equal(pages_deflate(pages, LAST_PFN, 1, &waited), 1);
	assert_int_equal(waited, 1);
}

static void an_inflated_page_waits_in_a_young_block(void **state)
{
	struct pages *pages = *state;

	assert_int_equal(pages_inflate(pages, 1000, 3), 3);
	numbers_are(pages, 3, 3);
	stands_on(pages, PAGES_YOUNG, 1000);
}

static void a_page_is_counted_once(void **state)
{
	struct pages *pages = *state;

	assert_int_equal(pages_inflate(pages, 10, 4), 4);
	assert_int_equal(pages_inflate(pages, 8, 10), 6);
	numbers_are(pages, 10, 10);
}

static void a_page_that_is_inflated_again_waits_again(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 10, 4);
	assert_int_equal(pages_clear_pending(pages, 10, 4), 4);
	assert_int_equal(pages_inflate(pages, 10, 2), 0);
	numbers_are(pages, 4, 2);
	stands_on(pages, PAGES_YOUNG, 10);
}

static void a_complete_block_is_full_whatever_the_order(void **state)
{
	struct pages *pages = *state;
	struct pages_block block;

	for (uint32_t i = BLOCK; i-- > 1;)
		pages_inflate(pages, BLOCK + i, 1);
	stands_on(pages, PAGES_YOUNG, BLOCK);
	pages_inflate(pages, BLOCK, 1);
	stands_on(pages, PAGES_FULL, BLOCK);
	assert_true(pages_copy_block(pages, BLOCK + 77, &block));
	assert_int_equal(block.first_pfn, BLOCK);
	assert_true(pages_block_is_full(&block));
}

static void a_block_is_full_though_parts_of_it_were_released(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 0, 100);
	pages_clear_pending(pages, 0, 100);
	stands_on(pages, PAGES_LISTS, 0);
	pages_inflate(pages, 100, BLOCK - 100);
	stands_on(pages, PAGES_FULL, 0);
	numbers_are(pages, BLOCK, BLOCK - 100);
}

static void a_full_block_that_loses_a_page_is_young(void **state)
{
	struct pages *pages = *state;
	uint32_t waited;

	pages_inflate(pages, 0, BLOCK);
	assert_int_equal(pages_deflate(pages, 7, 1, &waited), 1);
	assert_int_equal(waited, 1);
	numbers_are(pages, BLOCK - 1, BLOCK - 1);
	stands_on(pages, PAGES_YOUNG, 0);
}

static void deflating_tells_what_had_waited(void **state)
{
	struct pages *pages = *state;
	uint32_t waited;

	pages_inflate(pages, 0, 10);
	pages_clear_pending(pages, 0, 4);
	assert_int_equal(pages_deflate(pages, 2, 20, &waited), 8);
	assert_int_equal(waited, 6);
	numbers_are(pages, 2, 0);
	stands_on(pages, PAGES_LISTS, 0);
}

static void deflating_what_is_not_there_changes_nothing(void **state)
{
	struct pages *pages = *state;
	uint32_t waited = 99;

	assert_int_equal(pages_deflate(pages, 0, BLOCK, &waited), 0);
	assert_int_equal(waited, 0);
	numbers_are(pages, 0, 0);
}

static void young_blocks_become_old_and_old_ones_stay_it(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 0, 1);
	pages_inflate(pages, BLOCK, BLOCK);
	pages_age(pages);
	stands_on(pages, PAGES_OLD, 0);
	stands_on(pages, PAGES_FULL, BLOCK);
	pages_inflate(pages, 1, 1);
	stands_on(pages, PAGES_OLD, 0);
	pages_inflate(pages, 2 * BLOCK, 1);
	stands_on(pages, PAGES_YOUNG, 2 * BLOCK);
	assert_int_equal(pages->listed[PAGES_OLD], 1);
	assert_int_equal(pages->listed[PAGES_YOUNG], 1);
	assert_int_equal(pages->listed[PAGES_FULL], 1);
}

static void an_old_block_that_is_completed_is_full(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 0, BLOCK - 1);
	pages_age(pages);
	pages_inflate(pages, BLOCK - 1, 1);
	stands_on(pages, PAGES_FULL, 0);
	assert_int_equal(pages->listed[PAGES_OLD], 0);
}

static void a_settled_block_stands_on_no_list(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 0, BLOCK);
	pages_inflate(pages, BLOCK, BLOCK);
	assert_int_equal(pages_clear_pending(pages, 5, 1), 1);
	stands_on(pages, PAGES_FULL, 0);
	assert_int_equal(pages_clear_pending(pages, 0, 2 * BLOCK), 2 * BLOCK - 1);
	stands_on(pages, PAGES_LISTS, 0);
	stands_on(pages, PAGES_LISTS, BLOCK);
	numbers_are(pages, 2 * BLOCK, 0);
}

static void settling_reaches_over_holes_and_up_to_the_last_page(void **state)
{
	struct pages *pages = *state;

	assert_int_equal(pages_reserve(pages, MEMORY_BALLOON_LIMIT - 4096, 4096), 0);
	pages_inflate(pages, LEAF - 1, 1);
	pages_inflate(pages, LAST_PFN, 1);
	assert_int_equal(pages_clear_pending(pages, 1, LEAF - 2), 0);
	assert_int_equal(pages_clear_pending(pages, 0, PAGES_PFNS), 2);
	numbers_are(pages, 2, 0);
}

static void an_unlisted_block_waits_until_more_of_it_comes(void **state)
{
	struct pages *pages = *state;

	pages_inflate(pages, 0, 8);
	pages_unlist(pages, 3);
	stands_on(pages, PAGES_LISTS, 0);
	numbers_are(pages, 8, 8);
	pages_inflate(pages, 8, 1);
	stands_on(pages, PAGES_YOUNG, 0);
}

static void clearing_empties_the_balloon(void **state)
{
	struct pages *pages = *state;
	uint32_t pfn = 0;

	assert_int_equal(pages_reserve(pages, 5 * (uint64_t)LEAF * MEMORY_PAGE_BYTES, 4096), 0);
	pages_inflate(pages, 0, BLOCK);
	pages_inflate(pages, LEAF - BLOCK, 3);
	pages_inflate(pages, 5 * LEAF, 3);
	pages_clear(pages);
	numbers_are(pages, 0, 0);
	for (enum pages_list list = 0; list <= PAGES_LISTS; list++)
		assert_false(pages_next(pages, list, &pfn));
	assert_int_equal(pages_inflate(pages, 0, BLOCK), BLOCK);
}

/*
 * How many pages of memory of the account were touched.  mincore() counts those that were only
 * read, too: they cost nothing where the kernel maps its page of zeros, and a page each where it
 * does not.
 */
static unsigned int touched(const struct pages *pages)
{
	unsigned char resident[LEAF_BYTES / MEMORY_PAGE_BYTES];
	unsigned int count = 0;

	for (uint32_t i = 0; i < pages->leaf_limit; i++) {
		if (!pages->leaves[i])
			continue;
		assert_int_equal(mincore(pages->leaves[i], LEAF_BYTES, resident), 0);
		for (size_t page = 0; page < sizeof(resident); page++)
			count += resident[page] & 1;
	}
	return count;
}

/* Everything that can be asked of an account, and a deflate of pages that are not in it. */
static void use_all_of(struct pages *pages)
{
	struct pages_block block;
	uint32_t waited;

	for (enum pages_list list = 0; list <= PAGES_LISTS; list++) {
		uint32_t pfn = 0;

		while (pages_next(pages, list, &pfn))
			pfn++;
	}
	for (uint32_t pfn = 9 * BLOCK; pfn < SEVERAL * LEAF; pfn += LEAF / 4) {
		pages_copy_block(pages, pfn, &block);
		assert_int_equal(pages_deflate(pages, pfn, BLOCK, &waited), 0);
	}
	pages_age(pages);
	pages_clear_pending(pages, 0, PAGES_PFNS);
	pages_clear(pages);
}

static void an_account_that_was_not_written_is_not_read(void **state)
{
	struct pages *pages = *state;

	assert_int_equal(pages_reserve(pages, 0, SEVERAL * LEAF * MEMORY_PAGE_BYTES), 0);
	use_all_of(pages);
	assert_int_equal(touched(pages), 0);
}

static void beside_what_was_written_nothing_is_read(void **state)
{
	struct pages *pages = *state;
	unsigned int before;

	assert_int_equal(pages_reserve(pages, 0, SEVERAL * LEAF * MEMORY_PAGE_BYTES), 0);
	for (uint32_t i = 0; i < SEVERAL; i += 16)
		pages_inflate(pages, i * LEAF + LEAF / 2, 3);
	before = touched(pages);
	assert_in_range(before, 1, SEVERAL);
	use_all_of(pages);
	assert_int_equal(touched(pages), before);
}

static void blocks_are_found_in_order(void **state)
{
	struct pages *pages = *state;
	uint32_t pfn = 1;

	assert_int_equal(pages_reserve(pages, 5 * (uint64_t)LEAF * MEMORY_PAGE_BYTES, 4096), 0);
	pages_inflate(pages, 3, 1);
	pages_inflate(pages, 70 * BLOCK + 9, 1);
	pages_inflate(pages, LEAF - 1, 1);
	pages_inflate(pages, 5 * LEAF + 2 * BLOCK, 1);
	/* The block of page 0 begins before page 1. */
	assert_true(pages_next(pages, PAGES_YOUNG, &pfn));
	assert_int_equal(pfn, 70 * BLOCK);
	assert_true(pages_next(pages, PAGES_YOUNG, &pfn));
	assert_int_equal(pfn, 70 * BLOCK);
	pfn++;
	assert_true(pages_next(pages, PAGES_YOUNG, &pfn));
	assert_int_equal(pfn, LEAF - BLOCK);
	pfn = LEAF - 1;
	assert_true(pages_next(pages, PAGES_LISTS, &pfn));
	assert_int_equal(pfn, 5 * LEAF + 2 * BLOCK);
	pfn++;
	assert_false(pages_next(pages, PAGES_LISTS, &pfn));
}

static void runs_are_found_across_words(void **state)
{
	uint64_t words[PAGES_BLOCK_WORDS] = { 0 };
	uint32_t from = 0, count;

	(void)state;
	assert_false(pages_next_run(words, &from, &count));
	words[0] = UINT64_C(3) << 62;
	words[1] = 1;
	words[7] = UINT64_C(1) << 63;
	from = 0;
	assert_true(pages_next_run(words, &from, &count));
	assert_int_equal(from, 62);
	assert_int_equal(count, 3);
	from += count;
	assert_true(pages_next_run(words, &from, &count));
	assert_int_equal(from, 511);
	assert_int_equal(count, 1);
	from += count;
	assert_false(pages_next_run(words, &from, &count));
}

/*
 * The model
 */

#define MODEL_BLOCKS 6
#define MODEL_PAGES (MODEL_BLOCKS * BLOCK)
/* Around the border of two leaves. */
#define MODEL_FIRST (LEAF - MODEL_PAGES / 2)
#define STEPS 20000

struct model {
	bool ballooned[MODEL_PAGES], pending[MODEL_PAGES];
	enum pages_list list[MODEL_BLOCKS];
};

static uint32_t in_block(const bool *bits, uint32_t block)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < BLOCK; i++)
		set += bits[block * BLOCK + i];
	return set;
}

static void model_inflate(struct model *model, uint32_t page, uint32_t count, uint32_t *added)
{
	uint32_t block = page / BLOCK;

	for (*added = 0; count; count--, page++) {
		*added += !model->ballooned[page];
		model->ballooned[page] = model->pending[page] = true;
	}
	if (in_block(model->ballooned, block) == BLOCK)
		model->list[block] = PAGES_FULL;
	else if (model->list[block] == PAGES_LISTS)
		model->list[block] = PAGES_YOUNG;
}

static void model_deflate(struct model *model, uint32_t page, uint32_t count, uint32_t *removed,
			  uint32_t *waited)
{
	uint32_t block = page / BLOCK;

	for (*removed = *waited = 0; count; count--, page++) {
		*removed += model->ballooned[page];
		*waited += model->pending[page];
		model->ballooned[page] = model->pending[page] = false;
	}
	if (in_block(model->pending, block) == 0)
		model->list[block] = PAGES_LISTS;
	else if (model->list[block] == PAGES_FULL)
		model->list[block] = PAGES_YOUNG;
}

static uint32_t model_settle(struct model *model, uint32_t page, uint32_t count)
{
	uint32_t waited = 0;

	for (; count; count--, page++) {
		waited += model->pending[page];
		model->pending[page] = false;
	}
	for (uint32_t block = 0; block < MODEL_BLOCKS; block++)
		if (in_block(model->pending, block) == 0)
			model->list[block] = PAGES_LISTS;
	return waited;
}

static void is_as_modelled(const struct pages *pages, const struct model *model)
{
	uint64_t ballooned = 0, pending = 0;

	for (uint32_t i = 0; i < MODEL_BLOCKS; i++) {
		struct pages_block block;

		ballooned += in_block(model->ballooned, i);
		pending += in_block(model->pending, i);
		if (!pages_copy_block(pages, MODEL_FIRST + i * BLOCK, &block))
			memset(&block, 0, sizeof(block));
		for (uint32_t page = 0; page < BLOCK; page++) {
			uint64_t bit = UINT64_C(1) << page % 64;

			assert_int_equal(!!(block.ballooned[page / 64] & bit),
					 model->ballooned[i * BLOCK + page]);
			assert_int_equal(!!(block.pending[page / 64] & bit),
					 model->pending[i * BLOCK + page]);
		}
		stands_on(pages, model->list[i], MODEL_FIRST + i * BLOCK);
		assert_int_equal(is_listed(pages, PAGES_LISTS, MODEL_FIRST + i * BLOCK),
				 in_block(model->ballooned, i) > 0);
	}
	numbers_are(pages, ballooned, pending);
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

static void random_step(struct pages *pages, struct model *model)
{
	uint32_t page = below(MODEL_PAGES), left = BLOCK - page % BLOCK;
	uint32_t count = below(3) ? 1 + below(left) : left, got, waited, expected, expected_waited;

	if (!below(4)) {
		page -= page % BLOCK;
		count = BLOCK;
	}
	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		model_inflate(model, page, count, &expected);
		assert_int_equal(pages_inflate(pages, MODEL_FIRST + page, count), expected);
		return;
	case 3:
	case 4:
		model_deflate(model, page, count, &expected, &expected_waited);
		got = pages_deflate(pages, MODEL_FIRST + page, count, &waited);
		assert_int_equal(got, expected);
		assert_int_equal(waited, expected_waited);
		return;
	case 5:
		count = 1 + below(MODEL_PAGES - page);
		expected = model_settle(model, page, count);
		assert_int_equal(pages_clear_pending(pages, MODEL_FIRST + page, count), expected);
		return;
	case 6:
		pages_unlist(pages, MODEL_FIRST + page);
		model->list[page / BLOCK] = PAGES_LISTS;
		return;
	default:
		pages_age(pages);
		for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
			if (model->list[i] == PAGES_YOUNG)
				model->list[i] = PAGES_OLD;
	}
}

static void a_random_run_is_what_a_slow_model_says(void **state)
{
	struct pages *pages = *state;
	static struct model model;
	const char *given = getenv("AEROSTAT_SEED");
	unsigned int seed =
		given ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);

	print_message("AEROSTAT_SEED=%u\n", seed);
	srandom(seed);
	assert_int_equal(pages_reserve(pages, LEAF * MEMORY_PAGE_BYTES, 4096), 0);
	memset(&model, 0, sizeof(model));
	for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
		model.list[i] = PAGES_LISTS;
	for (unsigned int i = 0; i < STEPS; i++) {
		random_step(pages, &model);
		if (i % 8 == 0)
			is_as_modelled(pages, &model);
	}
	is_as_modelled(pages, &model);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(leaves_exist_where_there_is_ram),
		TEST(ram_above_what_page_numbers_reach_has_no_account),
		TEST(an_inflated_page_waits_in_a_young_block),
		TEST(a_page_is_counted_once),
		TEST(a_page_that_is_inflated_again_waits_again),
		TEST(a_complete_block_is_full_whatever_the_order),
		TEST(a_block_is_full_though_parts_of_it_were_released),
		TEST(a_full_block_that_loses_a_page_is_young),
		TEST(deflating_tells_what_had_waited),
		TEST(deflating_what_is_not_there_changes_nothing),
		TEST(young_blocks_become_old_and_old_ones_stay_it),
		TEST(an_old_block_that_is_completed_is_full),
		TEST(a_settled_block_stands_on_no_list),
		TEST(settling_reaches_over_holes_and_up_to_the_last_page),
		TEST(an_unlisted_block_waits_until_more_of_it_comes),
		TEST(clearing_empties_the_balloon),
		TEST(an_account_that_was_not_written_is_not_read),
		TEST(beside_what_was_written_nothing_is_read),
		TEST(blocks_are_found_in_order),
		TEST(runs_are_found_across_words),
		TEST(a_random_run_is_what_a_slow_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
