/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of guests under memory limits of their own. */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GROUPS 3

static struct policy_group groups[GROUPS];

/* A host with plenty of memory, and groups of these limits, none of them inside another. */
static void begin(struct play *play, const uint64_t *limits_mib, size_t count)
{
	play_begin(play, POLICY_UNSET);
	for (size_t i = 0; i < count; i++)
		groups[i] = (struct policy_group){ .limit_bytes = limits_mib[i] * MIB };
	play->host.groups = groups;
	play->host.group_count = count;
}

static size_t add(struct play *play, uint64_t boot_mib, uint64_t need_mib, uint64_t group)
{
	size_t index = play_add(play, boot_mib * MIB, boot_mib * MIB, need_mib * MIB);

	play->guests[index].group = group;
	return index;
}

/* The guests have touched all of their size; 40 MiB per process are the VMM's own. */
static void measure(struct play *play)
{
	for (size_t g = 0; g < play->host.group_count; g++)
		groups[g].available_bytes = groups[g].limit_bytes;
	for (size_t i = 0; i < play->count; i++) {
		struct policy_guest *guest = &play->guests[i];

		guest->ram_bytes = guest->actual_bytes;
		guest->resident_bytes = guest->actual_bytes + 40 * MIB;
		for (uint64_t g = guest->group; g; g = groups[g - 1].parent) {
			uint64_t *left = &groups[g - 1].available_bytes;

			*left -= *left < guest->resident_bytes ? *left : guest->resident_bytes;
		}
	}
}

static void live(struct play *play, int seconds)
{
	while (seconds-- > 0) {
		measure(play);
		play_seconds(play, 1);
	}
}

static uint64_t sum_of(const struct play *play, uint64_t group)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < play->count; i++)
		if (play->guests[i].group == group)
			sum += play->guests[i].actual_bytes + 40 * MIB;
	return sum;
}

/* A guest of 448 MiB below a limit of 420, on a host with 32 GiB available. */
static void a_guest_is_shrunk_before_its_limit_kills_it(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 420 }, 1);
	add(&play, 448, 120, 1);
	live(&play, 40);
	assert_true(sum_of(&play, 1) <= 420 * MIB);
	assert_true(play.guests[0].actual_bytes >= 152 * MIB);
	live(&play, 100);
	assert_true(sum_of(&play, 1) > 300 * MIB);
	play_end(&play);
}

static void guests_of_other_groups_and_of_none_are_left_alone(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 1500, 8000 }, 2);
	add(&play, 1024, 300, 1);
	add(&play, 1024, 300, 1);
	add(&play, 1024, 300, 2);
	add(&play, 1024, 300, 0);
	live(&play, 120);
	assert_true(sum_of(&play, 1) <= 1500 * MIB);
	assert_int_equal(play.guests[2].actual_bytes, GIB);
	assert_int_equal(play.guests[3].actual_bytes, GIB);
	play_end(&play);
}

/* Within its group a guest is as any guest: whoever needs more gets more. */
static void a_group_is_divided_by_need(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 1500 }, 1);
	add(&play, 1024, 700, 1);
	add(&play, 1024, 150, 1);
	live(&play, 120);
	assert_true(play.guests[0].actual_bytes > play.guests[1].actual_bytes + 300 * MIB);
	assert_true(play.guests[0].actual_bytes >= 700 * MIB);
	play_end(&play);
}

static void the_smaller_of_two_nested_limits_binds(void **state)
{
	struct play play;

	(void)state;
	for (int inner = 0; inner < 2; inner++) {
		begin(&play,
		      inner ? (const uint64_t[]){ 4000, 900 } : (const uint64_t[]){ 900, 4000 }, 2);
		groups[1].parent = 1;
		add(&play, 1024, 300, 2);
		live(&play, 100);
		assert_true(sum_of(&play, 2) <= 900 * MIB);
		play_end(&play);
	}
}

/* What an inner limit withholds is there for the others of the outer one. */
static void an_inner_limit_leaves_more_for_its_neighbours(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 1800, 500 }, 2);
	groups[1].parent = 1;
	add(&play, 1024, 600, 1);
	add(&play, 1024, 600, 2);
	live(&play, 200);
	assert_true(sum_of(&play, 2) <= 500 * MIB);
	assert_true(play.guests[0].actual_bytes > 900 * MIB);
	play_end(&play);
}

static void a_limit_that_changes_is_followed(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 2000 }, 1);
	add(&play, 1024, 300, 1);
	live(&play, 60);
	assert_int_equal(play.guests[0].actual_bytes, GIB);
	groups[0].limit_bytes = 800 * MIB;
	live(&play, 60);
	assert_true(sum_of(&play, 1) <= 800 * MIB);
	groups[0].limit_bytes = 2000 * MIB;
	live(&play, 60);
	assert_int_equal(play.guests[0].actual_bytes, GIB);
	play_end(&play);
}

static void a_guest_that_moves_to_another_group_is_under_that(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 2000, 700 }, 2);
	add(&play, 1024, 300, 1);
	live(&play, 60);
	assert_int_equal(play.guests[0].actual_bytes, GIB);
	play.guests[0].group = 2;
	live(&play, 60);
	assert_true(sum_of(&play, 2) <= 700 * MIB);
	play_end(&play);
}

static void a_limit_below_the_floors_is_overcommitted_and_named(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 4000, 200 }, 2);
	add(&play, 1024, 300, 1);
	add(&play, 1024, 300, 2);
	live(&play, 100);
	assert_true(play.outcome.overcommitted);
	assert_int_equal(play.outcome.short_group, 2);
	assert_true(play.guests[1].actual_bytes >= 232 * MIB);
	assert_int_equal(play.guests[0].actual_bytes, GIB);
	play_end(&play);
}

static void no_growth_exceeds_the_limit_however_urgent(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 1000 }, 1);
	add(&play, 2048, 300, 1);
	add(&play, 2048, 300, 1);
	for (int i = 0; i < 2; i++)
		play.guests[i].actual_bytes = play.guests[i].target_bytes = 400 * MIB;
	for (int second = 0; second < 60; second++) {
		play.needs[0] += 10 * MIB;
		live(&play, 1);
		assert_true(play.guests[0].target_bytes + play.guests[1].target_bytes <=
			    1000 * MIB);
	}
	play_end(&play);
}

static void the_text_names_the_limit(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 700 }, 1);
	add(&play, 1024, 500, 1);
	live(&play, 32);
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_LIMIT);
	assert_int_equal(play.decisions[0].limit_group, 1);
	assert_non_null(strstr(play.decisions[0].text, "the memory limit above its process"));
	live(&play, 60);
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_LIMIT);
	assert_non_null(strstr(play.decisions[0].text,
			       "; the memory limit above its process leaves its guests 625 MiB"));
	play_end(&play);
}

/* Nothing is known about what is left below the limit: it is a limit all the same. */
static void a_limit_of_unknown_use_still_binds(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 700 }, 1);
	add(&play, 1024, 600, 1);
	groups[0].available_bytes = POLICY_UNSET;
	play_seconds(&play, 60);
	assert_true(play.guests[0].actual_bytes <= 700 * MIB - 64 * MIB);
	play_end(&play);
}

static void numbers_of_groups_that_do_not_exist_are_none(void **state)
{
	struct play play;

	(void)state;
	begin(&play, (const uint64_t[]){ 300 }, 1);
	groups[0].parent = 1; /* its own */
	add(&play, 1024, 300, 7);
	play_seconds(&play, 60);
	assert_int_equal(play.guests[0].actual_bytes, GIB);
	play.guests[0].group = 1;
	groups[0].available_bytes = POLICY_UNSET;
	play_seconds(&play, 60);
	assert_true(play.guests[0].actual_bytes < GIB);
	play_end(&play);
}

/* Any worlds, with groups in any order of nesting: no group's use rises above its budget. */
static void no_step_takes_a_group_above_its_budget(void **state)
{
	(void)state;
	for (uint64_t seed = dice_seed(), end = seed + 500; seed < end; seed++) {
		struct world world;
		struct policy_state *policy;

		world_make(&world, seed, false);
		policy = policy_aerostat.create(&world.settings);
		for (uint64_t g = 0; g < GROUPS; g++)
			groups[g] =
				(struct policy_group){ .parent = dice_below(&world.dice, g + 1) };
		for (size_t i = 0; i < world.count; i++)
			world.guests[i].group = dice_below(&world.dice, GROUPS + 1);
		world.host.groups = groups;
		world.host.group_count = GROUPS;
		for (int second = 0; second < 100; second++) {
			for (int g = 0; g < GROUPS && second % 10 == 0; g++) {
				groups[g].limit_bytes = dice_between(&world.dice, 100, 9000) * MIB;
				groups[g].available_bytes = dice_below(&world.dice, 2000) * MIB;
			}
			world_live(&world);
			world_ask(&world, policy);
			world_check(&world);
			for (uint64_t g = 1; g <= GROUPS; g++)
				world_check_group(&world, g);
			world_apply(&world);
		}
		policy_aerostat.destroy(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_is_shrunk_before_its_limit_kills_it),
		cmocka_unit_test(guests_of_other_groups_and_of_none_are_left_alone),
		cmocka_unit_test(a_group_is_divided_by_need),
		cmocka_unit_test(the_smaller_of_two_nested_limits_binds),
		cmocka_unit_test(an_inner_limit_leaves_more_for_its_neighbours),
		cmocka_unit_test(a_limit_that_changes_is_followed),
		cmocka_unit_test(a_guest_that_moves_to_another_group_is_under_that),
		cmocka_unit_test(a_limit_below_the_floors_is_overcommitted_and_named),
		cmocka_unit_test(no_growth_exceeds_the_limit_however_urgent),
		cmocka_unit_test(the_text_names_the_limit),
		cmocka_unit_test(a_limit_of_unknown_use_still_binds),
		cmocka_unit_test(numbers_of_groups_that_do_not_exist_are_none),
		cmocka_unit_test(no_step_takes_a_group_above_its_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
