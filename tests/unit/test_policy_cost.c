/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking is given up where the host gets nothing back, and nowhere else. */
#include "policy/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_play.h"

/* A guest whose size the test changes. */
struct shrink {
	struct cost cost;
	uint64_t size, ram; /* MiB */
	int64_t now_s;
};

static void note(struct shrink *shrink)
{
	shrink->now_s++;
	cost_update(&shrink->cost, shrink->size * MIB, shrink->ram * MIB, shrink->now_s * SECOND);
}

static void rest(struct shrink *shrink, int seconds)
{
	while (seconds-- > 0)
		note(shrink);
}

static struct shrink begin(uint64_t size, uint64_t ram)
{
	struct shrink shrink = { .size = size, .ram = ram, .now_s = 1000 };

	rest(&shrink, 40);
	return shrink;
}

static bool is_vain(const struct shrink *shrink)
{
	return cost_is_vain(&shrink->cost, shrink->now_s * SECOND);
}

static void what_does_not_come_back_ends_the_taking(void **state)
{
	struct shrink shrink = begin(220, 220);

	(void)state;
	shrink.size = 150;
	rest(&shrink, 9);
	assert_false(is_vain(&shrink)); /* it may still come */
	rest(&shrink, 21);
	assert_true(is_vain(&shrink));
	assert_int_equal(shrink.cost.taken, 70 * MIB);
	assert_int_equal(shrink.cost.returned, 0);
}

/* Huge pages of a balloon that the guest touches again: 234 MiB became 296. */
static void so_does_a_cost_that_rises(void **state)
{
	struct shrink shrink = begin(220, 220);

	(void)state;
	shrink.size = 150;
	for (int second = 0; second < 30; second++) {
		shrink.ram += 2;
		note(&shrink);
	}
	assert_true(is_vain(&shrink));
}

static void so_does_an_eighth_that_comes_back(void **state)
{
	struct shrink shrink = begin(1024, 1024);

	(void)state;
	for (int second = 0; second < 60 && !is_vain(&shrink); second++) {
		shrink.size -= 8;
		shrink.ram -= 1;
		note(&shrink);
	}
	assert_true(is_vain(&shrink));
	assert_in_range(shrink.cost.returned, 0, shrink.cost.taken / 4);
}

static void what_comes_back_within_seconds_is_waited_for(void **state)
{
	struct shrink shrink = begin(1024, 1024);
	uint64_t past[8] = { 1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024 };

	(void)state;
	/* Fast, and measured 8 s late. */
	for (int second = 0; second < 60; second++) {
		if (shrink.size > 260)
			shrink.size -= 64;
		shrink.ram = past[second % 8];
		past[second % 8] = shrink.size;
		note(&shrink);
		assert_false(is_vain(&shrink));
	}
}

static void untouched_memory_cannot_come_back(void **state)
{
	struct shrink shrink = begin(1024, 300);

	(void)state;
	for (int second = 0; second < 100; second++) {
		if (shrink.size > 310)
			shrink.size -= 10;
		note(&shrink);
		assert_false(is_vain(&shrink));
	}
}

/* It fills its untouched memory while the balloon takes as much from elsewhere. */
static void a_guest_may_use_more_meanwhile(void **state)
{
	struct shrink shrink = begin(1024, 500);

	(void)state;
	for (int second = 0; second < 100; second++) {
		if (shrink.size > 600)
			shrink.size -= 10;
		if (shrink.ram < shrink.size)
			shrink.ram += 7;
		if (shrink.ram > shrink.size)
			shrink.ram = shrink.size;
		note(&shrink);
		assert_false(is_vain(&shrink));
	}
}

/* The pages of an old balloon are in memory after a migration: that is not this taking. */
static void what_was_in_excess_before_does_not_count(void **state)
{
	struct shrink shrink = begin(500, 1024);

	(void)state;
	for (int second = 0; second < 60; second++) {
		if (shrink.size > 300) {
			shrink.size -= 10;
			shrink.ram -= 10;
		}
		note(&shrink);
		assert_false(is_vain(&shrink));
	}
}

static void a_cost_that_is_not_known_proves_nothing(void **state)
{
	struct cost cost = { 0 };

	(void)state;
	for (int64_t second = 1; second < 100; second++)
		cost_update(&cost, (uint64_t)(1000 - second) * MIB, POLICY_UNSET, second * SECOND);
	assert_false(cost_is_vain(&cost, 100 * SECOND));
}

static void it_is_tried_again_after_an_hour(void **state)
{
	struct shrink shrink = begin(1024, 1024);

	(void)state;
	shrink.size = 900;
	rest(&shrink, 30);
	assert_true(is_vain(&shrink));
	rest(&shrink, 3600);
	assert_false(is_vain(&shrink));
	shrink.size = 800;
	shrink.ram = 924; /* now it works */
	rest(&shrink, 60);
	assert_false(is_vain(&shrink));
	shrink.size = 700;
	rest(&shrink, 60);
	assert_true(is_vain(&shrink));
}

/* The whole policy: it takes until it sees that, and then no more; the text has the numbers. */
static void the_policy_stops_and_gives_the_numbers(void **state)
{
	struct play play;
	uint64_t stopped;

	(void)state;
	play_begin(&play, 1300 * MIB);
	play_add(&play, 2 * GIB, 2 * GIB, 610 * MIB);
	play.guests[0].ram_bytes = 2 * GIB;
	play.balloon_per_s[0] = 20 * MIB;
	play_seconds(&play, 60);
	assert_int_equal(play.decisions[0].reason, POLICY_REASON_COST);
	assert_non_null(strstr(play.decisions[0].text, "the host got back 0 MiB of the "));
	stopped = play.guests[0].actual_bytes;
	assert_true(stopped > GIB);
	play_seconds(&play, 3000);
	assert_int_equal(play.guests[0].actual_bytes, stopped);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_come_back_ends_the_taking),
		cmocka_unit_test(so_does_a_cost_that_rises),
		cmocka_unit_test(so_does_an_eighth_that_comes_back),
		cmocka_unit_test(what_comes_back_within_seconds_is_waited_for),
		cmocka_unit_test(untouched_memory_cannot_come_back),
		cmocka_unit_test(a_guest_may_use_more_meanwhile),
		cmocka_unit_test(what_was_in_excess_before_does_not_count),
		cmocka_unit_test(a_cost_that_is_not_known_proves_nothing),
		cmocka_unit_test(it_is_tried_again_after_an_hour),
		cmocka_unit_test(the_policy_stops_and_gives_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
