/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define OURS POLICY_CAN_ALL
#define STOCK (POLICY_CAN_REPORT | POLICY_CAN_RELIEVE)

/* Two guests of 4 GiB that have 2 GiB each, need 900 MiB, and cost the host 1 GiB. */
static void begin(struct play *play, uint64_t abilities)
{
	play_begin(play, 4 * GIB);
	for (int i = 0; i < 2; i++) {
		play_add(play, 4 * GIB, 2 * GIB, 900 * MIB);
		play->guests[i].abilities = abilities;
		play->guests[i].resident_bytes = GIB;
	}
}

static void what_guests_do_not_use_is_lent_except_for_the_pool(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play_seconds(&play, 1);
	assert_int_equal(play.outcome.lent_bytes + play.outcome.pool_bytes, 2 * GIB);
	assert_int_equal(play.outcome.pool_bytes / MIB, 614); /* 15 % of the largest */
	play_end(&play);
}

static void a_guest_that_does_not_report_counts_with_its_size(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS & ~POLICY_CAN_REPORT);
	play_seconds(&play, 1);
	assert_int_equal(play.outcome.lent_bytes, 0);
	assert_int_equal(play.outcome.pool_bytes, 0);
	play_end(&play);
}

static void what_the_host_swapped_out_is_not_lent(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play.host.swap_used_bytes = 3 * GIB;
	play_seconds(&play, 1);
	assert_int_equal(play.outcome.lent_bytes, 0);
	play_end(&play);
}

static void of_guests_without_a_gate_a_fifth_stays(void **state)
{
	struct play play;

	(void)state;
	begin(&play, STOCK);
	play_seconds(&play, 1);
	assert_in_range(play.outcome.lent_bytes + play.outcome.pool_bytes, GIB * 16 / 10 - MIB,
			GIB * 16 / 10);
	play_end(&play);
}

static void a_host_that_stalls_lends_nothing(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play.host.critical = true;
	play_seconds(&play, 1);
	assert_int_equal(play.outcome.lent_bytes, 0);
	play_end(&play);
}

static void only_a_guest_with_a_gate_gets_a_credit(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play.guests[1].abilities &= ~(uint64_t)POLICY_CAN_GATE;
	play_seconds(&play, 1);
	assert_true(play.decisions[0].credit_bytes > 0);
	assert_true(play.decisions[0].ceiling_bytes <= 4 * GIB);
	assert_true(play.decisions[1].credit_bytes == POLICY_UNSET);
	assert_true(play.decisions[1].ceiling_bytes == POLICY_UNSET);
	play_end(&play);
}

/* Both guests use all that they have, so the host has 4 GiB less that. */
static void credits_are_what_nobody_else_was_promised(void **state)
{
	struct play play;
	uint64_t used = 0, credits = 0;

	(void)state;
	begin(&play, OURS);
	for (int i = 0; i < 2; i++) {
		play.guests[i].resident_bytes = play.guests[i].actual_bytes = 1700 * MIB;
		play.guests[i].target_bytes = 1700 * MIB;
	}
	play_seconds(&play, 1);
	for (int i = 0; i < 2; i++) {
		used += play.guests[i].target_bytes;
		credits += play.decisions[i].credit_bytes;
	}
	assert_true(used + credits <= 4 * GIB);
	assert_true(used + credits >= 4 * GIB - 8 * MIB);
	play_end(&play);
}

static void pull(struct play *play, size_t i, uint64_t bytes)
{
	play->guests[i].actual_bytes += bytes;
	play->guests[i].resident_bytes += bytes;
	play->guests[i].pulled_bytes += bytes;
}

static void what_a_guest_takes_back_becomes_its_target(void **state)
{
	const uint64_t abilities[] = { OURS, STOCK, POLICY_CAN_RELIEVE };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct play play;

		begin(&play, abilities[i]);
		play_seconds(&play, 1);
		play.dead[0] = true; /* its driver rests */
		play.guests[0].target_bytes = 2 * GIB;
		pull(&play, 0, 256 * MIB);
		play_seconds(&play, 1);
		assert_true(play.guests[0].target_bytes >= 2 * GIB + 256 * MIB);
		assert_non_null(strstr(play.decisions[0].text, "took back 256 MiB by itself"));
		for (int second = 0; second < 10; second++) {
			play_seconds(&play, 1);
			assert_int_not_equal(play.decisions[0].reason, POLICY_REASON_INACTIVE);
			assert_int_not_equal(play.decisions[0].reason, POLICY_REASON_REGRET);
		}
		play_end(&play);
	}
}

/* It counts nothing: the balloon has emptied because the guest boots. */
static void a_boot_is_no_need_for_all_memory(void **state)
{
	struct play play;
	uint64_t demand;

	(void)state;
	begin(&play, OURS);
	play_seconds(&play, 1);
	demand = play.decisions[0].demand_bytes;
	play.dead[0] = true;
	play.guests[0].actual_bytes = play.guests[0].boot_bytes;
	play_seconds(&play, 1);
	assert_null(strstr(play.decisions[0].text, "by itself"));
	assert_true(play.decisions[0].demand_bytes < demand + 256 * MIB);
	play_end(&play);
}

static void a_guest_that_cannot_take_back_is_not_believed_to(void **state)
{
	struct play play;

	(void)state;
	begin(&play, POLICY_CAN_REPORT);
	play_seconds(&play, 1);
	play.dead[0] = true;
	play.guests[0].actual_bytes += 256 * MIB;
	play_seconds(&play, 1);
	assert_null(strstr(play.decisions[0].text, "by itself"));
	assert_true(play.decisions[0].demand_bytes < GIB);
	play_end(&play);
}

static void nothing_is_kept_beyond_a_configured_maximum(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play.guests[0].rules.max_bytes = 2 * GIB + 64 * MIB;
	play_seconds(&play, 1);
	play.dead[0] = true;
	pull(&play, 0, 256 * MIB);
	play_seconds(&play, 1);
	assert_int_equal(play.guests[0].target_bytes, 2 * GIB + 64 * MIB);
	play_end(&play);
}

/*
 * Guest 0 claims to need all that it has, and takes what its gate gives.  The other has its demand
 * of about 1000 MiB, and all of the budget is 4 GiB.
 */
static void a_guest_that_takes_back_for_ever_is_bounded_by_its_ceiling(void **state)
{
	struct play play;
	uint64_t highest = 0;

	(void)state;
	begin(&play, OURS);
	for (int second = 0; second < 600; second++) {
		play.needs[0] = play.guests[0].actual_bytes;
		play_seconds(&play, 1);
		assert_true(play.guests[0].actual_bytes + play.decisions[0].credit_bytes <=
				    play.decisions[0].ceiling_bytes ||
			    !play.decisions[0].credit_bytes);
		play.guests[0].actual_bytes =
			play.guests[0].actual_bytes < play.guests[0].target_bytes
				? play.guests[0].target_bytes
				: play.guests[0].actual_bytes;
		if (play.decisions[0].credit_bytes)
			highest = play.decisions[0].ceiling_bytes > highest
					  ? play.decisions[0].ceiling_bytes
					  : highest;
		pull(&play, 0, play.decisions[0].credit_bytes);
		play.guests[0].resident_bytes = play.guests[0].actual_bytes;
		play.guests[0].target_bytes = play.guests[0].actual_bytes;
		assert_true(play.guests[1].target_bytes >= 900 * MIB);
	}
	assert_in_range(play.guests[0].actual_bytes, 2 * GIB, highest);
	assert_true(highest < 4 * GIB - 600 * MIB);
	play_end(&play);
}

/* Not for less than an eighth of its size: 10 s after it was last in need. */
static void who_takes_memory_back_is_shrunk_sooner(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play_seconds(&play, 9);
	assert_int_equal(play.guests[0].target_bytes, 2 * GIB);
	play.settings.budget_bytes = 2 * GIB;
	policy_aerostat.configure(play.state, &play.settings);
	play_seconds(&play, 6);
	assert_true(play.guests[0].target_bytes < 2 * GIB);
	play_end(&play);
}

/* All could take the same, and there is not enough for all; one did so a moment ago. */
static void most_credit_goes_to_who_just_took_memory_back(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, 4 * GIB);
	for (int i = 0; i < 4; i++) {
		play_add(&play, 4 * GIB, GIB, 900 * MIB);
		play.guests[i].abilities = OURS;
		play.guests[i].resident_bytes = 900 * MIB;
		play.dead[i] = true;
	}
	play_seconds(&play, 1);
	for (int i = 1; i < 4; i++)
		assert_int_equal(play.decisions[i].credit_bytes / MIB,
				 play.decisions[0].credit_bytes / MIB);
	pull(&play, 0, 64 * MIB);
	play_seconds(&play, 1);
	for (int i = 1; i < 4; i++)
		assert_true(play.decisions[0].credit_bytes > 2 * play.decisions[i].credit_bytes);
	play_seconds(&play, 1);
	for (int i = 1; i < 4; i++)
		assert_int_equal(play.decisions[i].credit_bytes / MIB,
				 play.decisions[0].credit_bytes / MIB);
	play_end(&play);
}

/* The others demand all that there is, but do not hold it. */
static void a_ceiling_leaves_a_waiting_guest_half_of_what_is_left(void **state)
{
	struct play play;
	uint64_t has;

	(void)state;
	begin(&play, OURS);
	play.needs[0] = 1900 * MIB;
	play.needs[1] = 3 * GIB;
	play.guests[1].actual_bytes = play.guests[1].target_bytes = 3 * GIB;
	for (int i = 0; i < 2; i++)
		play.guests[i].resident_bytes = GIB;
	play_seconds(&play, 1);
	has = play.guests[0].target_bytes > play.guests[0].actual_bytes
		      ? play.guests[0].target_bytes
		      : play.guests[0].actual_bytes;
	assert_true(play.decisions[0].ceiling_bytes > has + 64 * MIB);
	play_end(&play);
}

/* Their sizes do not matter as long as they do not use them, but they may begin to. */
static void growth_to_come_and_credits_fit_into_what_there_is(void **state)
{
	struct play play;
	uint64_t promised = 0;

	(void)state;
	begin(&play, OURS);
	for (int i = 0; i < 2; i++) {
		play.needs[i] = 2 * GIB;
		play.guests[i].resident_bytes = 1900 * MIB;
		play.dead[i] = true;
	}
	play_seconds(&play, 3);
	for (int i = 0; i < 2; i++) {
		promised += 1900 * MIB + play.decisions[i].credit_bytes;
		if (play.guests[i].target_bytes > play.guests[i].actual_bytes)
			promised += play.guests[i].target_bytes - play.guests[i].actual_bytes;
	}
	assert_true(promised <= 4 * GIB);
	assert_true(promised >= 4 * GIB - 8 * MIB);
	play_end(&play);
}

/* Two guests with the same need, one of which began to use memory a second ago. */
static uint64_t credit_beside_growth(uint64_t grown_bytes)
{
	struct play play;
	uint64_t credit;

	begin(&play, OURS);
	play.guests[0].resident_bytes -= grown_bytes;
	play.dead[0] = play.dead[1] = true;
	play_seconds(&play, 1);
	play.guests[0].resident_bytes += grown_bytes;
	play_seconds(&play, 1);
	credit = play.decisions[1].credit_bytes + play.decisions[0].credit_bytes;
	play_end(&play);
	return credit;
}

static void a_guest_whose_memory_grows_will_use_what_it_has(void **state)
{
	uint64_t quiet, growing;

	(void)state;
	quiet = credit_beside_growth(0);
	growing = credit_beside_growth(300 * MIB);
	assert_in_range((quiet - growing) / MIB, 299, 301);
}

/* Until it has reached its new size, that counts as used by nobody else. */
static void what_a_guest_does_not_use_of_its_target_is_lent_too(void **state)
{
	struct play play;

	(void)state;
	begin(&play, OURS);
	play.guests[0].target_bytes = 3 * GIB;
	play.dead[0] = true;
	play_seconds(&play, 1);
	assert_int_equal(play.outcome.lent_bytes + play.outcome.pool_bytes, 3 * GIB);
	play_end(&play);
}

/* It may take what it uses; a target would keep more from others than that. */
static void a_guest_that_asks_gets_nothing_of_the_pool_in_advance(void **state)
{
	uint64_t targets[2];

	(void)state;
	for (int gated = 0; gated < 2; gated++) {
		struct play play;

		begin(&play, gated ? OURS : OURS & ~POLICY_CAN_GATE);
		for (int i = 0; i < 2; i++) {
			play.needs[i] = 1900 * MIB;
			play.guests[i].resident_bytes = 1900 * MIB;
		}
		play_seconds(&play, 2);
		play.guests[0].psi_some_us += 500000;
		play_seconds(&play, 1);
		targets[gated] = play.guests[0].target_bytes;
		play_end(&play);
	}
	assert_true(targets[0] > targets[1]);
}

/* It needed 1900 MiB once. */
static void demand_falls_faster_while_the_host_is_short(void **state)
{
	uint64_t demand[2];

	(void)state;
	for (int is_short = 0; is_short < 2; is_short++) {
		struct play play;

		begin(&play, OURS);
		play.host.available_bytes = (is_short ? 15 : 17) * GIB; /* of 64 */
		play.needs[0] = play.guests[0].resident_bytes = 1900 * MIB;
		play_seconds(&play, 2);
		play.needs[0] = 900 * MIB;
		play_seconds(&play, 6);
		demand[is_short] = play.decisions[0].demand_bytes;
		play_end(&play);
	}
	assert_true(demand[0] > 1500 * MIB);
	assert_true(demand[1] < 1300 * MIB);
}

/* With its cushion, of 30 % of 4 GiB, it wants 900 + 1229 MiB. */
static void only_who_asks_and_reports_has_no_cushion_while_the_host_is_short(void **state)
{
	const uint64_t abilities[] = { OURS, OURS, OURS & ~POLICY_CAN_GATE,
				       OURS & ~POLICY_CAN_REPORT };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct play play;

		begin(&play, abilities[i]);
		play.host.available_bytes = (i ? 9 : 12) * GIB; /* of 64 */
		play_seconds(&play, 1);
		assert_int_equal(play.decisions[0].want_bytes > 2000 * MIB, i != 1);
		play_end(&play);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_guests_do_not_use_is_lent_except_for_the_pool),
		cmocka_unit_test(a_guest_that_does_not_report_counts_with_its_size),
		cmocka_unit_test(what_the_host_swapped_out_is_not_lent),
		cmocka_unit_test(of_guests_without_a_gate_a_fifth_stays),
		cmocka_unit_test(a_host_that_stalls_lends_nothing),
		cmocka_unit_test(only_a_guest_with_a_gate_gets_a_credit),
		cmocka_unit_test(credits_are_what_nobody_else_was_promised),
		cmocka_unit_test(what_a_guest_takes_back_becomes_its_target),
		cmocka_unit_test(a_boot_is_no_need_for_all_memory),
		cmocka_unit_test(a_guest_that_cannot_take_back_is_not_believed_to),
		cmocka_unit_test(nothing_is_kept_beyond_a_configured_maximum),
		cmocka_unit_test(a_guest_that_takes_back_for_ever_is_bounded_by_its_ceiling),
		cmocka_unit_test(who_takes_memory_back_is_shrunk_sooner),
		cmocka_unit_test(most_credit_goes_to_who_just_took_memory_back),
		cmocka_unit_test(a_ceiling_leaves_a_waiting_guest_half_of_what_is_left),
		cmocka_unit_test(growth_to_come_and_credits_fit_into_what_there_is),
		cmocka_unit_test(a_guest_whose_memory_grows_will_use_what_it_has),
		cmocka_unit_test(what_a_guest_does_not_use_of_its_target_is_lent_too),
		cmocka_unit_test(a_guest_that_asks_gets_nothing_of_the_pool_in_advance),
		cmocka_unit_test(demand_falls_faster_while_the_host_is_short),
		cmocka_unit_test(only_who_asks_and_reports_has_no_cushion_while_the_host_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
