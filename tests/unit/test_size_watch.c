/* SPDX-License-Identifier: BSD-3-Clause */
/* Who moves a guest's size: a person who goes past the daemon, or the guest's balloon itself. */
#include "aerostatd/size_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define S G_USEC_PER_SEC
#define MAX_MIB 1024
#define TARGET_MIB 512

static struct size_watch watch;
static int64_t now_us;
static uint64_t faults; /* HV_UNSET: the guest reports no counters */
static int64_t heard_us;
static bool deflates;

/* A second later the guest has @mib.  Returns whether somebody was seen to have resized it. */
static bool has(uint64_t mib)
{
	struct hv_stats stats;
	struct size_sight sight = {
		.actual_bytes = mib * MIB,
		.max_bytes = MAX_MIB * MIB,
		.stats = &stats,
		.grows_alone = deflates,
	};

	now_us += S;
	sight.now_us = sight.info_us = now_us;
	sight.heard_us = heard_us ? heard_us : now_us;
	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats.value[i] = HV_UNSET;
	stats.value[HV_STAT_MINOR_FAULT] = faults;
	return size_watch_take(&watch, &sight);
}

static bool has_for(uint64_t mib, int seconds)
{
	bool resized = false;

	while (seconds--)
		resized |= has(mib);
	return resized;
}

/* From now on its statistics are those of now. */
static void goes_silent(void)
{
	heard_us = now_us;
}

static void is_heard_again(void)
{
	heard_us = 0;
}

static int set_up(void **state)
{
	(void)state;
	now_us = 1000 * S;
	faults = 1000;
	heard_us = 0;
	deflates = false;
	size_watch_init(&watch);
	has_for(MAX_MIB, 5);
	size_watch_set_target(&watch, TARGET_MIB * MIB, now_us);
	has_for(TARGET_MIB, 5);
	return 0;
}

/* Its balloon is empty, and fills by @mib_s; every 100 MiB it pauses for @pause_s. */
static bool refills(uint64_t mib_s, int pause_s)
{
	bool resized = false;

	for (uint64_t mib = MAX_MIB; mib > TARGET_MIB; mib -= MIN(mib_s, mib - TARGET_MIB)) {
		resized |= has(mib);
		if ((MAX_MIB - mib) % 100 < mib_s)
			resized |= has_for(mib, pause_s);
	}
	return resized | has_for(TARGET_MIB, 20);
}

static void what_a_guest_takes_back_by_itself_is_counted(void **state)
{
	(void)state;
	deflates = true;
	has(TARGET_MIB + 64);
	has(TARGET_MIB + 64);
	has(TARGET_MIB + 128);
	has(TARGET_MIB + 128);
	assert_int_equal(watch.pulled_bytes >> 20, 128);
	/* It is given that as its target, and more, which is no pull. */
	size_watch_set_target(&watch, (TARGET_MIB + 256) * MIB, now_us);
	has_for(TARGET_MIB + 256, 5);
	assert_int_equal(watch.pulled_bytes >> 20, 128);
	/* Half of the way it is asked for, half of it it takes. */
	size_watch_set_target(&watch, (TARGET_MIB + 300) * MIB, now_us);
	has_for(TARGET_MIB + 356, 5);
	assert_int_equal(watch.pulled_bytes >> 20, 128 + 56);
}

static void a_boot_takes_nothing_back(void **state)
{
	(void)state;
	deflates = true;
	goes_silent();
	has_for(MAX_MIB, 2);
	is_heard_again();
	faults = 10;
	refills(100, 0);
	has_for(TARGET_MIB, 5);
	assert_int_equal(watch.pulled_bytes, 0);
}

/* Whose target nobody here knows: it may have been set before. */
static void a_guest_that_was_never_set_takes_back_beyond_its_size_at_rest(void **state)
{
	(void)state;
	deflates = true;
	size_watch_init(&watch);
	has_for(TARGET_MIB - 64, 2);
	has_for(TARGET_MIB, 12); /* it was still on its way somewhere */
	assert_int_equal(watch.pulled_bytes, 0);
	has_for(TARGET_MIB + 64, 2);
	assert_int_equal(watch.pulled_bytes >> 20, 64);
}

/* As at a suspend, too: the kernel is the same, and its counters go on. */
static void a_driver_that_is_loaded_again_takes_nothing_back(void **state)
{
	(void)state;
	deflates = true;
	for (int seconds = 1; seconds < 4; seconds++) {
		has_for(MAX_MIB, seconds);
		refills(100, 0);
		assert_int_equal(watch.pulled_bytes, 0);
	}
}

static void a_guest_that_takes_back_all_of_its_balloon_is_counted(void **state)
{
	(void)state;
	deflates = true;
	has_for(MAX_MIB, 2);
	assert_int_equal(watch.pulled_bytes, 0);
	has_for(MAX_MIB, 4);
	assert_int_equal(watch.pulled_bytes >> 20, MAX_MIB - TARGET_MIB);
	has_for(MAX_MIB, 4);
	assert_int_equal(watch.pulled_bytes >> 20, MAX_MIB - TARGET_MIB);
}

static void a_guest_that_does_not_deflate_by_itself_took_nothing(void **state)
{
	(void)state;
	has_for(TARGET_MIB + 64, 5);
	assert_int_equal(watch.pulled_bytes, 0);
}

static void a_balloon_that_refills_after_a_boot_is_nobodys(void **state)
{
	static const uint64_t rates[] = { 1000, 100, 5 };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rates); i++)
		for (int pause_s = 0; pause_s < 60; pause_s += 15) {
			faults = 10;
			assert_false(refills(rates[i], pause_s));
			faults = 1000;
			has_for(TARGET_MIB, 5);
		}
}

static void without_counters_a_gap_in_the_statistics_shows_a_boot(void **state)
{
	(void)state;
	faults = HV_UNSET;
	has_for(TARGET_MIB, 3);
	goes_silent();
	has_for(TARGET_MIB, 5);
	is_heard_again();
	assert_false(refills(50, 30));
}

static void a_boot_that_cannot_be_seen_may_pause_for_some_seconds(void **state)
{
	(void)state;
	faults = HV_UNSET;
	assert_false(refills(50, 8));
}

/* Of each two seconds, the guest is paused for one. */
static void a_pause_that_cannot_be_seen_is_no_time_at_rest(void **state)
{
	(void)state;
	faults = HV_UNSET;
	for (int i = 0; i < 8; i++) {
		goes_silent();
		assert_false(has(900));
		is_heard_again();
		assert_false(has(900));
	}
	assert_false(size_watch_is_settled(&watch, now_us));
	assert_true(has_for(900, 4));
}

static void a_driver_that_is_loaded_again_at_once_is_nobodys(void **state)
{
	(void)state;
	assert_false(refills(100, 3));
}

static void a_balloon_that_passes_a_new_target_while_it_fills_again_is_nobodys(void **state)
{
	(void)state;
	faults = 1;
	has_for(MAX_MIB, 2);
	/* It fills for another target, and rests often on its way. */
	has(600);
	has(TARGET_MIB + 2);
	size_watch_set_target(&watch, TARGET_MIB * MIB, now_us);
	has(TARGET_MIB + 1);
	assert_false(has_for(TARGET_MIB - 10, AWAY_US / S + 2));
	assert_false(size_watch_is_suspicious(&watch));
}

static void a_person_who_takes_memory_is_seen_soon(void **state)
{
	(void)state;
	assert_true(has_for(400, AWAY_US / S + 1));
}

static void a_person_who_gives_memory_is_seen_a_while_later(void **state)
{
	(void)state;
	assert_false(has_for(700, REFILL_US / S));
	assert_true(has(700));
}

static void a_person_who_gives_all_memory_is_seen(void **state)
{
	(void)state;
	assert_true(has_for(MAX_MIB, REFILL_US / S + 1));
}

static void a_person_whose_size_is_beyond_the_target_is_seen_on_the_way_to_it(void **state)
{
	(void)state;
	/* Where it was for long is not between; it has not come closer yet. */
	faults = 10;
	has_for(TARGET_MIB + 50, 5);
	assert_false(has(TARGET_MIB - 100));
	assert_true(has_for(TARGET_MIB - 100, AWAY_US / S + 1));
}

static void a_person_is_seen_when_the_guest_stands_still(void **state)
{
	(void)state;
	for (uint64_t mib = 500; mib > 300; mib -= 10)
		assert_false(has(mib));
	assert_true(size_watch_is_suspicious(&watch));
	assert_true(has_for(310, AWAY_US / S));
}

static void a_move_towards_the_target_is_never_a_persons(void **state)
{
	(void)state;
	for (uint64_t mib = 300; mib < TARGET_MIB; mib += 2) {
		assert_false(has(mib));
		assert_false(has(mib));
	}
}

static void a_person_who_turns_a_guest_back_on_its_way_is_seen(void **state)
{
	(void)state;
	faults = 10;
	has_for(MAX_MIB, 3);
	for (uint64_t mib = 1000; mib > 600; mib -= 50)
		assert_false(has(mib));
	assert_true(has_for(900, REFILL_US / S + 2));
}

static void a_guest_that_was_paused_for_minutes_is_the_same(void **state)
{
	(void)state;
	goes_silent();
	assert_false(has_for(TARGET_MIB, 300));
	is_heard_again();
	assert_false(has_for(TARGET_MIB, 20));
	goes_silent();
	/* A person sets another size meanwhile, which it takes afterwards. */
	has_for(TARGET_MIB, 300);
	is_heard_again();
	assert_true(has_for(700, REFILL_US / S + 2));
}

static void nothing_is_judged_while_the_guest_is_silent(void **state)
{
	(void)state;
	goes_silent();
	assert_false(has_for(400, 60));
}

static void a_counter_that_wraps_hides_nobody_for_long(void **state)
{
	(void)state;
	faults = 3;
	has_for(TARGET_MIB, 3);
	assert_true(has_for(400, AWAY_US / S + 1));
}

static void a_device_that_rounds_is_at_its_target(void **state)
{
	(void)state;
	assert_false(has_for(TARGET_MIB + 4, 20));
	size_watch_set_target(&watch, TARGET_MIB * MIB, now_us);
	assert_false(has_for(TARGET_MIB - 4, 20));
	assert_true(has_for(TARGET_MIB - 5, 5));
}

static void a_guest_that_overshoots_a_new_target_is_nobodys(void **state)
{
	(void)state;
	size_watch_set_target(&watch, 300 * MIB, now_us);
	has(700);
	size_watch_set_target(&watch, 600 * MIB, now_us);
	has(601);
	assert_false(has_for(560, 6));
	assert_false(has_for(600, 5));
}

static void a_person_is_seen_soon_after_a_guest_that_stood_still_was_set(void **state)
{
	(void)state;
	for (uint64_t mib = TARGET_MIB; mib < TARGET_MIB + 50; mib += 10) {
		size_watch_set_target(&watch, mib * MIB, now_us);
		has(mib);
	}
	assert_true(has_for(400, AWAY_US / S + 1));
}

static void a_person_is_seen_soon_after_a_guest_at_rest_was_held_where_it_is(void **state)
{
	(void)state;
	size_watch_set_target(&watch, HV_UNSET, now_us);
	size_watch_set_target(&watch, TARGET_MIB * MIB, now_us);
	has(TARGET_MIB);
	assert_true(has_for(400, AWAY_US / S + 1));
}

static void a_person_is_seen_soon_after_a_target_was_sent_again(void **state)
{
	(void)state;
	size_watch_set_target(&watch, 600 * MIB, now_us);
	has_for(500, 5);
	size_watch_set_target(&watch, 600 * MIB, now_us);
	has(600);
	assert_true(has_for(500, AWAY_US / S + 1));
}

static void a_guest_that_may_grow_alone_is_not_suspected_above_its_target(void **state)
{
	(void)state;
	deflates = true;
	assert_false(has_for(700, 60));
	has_for(TARGET_MIB, 3);
	assert_true(has_for(400, AWAY_US / S + 1));
}

static void plugged_memory_is_nobodys(void **state)
{
	(void)state;
	/* The size is read first. */
	has_for(TARGET_MIB + 128, 2);
	size_watch_move_maximum(&watch, MAX_MIB * MIB, (MAX_MIB + 128) * MIB);
	assert_false(has_for(TARGET_MIB + 128, 20));
	assert_int_equal(watch.target_bytes, (TARGET_MIB + 128) * MIB);
	assert_true(has_for(TARGET_MIB, AWAY_US / S + 1));
}

static void a_size_is_settled_when_it_stands_still(void **state)
{
	(void)state;
	has(400);
	assert_false(size_watch_is_settled(&watch, now_us));
	has_for(400, AWAY_US / S);
	assert_true(size_watch_is_settled(&watch, now_us));
	/* What grew by itself may shrink again. */
	has(MAX_MIB);
	has_for(MAX_MIB, REFILL_US / S - 1);
	assert_false(size_watch_is_settled(&watch, now_us));
	has(MAX_MIB);
	assert_true(size_watch_is_settled(&watch, now_us));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_guest_takes_back_by_itself_is_counted),
		TEST(a_boot_takes_nothing_back),
		TEST(a_guest_that_was_never_set_takes_back_beyond_its_size_at_rest),
		TEST(a_driver_that_is_loaded_again_takes_nothing_back),
		TEST(a_guest_that_takes_back_all_of_its_balloon_is_counted),
		TEST(a_guest_that_does_not_deflate_by_itself_took_nothing),
		TEST(a_balloon_that_refills_after_a_boot_is_nobodys),
		TEST(without_counters_a_gap_in_the_statistics_shows_a_boot),
		TEST(a_boot_that_cannot_be_seen_may_pause_for_some_seconds),
		TEST(a_pause_that_cannot_be_seen_is_no_time_at_rest),
		TEST(a_driver_that_is_loaded_again_at_once_is_nobodys),
		TEST(a_balloon_that_passes_a_new_target_while_it_fills_again_is_nobodys),
		TEST(a_person_who_takes_memory_is_seen_soon),
		TEST(a_person_who_gives_memory_is_seen_a_while_later),
		TEST(a_person_who_gives_all_memory_is_seen),
		TEST(a_person_whose_size_is_beyond_the_target_is_seen_on_the_way_to_it),
		TEST(a_person_is_seen_when_the_guest_stands_still),
		TEST(a_move_towards_the_target_is_never_a_persons),
		TEST(a_person_who_turns_a_guest_back_on_its_way_is_seen),
		TEST(a_guest_that_was_paused_for_minutes_is_the_same),
		TEST(nothing_is_judged_while_the_guest_is_silent),
		TEST(a_counter_that_wraps_hides_nobody_for_long),
		TEST(a_device_that_rounds_is_at_its_target),
		TEST(a_guest_that_overshoots_a_new_target_is_nobodys),
		TEST(a_person_is_seen_soon_after_a_guest_that_stood_still_was_set),
		TEST(a_person_is_seen_soon_after_a_guest_at_rest_was_held_where_it_is),
		TEST(a_person_is_seen_soon_after_a_target_was_sent_again),
		TEST(a_guest_that_may_grow_alone_is_not_suspected_above_its_target),
		TEST(plugged_memory_is_nobodys),
		TEST(a_size_is_settled_when_it_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
