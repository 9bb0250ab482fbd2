/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's rules: two guests of 1 GiB, on hosts that have room for them or not. */
#include "simulator/relief.h"
#include "simulator/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (INT64_C(1) << 20)
#define STEPS 600

struct rig {
	struct trace_load loads[2][STEPS];
	uint32_t other[STEPS];
	struct trace_guest guests[2];
	struct trace trace;
	struct sim_world world;
};

/* Guests that use 64 + 700 MiB each, and 100 MiB of other programs. */
static void set_up(struct rig *rig, uint64_t host_mib, uint64_t swap_mib)
{
	memset(rig, 0, sizeof(*rig));
	for (int i = 0; i < 2; i++) {
		rig->guests[i] = (struct trace_guest){
			.boot_bytes = 1024 * MIB,
			.start_bytes = 1024 * MIB,
			.kernel_bytes = 64 * MIB,
			.weight = 1,
			.inflate_bytes_s = 1000 * MIB,
			.deflate_bytes_s = 1000 * MIB,
			.period_us = 1000000,
			.end_step = STEPS,
			.loads = rig->loads[i],
		};
		for (int step = 0; step < STEPS; step++)
			rig->loads[i][step].hot_kib = 700 * 1024;
	}
	for (int step = 0; step < STEPS; step++)
		rig->other[step] = 100 * 1024;
	rig->trace = (struct trace){ .steps = STEPS,
				     .count = 2,
				     .guests = rig->guests,
				     .host_bytes = host_mib * MIB,
				     .host_swap = TRACE_SWAP_DISK,
				     .host_swap_bytes = swap_mib * MIB,
				     .other_kib = rig->other };
	assert_true(world_init(&rig->world, &rig->trace));
}

static void run(struct rig *rig, int steps)
{
	while (steps--) {
		world_step(&rig->world);
		assert_true(world_balanced(&rig->world));
	}
}

static void available_is_what_nobody_uses(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 4096, 0);
	world_observe(&rig.world, &host, guests);
	assert_int_equal(host.available_bytes, (4096 - 100 - 2 * 764) * MIB);
	run(&rig, 10);
	world_observe(&rig.world, &host, guests);
	assert_int_equal(host.available_bytes, (4096 - 100 - 2 * 764) * MIB);
	assert_int_equal(host.free_bytes + host.cache_bytes, host.available_bytes);
	assert_int_equal(guests[1].resident_bytes, 764 * MIB);
	assert_int_equal(guests[1].id, 2);
	assert_true(host.pressure == 0);
	assert_false(host.critical);
	world_clear(&rig.world);
}

static void other_programs_push_guests_into_swap(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 2048, 1024);
	run(&rig, 10);
	assert_int_equal(rig.world.host.swap_used, 0);
	for (int step = 0; step < STEPS; step++)
		rig.other[step] = 600 * 1024; /* 2128 with the guests, and 64 of cache */
	run(&rig, 1);
	assert_in_range(rig.world.host.swap_used, 144 * MIB, 146 * MIB);
	assert_in_range(rig.world.slots[0].out, 71 * MIB, 73 * MIB);
	assert_in_range(rig.world.slots[1].out, 71 * MIB, 73 * MIB);
	world_observe(&rig.world, &host, guests);
	assert_int_equal(guests[0].resident_bytes, 764 * MIB - rig.world.slots[0].out);
	run(&rig, 9);
	world_observe(&rig.world, &host, guests);
	assert_true(host.critical);
	assert_true(host.pressure > 0.05);
	assert_true(rig.world.slots[0].stall_us > 500000);
	assert_true(guests[0].stall > 0.05);
	assert_int_equal(rig.world.host.guests_killed, 0);
	world_observe(&rig.world, &host, guests); /* looked at, armed anew */
	assert_false(host.critical);
	world_clear(&rig.world);
}

static void what_was_swapped_comes_back_as_it_is_touched(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, 2048, 1024);
	for (int step = 10; step < 20; step++)
		rig.other[step] = 600 * 1024;
	run(&rig, 20);
	assert_true(rig.world.host.swap_used > 100 * MIB);
	run(&rig, 300);
	assert_in_range(rig.world.host.swap_used, 0, 40 * MIB);
	assert_true(rig.world.slots[1].stall_us > 1200000);
	world_clear(&rig.world);
}

static void with_swap_full_the_largest_guest_dies(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, 2048, 100);
	for (int step = 0; step < STEPS; step++)
		rig.loads[1][step].hot_kib = 720 * 1024;
	run(&rig, 10);
	for (int step = 0; step < STEPS; step++)
		rig.other[step] = 700 * 1024;
	run(&rig, 1);
	assert_int_equal(rig.world.host.guests_killed, 1);
	assert_int_equal(rig.world.guests[1].anon, 0);
	assert_in_range(rig.world.guests[0].anon, 700 * MIB, 700 * MIB);
	world_clear(&rig.world);
}

static void the_balloon_gives_to_the_host(void **state)
{
	struct rig rig;
	int64_t before;

	(void)state;
	set_up(&rig, 4096, 0);
	run(&rig, 2);
	for (int step = 0; step < STEPS; step++)
		rig.loads[0][step].hot_kib = 100 * 1024;
	run(&rig, 5);
	before = rig.world.host.free + rig.world.host.cache;
	sim_guest_set_target(&rig.world.guests[0], 200 * MIB, rig.world.now_us);
	run(&rig, 20);
	assert_in_range(rig.world.host.free + rig.world.host.cache - before, 560 * MIB, 600 * MIB);
	world_clear(&rig.world);
}

static void before_the_first_answer_nothing_is_known(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 4096, 0);
	world_observe(&rig.world, &host, guests);
	assert_int_equal(guests[0].taken_us, 0);
	assert_int_equal(guests[0].available_bytes, POLICY_UNSET);
	assert_int_equal(guests[0].oom_kills, POLICY_UNSET);
	run(&rig, 1);
	world_observe(&rig.world, &host, guests);
	assert_int_equal(guests[0].taken_us, rig.world.now_us);
	assert_int_equal(guests[0].free_bytes, (1024 - 764) * MIB);
	assert_int_equal(guests[0].psi_some_us, POLICY_UNSET); /* not our driver */
	world_clear(&rig.world);
}

/* A third stays in RAM, so more than what is missing is moved; and it is seven times as fast. */
static void zram_of_the_host_costs_a_third(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, 2048, 1024);
	rig.trace.host_swap = rig.world.host.swap = TRACE_SWAP_ZRAM;
	run(&rig, 10);
	for (int step = 0; step < STEPS; step++)
		rig.other[step] = 600 * 1024;
	run(&rig, 1);
	assert_in_range(rig.world.host.swap_used, 144 * MIB * 3 / 2, 160 * MIB * 3 / 2);
	run(&rig, 9);
	assert_true(rig.world.slots[0].stall_us < 500000);
	world_clear(&rig.world);
}

/* Both guests want all of their RAM, and there is room for half of that. */
static uint64_t guests_lost_to_pulls(bool gated)
{
	struct rig rig;
	uint64_t lost;

	set_up(&rig, 1800, 100);
	world_clear(&rig.world);
	for (int i = 0; i < 2; i++) {
		rig.guests[i].own_driver = true;
		rig.guests[i].abilities = POLICY_CAN_PULL | (gated ? POLICY_CAN_GATE : 0);
		rig.guests[i].swap = TRACE_SWAP_DISK;
		rig.guests[i].swap_bytes = 1024 * MIB;
		rig.guests[i].start_bytes = 800 * MIB;
		for (int step = 20; step < STEPS; step++)
			rig.loads[i][step].hot_kib = 930 * 1024;
	}
	assert_true(world_init(&rig.world, &rig.trace));
	for (int second = 0; second < 20; second++) {
		for (int i = 0; i < 2; i++)
			relief_set_gate(&rig.world.guests[i], 0, 840 * MIB, rig.world.now_us);
		run(&rig, 10);
	}
	lost = rig.world.host.guests_killed;
	world_clear(&rig.world);
	return lost;
}

static void pulls_can_lose_a_guest_to_the_host_unless_they_are_gated(void **state)
{
	(void)state;
	assert_true(guests_lost_to_pulls(false) > 0);
	assert_int_equal(guests_lost_to_pulls(true), 0);
}

/* As the device reports a pull when it is made, and when it begins to wait. */
static void a_guest_that_begins_to_wait_at_its_gate_is_urgent(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 4096, 0);
	world_clear(&rig.world);
	rig.guests[0].own_driver = true;
	rig.guests[0].abilities = POLICY_CAN_PULL | POLICY_CAN_GATE;
	rig.guests[0].start_bytes = 800 * MIB;
	for (int step = 20; step < STEPS; step++)
		rig.loads[0][step].hot_kib = 900 * 1024;
	assert_true(world_init(&rig.world, &rig.trace));
	world_observe(&rig.world, &host, guests);
	relief_set_gate(&rig.world.guests[0], 0, 1024 * MIB, rig.world.now_us);
	run(&rig, 20);
	assert_false(world_is_urgent(&rig.world));
	run(&rig, 1);
	assert_true(rig.world.guests[0].counters.held_us > 0);
	assert_int_equal(rig.world.guests[0].counters.pulled_bytes, 0);
	assert_true(world_is_urgent(&rig.world));
	world_observe(&rig.world, &host, guests);
	run(&rig, 1);
	assert_int_equal(rig.world.guests[0].counters.pulled_bytes, 0);
	assert_false(world_is_urgent(&rig.world));
	world_clear(&rig.world);
}

static void a_guest_that_ends_gives_all_back(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 4096, 0);
	rig.guests[0].end_step = 20;
	run(&rig, 20);
	assert_int_equal(world_observe(&rig.world, &host, guests), 2);
	run(&rig, 1);
	assert_int_equal(world_observe(&rig.world, &host, guests), 1);
	assert_int_equal(guests[0].id, 2);
	assert_int_equal(host.available_bytes, (4096 - 100 - 764) * MIB);
	world_clear(&rig.world);
}

static void a_guest_that_does_not_run_does_not_stall(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, 2048, 1024);
	rig.guests[0].end_step = 5;
	run(&rig, 10);
	for (int step = 0; step < STEPS; step++)
		rig.other[step] = 1500 * 1024;
	run(&rig, 20);
	assert_true(rig.world.slots[1].stall_us > 0);
	assert_int_equal(rig.world.slots[0].stall_us, 0);
	assert_true(rig.world.slots[0].stall == 0);
	world_clear(&rig.world);
}

static void a_host_that_is_too_small_shows_what_is_true_from_the_start(void **state)
{
	struct rig rig;
	struct policy_host host;
	struct policy_guest guests[2];

	(void)state;
	set_up(&rig, 1200, 1024);
	assert_true(world_balanced(&rig.world));
	world_observe(&rig.world, &host, guests);
	assert_in_range(host.available_bytes, 0, 1200 * MIB);
	assert_true(host.swap_used_bytes > 0);
	world_clear(&rig.world);
	set_up(&rig, 1200, 0);
	assert_true(world_balanced(&rig.world));
	assert_true(rig.world.host.guests_killed > 0);
	world_clear(&rig.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(available_is_what_nobody_uses),
		cmocka_unit_test(other_programs_push_guests_into_swap),
		cmocka_unit_test(what_was_swapped_comes_back_as_it_is_touched),
		cmocka_unit_test(with_swap_full_the_largest_guest_dies),
		cmocka_unit_test(the_balloon_gives_to_the_host),
		cmocka_unit_test(before_the_first_answer_nothing_is_known),
		cmocka_unit_test(zram_of_the_host_costs_a_third),
		cmocka_unit_test(pulls_can_lose_a_guest_to_the_host_unless_they_are_gated),
		cmocka_unit_test(a_guest_that_begins_to_wait_at_its_gate_is_urgent),
		cmocka_unit_test(a_guest_that_ends_gives_all_back),
		cmocka_unit_test(a_guest_that_does_not_run_does_not_stall),
		cmocka_unit_test(a_host_that_is_too_small_shows_what_is_true_from_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
