/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/constants.h"
#include "policy/need.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

#define E_TO_MINUS_1 0.375 /* as numbers.h has it */

static struct change quiet(double seconds)
{
	return (struct change){ .seconds = seconds };
}

static struct need needs(uint64_t bytes)
{
	struct need need = { 0 };

	need_start(&need, bytes);
	return need;
}

static uint64_t demand_mib(const struct need *need)
{
	return (uint64_t)(need->demand / (double)MIB + 0.5);
}

static void need_is_the_size_then_less_what_was_available(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, 700 * MIB, 300 * MIB, SECOND);

	(void)state;
	guest.actual_bytes = 500 * MIB; /* since */
	assert_int_equal(sample_need(&guest), 300 * MIB);
}

static void demand_rises_at_once(void **state)
{
	struct need need = needs(100 * MIB);
	struct change change = quiet(1);

	(void)state;
	assert_true(need_update(&need, 400 * MIB, &change, DEMAND_FALL_S) == 300.0 * (double)MIB);
	assert_int_equal(demand_mib(&need), 400);
}

static void demand_falls_within_two_minutes(void **state)
{
	struct need need = needs(1000 * MIB);
	struct change change = quiet(120);

	(void)state;
	assert_true(need_update(&need, 200 * MIB, &change, DEMAND_FALL_S) == 0);
	assert_int_equal(demand_mib(&need), 200 + 800 * E_TO_MINUS_1);
}

static void demand_of_a_guest_that_killed_is_held_for_a_while(void **state)
{
	struct need need = needs(800 * MIB);
	struct change kill = quiet(1), later = quiet(KILL_HOLD_S - 1), much_later = quiet(120);

	(void)state;
	kill.counters[COUNTER_OOM_KILLS] = 1;
	need_update(&need, 200 * MIB, &kill, DEMAND_FALL_S);
	need_update(&need, 200 * MIB, &later, DEMAND_FALL_S);
	assert_int_equal(demand_mib(&need), 800);
	need_update(&need, 200 * MIB, &much_later, DEMAND_FALL_S);
	assert_int_equal(demand_mib(&need), 200 + 600 * E_TO_MINUS_1);
}

static void what_was_swapped_out_is_needed(void **state)
{
	struct need need = needs(500 * MIB);
	struct change change = quiet(1);

	(void)state;
	change.counters[COUNTER_SWAP_OUT] = 200.0 * (double)MIB;
	need_update(&need, 300 * MIB, &change, DEMAND_FALL_S);
	assert_int_equal(demand_mib(&need), 500);
}

static void what_was_read_back_is_no_longer_hidden(void **state)
{
	struct need need = needs(500 * MIB);
	struct change out = quiet(1), in = quiet(1);

	(void)state;
	out.counters[COUNTER_SWAP_OUT] = 200.0 * (double)MIB;
	in.counters[COUNTER_SWAP_IN] = 300.0 * (double)MIB;
	need_update(&need, 300 * MIB, &out, DEMAND_FALL_S);
	need_update(&need, 500 * MIB, &in, DEMAND_FALL_S);
	assert_true(need.swapped == 0);
}

static void what_stays_swapped_is_forgotten(void **state)
{
	struct need need = needs(0);
	struct change out = quiet(1), later = quiet(600);

	(void)state;
	out.counters[COUNTER_SWAP_OUT] = 800.0 * (double)MIB;
	need_update(&need, 0, &out, DEMAND_FALL_S);
	need_update(&need, 0, &later, DEMAND_FALL_S);
	assert_true(need.swapped == 800.0 * (double)MIB * E_TO_MINUS_1);
}

static void a_reset_forgets_swap_but_no_demand(void **state)
{
	struct need need = needs(500 * MIB);
	struct change out = quiet(1);

	(void)state;
	out.counters[COUNTER_SWAP_OUT] = 200.0 * (double)MIB;
	need_update(&need, 500 * MIB, &out, DEMAND_FALL_S);
	need_start(&need, 100 * MIB);
	assert_true(need.swapped == 0);
	assert_int_equal(demand_mib(&need), 700);
}

static void cache_in_use_is_needed_and_forgotten(void **state)
{
	struct need need = needs(300 * MIB);
	struct change change = quiet(0.001), later = quiet(600);

	(void)state;
	need_note_hot_cache(&need, 400 * MIB);
	need_update(&need, 300 * MIB, &change, DEMAND_FALL_S);
	assert_int_equal(demand_mib(&need), 700);
	need_note_hot_cache(&need,
			    100 * MIB); /* of what it has dropped since, nothing is forgotten */
	need_update(&need, 300 * MIB, &change, DEMAND_FALL_S);
	assert_int_equal(demand_mib(&need), 700);
	need_update(&need, 300 * MIB, &later, DEMAND_FALL_S);
	assert_in_range(need.cached / (double)MIB, 149, 150); /* 400 * E_TO_MINUS_1 */
	need_start(&need, 300 * MIB);
	assert_true(need.cached == 0);
}

static void statistics_are_fresh_for_five_seconds(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 0, 10 * SECOND);

	(void)state;
	assert_true(sample_is_fresh(&guest, 15 * SECOND));
	assert_false(sample_is_fresh(&guest, 15 * SECOND + 1));
}

static void statistics_are_fresh_for_three_long_periods(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 0, 10 * SECOND);

	(void)state;
	guest.period_us = 4 * SECOND;
	assert_true(sample_is_fresh(&guest, 22 * SECOND));
	assert_false(sample_is_fresh(&guest, 22 * SECOND + 1));
}

static void statistics_of_the_future_or_none_are_not_fresh(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 0, 10 * SECOND);

	(void)state;
	assert_false(sample_is_fresh(&guest, 9 * SECOND));
	guest.available_bytes = POLICY_UNSET;
	assert_false(sample_is_fresh(&guest, 10 * SECOND));
	guest = world_guest(1, GIB, GIB, 0, 0);
	assert_false(sample_is_fresh(&guest, 1));
}

static enum sample_news take(struct sample *last, struct policy_guest guest, struct change *change)
{
	return sample_update(last, &guest, guest.taken_us, change);
}

static void counters_become_changes(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 0, 10 * SECOND);
	struct sample last = { 0 };
	struct change change;

	(void)state;
	assert_int_equal(take(&last, guest, &change), SAMPLE_FIRST);
	assert_int_equal(take(&last, guest, &change), SAMPLE_NONE);
	guest.taken_us = 12 * SECOND;
	guest.major_faults = 50;
	guest.oom_kills = POLICY_UNSET;
	assert_int_equal(take(&last, guest, &change), SAMPLE_NEXT);
	assert_true(change.seconds == 2);
	assert_true(change_rate(&change, COUNTER_MAJOR_FAULTS) == 25);
	assert_true(change.counters[COUNTER_OOM_KILLS] == 0);
}

static void counters_that_run_backwards_begin_anew(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 0, 10 * SECOND);
	struct sample last = { 0 };
	struct change change;

	(void)state;
	guest.swap_in_bytes = 5;
	take(&last, guest, &change);
	guest.taken_us = 11 * SECOND;
	guest.swap_in_bytes = 4;
	assert_int_equal(take(&last, guest, &change), SAMPLE_FIRST);
	guest.taken_us = 10 * SECOND;
	assert_int_equal(take(&last, guest, &change), SAMPLE_FIRST);
}

static void more_available_than_there_is_contradicts(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, 512 * MIB, 0, SECOND);
	struct policy_host host = world_host(64 * GIB, 32 * GIB, SECOND);

	(void)state;
	/* 64 MiB and 1/20 of 1 GiB are let pass. */
	guest.available_bytes = (512 + 64 + 51) * MIB;
	assert_false(sample_contradicts(&guest, &host));
	guest.available_bytes += MIB;
	assert_true(sample_contradicts(&guest, &host));
	guest.available_bytes = 500 * MIB;
	guest.total_bytes = 499 * MIB;
	assert_true(sample_contradicts(&guest, &host));
}

static void using_what_was_never_touched_contradicts(void **state)
{
	struct policy_guest guest = world_guest(1, GIB, GIB, 900 * MIB, SECOND);
	struct policy_host host = world_host(64 * GIB, 32 * GIB, SECOND);

	(void)state;
	guest.resident_bytes = 500 * MIB;
	assert_true(sample_contradicts(&guest, &host));
	host.swap_used_bytes = 300 * MIB; /* some of it may be this guest's */
	assert_false(sample_contradicts(&guest, &host));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(need_is_the_size_then_less_what_was_available),
		cmocka_unit_test(demand_rises_at_once),
		cmocka_unit_test(demand_falls_within_two_minutes),
		cmocka_unit_test(demand_of_a_guest_that_killed_is_held_for_a_while),
		cmocka_unit_test(what_was_swapped_out_is_needed),
		cmocka_unit_test(what_was_read_back_is_no_longer_hidden),
		cmocka_unit_test(what_stays_swapped_is_forgotten),
		cmocka_unit_test(a_reset_forgets_swap_but_no_demand),
		cmocka_unit_test(cache_in_use_is_needed_and_forgotten),
		cmocka_unit_test(statistics_are_fresh_for_five_seconds),
		cmocka_unit_test(statistics_are_fresh_for_three_long_periods),
		cmocka_unit_test(statistics_of_the_future_or_none_are_not_fresh),
		cmocka_unit_test(counters_become_changes),
		cmocka_unit_test(counters_that_run_backwards_begin_anew),
		cmocka_unit_test(more_available_than_there_is_contradicts),
		cmocka_unit_test(using_what_was_never_touched_contradicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
