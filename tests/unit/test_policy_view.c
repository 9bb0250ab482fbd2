/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/constants.h"
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 30 % of 2 GiB, which is more than all else that a reserve of these guests is made of. */
#define CUSHION (UINT64_C(614))

static uint64_t demand_mib(const struct play *play)
{
	return (play->decisions[0].demand_bytes + MIB / 2) / MIB;
}

static uint64_t want_mib(const struct play *play)
{
	return play->decisions[0].want_bytes / MIB;
}

/* A guest that has 1 GiB of 2, and there is no more. */
static void begin_with(struct play *play, uint64_t need)
{
	play_begin(play, GIB);
	play_add(play, 2 * GIB, GIB, need);
	play_seconds(play, 2);
}

static void wants_a_part_of_its_maximum_beyond_its_demand(void **state)
{
	struct play play;

	(void)state;
	begin_with(&play, 200 * MIB);
	assert_in_range(want_mib(&play), 200 + CUSHION, 200 + CUSHION + 1);
	play.guests[0].rules.max_bytes = GIB + 512 * MIB;
	play_seconds(&play, 1);
	assert_in_range(want_mib(&play), 200 + CUSHION * 3 / 4, 200 + CUSHION * 3 / 4 + 1);
	play_end(&play);
}

static void is_not_short_when_its_cushion_is_eaten_into(void **state)
{
	struct play play;

	(void)state;
	begin_with(&play, (1024 - 200) * MIB); /* a third of the cushion, but all of 128 MiB */
	assert_false(play.decisions[0].pressured);
	play_end(&play);
}

static void who_hurts_wants_a_reserve_beyond_what_it_has(void **state)
{
	struct play play;

	(void)state;
	begin_with(&play, 200 * MIB);
	play.guests[0].swap_in_bytes += 100 * MIB;
	play_seconds(&play, 1);
	assert_int_equal(demand_mib(&play), 1024);
	assert_in_range(want_mib(&play), 1024 + CUSHION, 1024 + CUSHION + 1);
	play_end(&play);
}

static void who_killed_needs_more_than_the_size_it_had(void **state)
{
	struct play play;

	(void)state;
	begin_with(&play, 900 * MIB);
	play.guests[0].oom_kills++;
	play.needs[0] = 300 * MIB;
	play_seconds(&play, 100); /* the kill itself is distress for ten seconds only */
	assert_false(play.decisions[0].pressured);
	assert_int_equal(demand_mib(&play), 1024 + CUSHION);
	play_end(&play);
}

/* It reads 100 MiB of files in a second, and swaps @swap_in bytes in. */
static void read_back(struct play *play, uint64_t swap_in)
{
	begin_with(play, 400 * MIB);
	play->guests[0].cache_bytes = 500 * MIB;
	play_seconds(play, 1);
	assert_int_equal(demand_mib(play), 400);
	play->guests[0].major_faults += 100 * MIB / 4096;
	play->guests[0].swap_in_bytes += swap_in;
	play_seconds(play, 1);
	play_seconds(play, 1);
}

static void cache_that_is_read_back_is_needed(void **state)
{
	struct play play;

	(void)state;
	read_back(&play, 0);
	assert_in_range(demand_mib(&play), 895, 900);
	assert_non_null(strstr(play.decisions[0].text, " MiB cache in use)"));
	play_end(&play);
}

static void faults_of_swap_say_nothing_of_cache(void **state)
{
	struct play play;

	(void)state;
	read_back(&play, 100 * MIB);
	assert_int_equal(demand_mib(&play), 400);
	play_end(&play);
}

static void whose_first_statistics_cannot_be_true_is_believed_later(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 2 * GIB);
	play_add(&play, 2 * GIB, GIB, 500 * MIB);
	play.guests[0].resident_bytes = 50 * MIB; /* it would use what it never touched */
	play_seconds(&play, 3);
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_CLAIM);
	play.guests[0].resident_bytes = GIB;
	play_seconds(&play, 2);
	assert_int_equal(play.decisions[0].demand_bytes, 500 * MIB);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wants_a_part_of_its_maximum_beyond_its_demand),
		cmocka_unit_test(is_not_short_when_its_cushion_is_eaten_into),
		cmocka_unit_test(who_hurts_wants_a_reserve_beyond_what_it_has),
		cmocka_unit_test(who_killed_needs_more_than_the_size_it_had),
		cmocka_unit_test(cache_that_is_read_back_is_needed),
		cmocka_unit_test(faults_of_swap_say_nothing_of_cache),
		cmocka_unit_test(whose_first_statistics_cannot_be_true_is_believed_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
