/* SPDX-License-Identifier: BSD-3-Clause */
/* What a person reads. */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void names_what_is_needed_kept_wanted_had_and_done(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1300 * MIB);
	play_add(&play, 2 * GIB, 730 * MIB, 610 * MIB);
	play_seconds(&play, 1);
	assert_string_equal(play.decisions[0].text,
			    "needs 610 MiB, 614 MiB kept for bursts: 1225 MiB wanted, 730 MiB "
			    "had; gets 495 MiB");
	play_end(&play);
}

static void tells_of_growth_and_of_swap(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 500 * MIB);
	play_seconds(&play, 1);
	play.needs[0] = 610 * MIB; /* 110 MiB/s are in the class up to 128 */
	play.guests[0].swap_out_bytes = 40 * MIB;
	play_seconds(&play, 1);
	assert_string_equal(play.decisions[0].text,
			    "needed 650 MiB (40 MiB of it swapped out), 614 MiB kept for bursts "
			    "(grew 128 MiB/s at most): 1265 MiB wanted, 2048 MiB had; statistics "
			    "began anew, not taken from yet");
	play_end(&play);
}

static void says_so_when_nothing_is_known(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	play_add(&play, 2 * GIB, 730 * MIB, 610 * MIB);
	play.guests[0].taken_us = 0;
	play.guests[0].rules.max_bytes = 730 * MIB;
	play.silent[0] = true;
	play_seconds(&play, 1);
	assert_string_equal(
		play.decisions[0].text,
		"need unknown, 730 MiB had; statistics too old or absent, not taken from");
	play_end(&play);
}

static void the_longest_text_fits(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, POLICY_UNSET);
	play_add(&play, UINT64_MAX, UINT64_MAX, UINT64_MAX / 2);
	play.guests[0].swap_out_bytes = 0;
	play_seconds(&play, 1);
	play.guests[0].swap_out_bytes = UINT64_MAX / 2;
	play.needs[0] = UINT64_MAX / 4 * 3;
	play_seconds(&play, 1);
	assert_in_range(strlen(play.decisions[0].text), 100, POLICY_TEXT_MAX - 1);
	play_end(&play);
}

static void every_reason_has_its_own_name_and_a_help(void **state)
{
	(void)state;
	for (int i = 0; i < POLICY_REASON_COUNT; i++) {
		assert_non_null(policy_reason_name(i));
		assert_non_null(policy_reason_help(i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(policy_reason_name(i), policy_reason_name(j));
	}
	assert_string_equal(policy_reason_name(POLICY_REASON_COUNT), "unknown");
}

static void policies_are_found_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; policy_table[i]; i++)
		assert_ptr_equal(policy_find(policy_table[i]->name), policy_table[i]);
	assert_ptr_equal(policy_table[0], &policy_aerostat);
	assert_null(policy_find("none such"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_what_is_needed_kept_wanted_had_and_done),
		cmocka_unit_test(tells_of_growth_and_of_swap),
		cmocka_unit_test(says_so_when_nothing_is_known),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(every_reason_has_its_own_name_and_a_help),
		cmocka_unit_test(policies_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
