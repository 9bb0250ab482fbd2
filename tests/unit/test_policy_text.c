/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of decisions, and the names of reasons and policies. */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void gives_need_reserve_want_size_and_change(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1300 * MIB);
	play_add(&play, 2 * GIB, 730 * MIB, 610 * MIB);
	play_seconds(&play, 1);
	assert_string_equal(
		play.decisions[0].text,
		"needs 610 MiB, plus a reserve of 614 MiB: wants 1225 MiB, has 730 MiB; "
		"gets 495 MiB");
	play_end(&play);
}

static void mentions_growth_and_swap(void **state)
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
			    "lately needed 650 MiB (40 MiB swapped out), plus a reserve of 614 MiB "
			    "(peak growth 128 MiB/s): wants 1265 MiB, has 2048 MiB; its statistics "
			    "have just started, not shrunk yet");
	play_end(&play);
}

static void mentions_that_the_need_is_not_known(void **state)
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
		"need not known, has 730 MiB; it has reported no statistics, not shrunk");
	play_end(&play);
}

/* Far below its want, at its ideal: it has what is left, not what it wants. */
static void says_that_the_budget_is_used(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 1500 * MIB);
	play_add(&play, 2 * GIB, 800 * MIB, 610 * MIB);
	play_add(&play, 2 * GIB, 700 * MIB, 600 * MIB);
	play.guests[1].rules.mode = POLICY_HELD;
	play_seconds(&play, 35);
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_SHARE);
	assert_string_equal(
		play.decisions[0].text,
		"needs 610 MiB, plus a reserve of 614 MiB: wants 1225 MiB, has 800 MiB; "
		"the budget is used: 1500 MiB for all guests");
	play_end(&play);
}

static void says_that_it_has_a_surplus(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 8 * GIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play_seconds(&play, 60);
	play.guests[0].rules.max_bytes = POLICY_UNSET;
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_BOUND);
	play_add(&play, 4 * GIB, GIB, 300 * MIB);
	play.settings.budget_bytes = 4500 * MIB;
	policy_aerostat.configure(play.state, &play.settings);
	play_seconds(&play, 300);
	assert_int_equal(play.decisions[1].reason, POLICY_REASON_SURPLUS);
	assert_non_null(strstr(play.decisions[1].text, "; keeps a share of the surplus"));
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

static void every_reason_has_a_name_of_its_own_and_a_help(void **state)
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
		cmocka_unit_test(gives_need_reserve_want_size_and_change),
		cmocka_unit_test(mentions_growth_and_swap),
		cmocka_unit_test(mentions_that_the_need_is_not_known),
		cmocka_unit_test(says_that_the_budget_is_used),
		cmocka_unit_test(says_that_it_has_a_surplus),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(every_reason_has_a_name_of_its_own_and_a_help),
		cmocka_unit_test(policies_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
