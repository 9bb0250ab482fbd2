/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rule of the guest's model by a small example: a guest of 1 GiB, hand-made loads. */
#include "simulator/relief.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (INT64_C(1) << 20)
#define STEPS 600
#define WATERMARK (16 * MIB) /* 1/64 of a GiB */

struct rig {
	struct trace_load loads[STEPS];
	struct trace_guest traits;
	struct sim_guest guest;
	uint32_t step;
};

/* 100 MiB hot all the time, and the whole GiB to be had. */
static void set_up(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	for (int i = 0; i < STEPS; i++)
		rig->loads[i].hot_kib = 100 * 1024;
	rig->traits = (struct trace_guest){
		.boot_bytes = 1024 * MIB,
		.start_bytes = 1024 * MIB,
		.kernel_bytes = 64 * MIB,
		.weight = 1,
		.inflate_bytes_s = 1000 * MIB,
		.deflate_bytes_s = 2000 * MIB,
		.period_us = 1000000,
		.loads = rig->loads,
	};
}

static void begin(struct rig *rig)
{
	sim_guest_init(&rig->guest, &rig->traits);
	sim_guest_start(&rig->guest, 0, 0);
}

static int64_t now(const struct rig *rig)
{
	return SIM_STEP_US * (rig->step + 2);
}

static void run(struct rig *rig, uint32_t steps)
{
	while (steps--) {
		sim_guest_step(&rig->guest, rig->step, now(rig));
		assert_true(sim_guest_balanced(&rig->guest));
		rig->step++;
	}
}

/* From the present step on. */
static void load(struct rig *rig, uint32_t hot, uint32_t cold, uint32_t file)
{
	for (uint32_t i = rig->step; i < STEPS; i++)
		rig->loads[i] = (struct trace_load){ hot * 1024, cold * 1024, file * 1024, 0 };
}

static void target(struct rig *rig, int64_t mib)
{
	sim_guest_set_target(&rig->guest, (uint64_t)(mib * MIB), now(rig));
}

#define RIG(rig)                                                                                   \
	struct rig rig;                                                                            \
	set_up(&rig)

static void a_page_that_was_used_stays_resident_until_the_balloon_has_it(void **state)
{
	RIG(rig);

	(void)state;
	begin(&rig);
	run(&rig, 1);
	assert_int_equal(sim_guest_resident(&rig.guest), (64 + 100) * MIB);
	load(&rig, 500, 0, 0);
	run(&rig, 5);
	load(&rig, 100, 0, 0);
	run(&rig, 5);
	assert_int_equal(rig.guest.anon, 100 * MIB);
	assert_int_equal(sim_guest_resident(&rig.guest), (64 + 500) * MIB);
	target(&rig, 200);
	run(&rig, 50);
	assert_int_equal(sim_guest_actual(&rig.guest), 200 * MIB);
	assert_in_range(sim_guest_resident(&rig.guest), 164 * MIB, 200 * MIB);
}

static void the_driver_begins_late_and_moves_at_its_speed(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.late_us = 250000;
	begin(&rig);
	run(&rig, 1);
	target(&rig, 624);
	run(&rig, 3);
	assert_int_equal(sim_guest_actual(&rig.guest), 1024 * MIB);
	run(&rig, 1);
	assert_int_equal(sim_guest_actual(&rig.guest), 924 * MIB);
	run(&rig, 5);
	assert_int_equal(sim_guest_actual(&rig.guest), 624 * MIB);
	target(&rig, 924);
	run(&rig, 4);
	assert_int_equal(sim_guest_actual(&rig.guest), 824 * MIB);
}

static void an_allocation_takes_what_is_missing(void **state)
{
	RIG(rig);

	(void)state;
	begin(&rig);
	load(&rig, 200, 100, 0);
	run(&rig, 2);
	assert_int_equal(rig.guest.anon, 300 * MIB);
	assert_int_equal(rig.guest.counters.some_us, 0);
}

static void cache_of_no_use_goes_first(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.swap = TRACE_SWAP_DISK;
	rig.traits.swap_bytes = 512 * MIB;
	load(&rig, 100, 100, 100);
	begin(&rig);
	for (int i = 0; i < STEPS; i++)
		rig.loads[i].read_kib = 100 * 1024;
	run(&rig, 10);
	assert_in_range(rig.guest.free, 0, WATERMARK);
	assert_int_equal(rig.guest.cache + rig.guest.free, (1024 - 64 - 200) * MIB);
	target(&rig, 500);
	run(&rig, 10);
	assert_int_equal(sim_guest_actual(&rig.guest), 500 * MIB);
	assert_in_range(rig.guest.cache, 100 * MIB, 240 * MIB);
	assert_int_equal(rig.guest.counters.swap_out_bytes, 0);
	assert_int_equal(rig.guest.counters.refault_bytes, 0);
	assert_in_range(rig.guest.counters.some_us, 0, 5000); /* the driver waited, nobody else */
}

static void cold_memory_is_swapped_before_hot_files_go(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.swap = TRACE_SWAP_DISK;
	rig.traits.swap_bytes = 512 * MIB;
	load(&rig, 100, 200, 100);
	begin(&rig);
	target(&rig, 380); /* 464 are in use */
	run(&rig, 30);
	assert_int_equal(sim_guest_actual(&rig.guest), 380 * MIB);
	assert_in_range(rig.guest.swapped, 80 * MIB, 200 * MIB);
	assert_int_equal(rig.guest.cache, 100 * MIB);
	assert_int_equal(rig.guest.counters.oom_kills, 0);
	assert_int_equal(rig.guest.counters.refault_bytes, 0);
}

static void hot_files_that_were_dropped_are_read_again(void **state)
{
	RIG(rig);

	(void)state;
	load(&rig, 100, 0, 300);
	begin(&rig);
	target(&rig, 300);
	run(&rig, 20);
	assert_in_range(rig.guest.cache, 0, 140 * MIB);
	assert_true(rig.guest.counters.refault_bytes > 0);
	assert_true(rig.guest.counters.full_us > 0);
	target(&rig, 1024);
	run(&rig, 50);
	assert_int_equal(rig.guest.cache, 300 * MIB);
}

/* One step of pressure drops a hundred MiB; each of them is read again. */
static void all_that_was_dropped_is_a_refault(void **state)
{
	RIG(rig);
	int64_t dropped;

	(void)state;
	rig.traits.start_bytes = 480 * MIB;
	load(&rig, 100, 0, 300);
	begin(&rig);
	load(&rig, 210, 0, 300);
	run(&rig, 1);
	dropped = 300 * MIB - rig.guest.cache;
	assert_in_range(dropped, 90 * MIB, 110 * MIB);
	load(&rig, 100, 0, 300);
	run(&rig, 20);
	assert_int_equal(rig.guest.cache, 300 * MIB);
	assert_in_range(rig.guest.counters.refault_bytes, dropped, dropped + 20 * MIB);
	assert_int_equal(rig.guest.counters.major_faults, rig.guest.counters.refault_bytes / 4096);
}

/* New files are read at 150 MiB/s, and nobody stalls for memory. */
static void files_that_are_new_are_no_refaults(void **state)
{
	RIG(rig);

	(void)state;
	begin(&rig);
	load(&rig, 100, 0, 300);
	run(&rig, 10);
	assert_int_equal(rig.guest.cache, 150 * MIB);
	assert_int_equal(rig.guest.counters.refault_bytes, 0);
	assert_int_equal(rig.guest.counters.some_us, 0);
}

static void without_swap_it_kills_after_300_ms(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.start_bytes = 400 * MIB;
	begin(&rig);
	load(&rig, 500, 0, 0);
	run(&rig, 3);
	assert_int_equal(rig.guest.counters.oom_kills, 0);
	assert_int_equal(rig.guest.counters.full_us, 2 * SIM_STEP_US); /* 200 MiB were there */
	run(&rig, 1);
	assert_int_equal(rig.guest.counters.oom_kills, 1);
	run(&rig, 150); /* for 20 s it asks for three tenths */
	assert_int_equal(rig.guest.anon, 150 * MIB);
	assert_int_equal(rig.guest.counters.oom_kills, 1);
	run(&rig, 100); /* and then for all of it */
	assert_int_equal(rig.guest.counters.oom_kills, 2);
}

static void with_deflate_on_oom_it_takes_from_the_balloon(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.start_bytes = 400 * MIB;
	rig.traits.abilities = POLICY_CAN_RELIEVE;
	begin(&rig);
	load(&rig, 500, 0, 0);
	run(&rig, 20);
	assert_int_equal(rig.guest.counters.oom_kills, 0);
	assert_true(rig.guest.counters.pulled_bytes >= 150 * MIB);
	assert_in_range(rig.guest.anon, 480 * MIB, 500 * MIB);
	assert_true(sim_guest_actual(&rig.guest) > 540 * MIB);
}

/* The in-tree driver inflates again at the next target, ours after 5 s. */
static void after_relief_the_driver_rests(void **state)
{
	(void)state;
	for (int own = 0; own <= 1; own++) {
		RIG(rig);
		int64_t size;

		rig.traits.own_driver = own;
		rig.traits.start_bytes = 400 * MIB;
		rig.traits.abilities = POLICY_CAN_RELIEVE;
		begin(&rig);
		load(&rig, 500, 0, 0);
		run(&rig, 20);
		load(&rig, 100, 0, 0);
		size = sim_guest_actual(&rig.guest);
		run(&rig, 20);
		assert_int_equal(sim_guest_actual(&rig.guest), size);
		run(&rig, 60);
		assert_int_equal(sim_guest_actual(&rig.guest) < size, own);
		target(&rig, 401);
		run(&rig, 10);
		assert_int_equal(sim_guest_actual(&rig.guest), 401 * MIB);
	}
}

/* A sixteenth of free memory or 128 MiB in 2 s; 15 % of it is in small blocks. */
static void what_is_freed_is_reported_but_for_small_blocks(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.abilities = POLICY_CAN_REPORT;
	load(&rig, 600, 0, 0);
	begin(&rig);
	load(&rig, 100, 0, 0);
	run(&rig, 20);
	assert_in_range(sim_guest_resident(&rig.guest), (664 - 125) * MIB, (664 - 119) * MIB);
	run(&rig, 200);
	assert_in_range(sim_guest_resident(&rig.guest), 164 * MIB + 860 * MIB * 14 / 100,
			164 * MIB + 860 * MIB * 16 / 100);
	assert_int_equal(sim_guest_actual(&rig.guest), 1024 * MIB);
}

static void set_pulling(struct rig *rig)
{
	rig->traits.own_driver = true;
	rig->traits.abilities = POLICY_CAN_PULL | POLICY_CAN_GATE | POLICY_CAN_TRIM;
	rig->traits.start_bytes = 400 * MIB;
	rig->traits.swap = TRACE_SWAP_DISK;
	rig->traits.swap_bytes = 512 * MIB;
}

/* 64 MiB take 3 ms and 15.6 ms, so 300 MiB take 5 of these. */
static void a_pull_comes_before_swap(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	begin(&rig);
	load(&rig, 300, 300, 0);
	run(&rig, 10);
	assert_int_equal(rig.guest.anon, 600 * MIB);
	assert_int_equal(rig.guest.counters.swap_out_bytes, 0);
	assert_int_equal(rig.guest.counters.pulled_bytes, 5 * 64 * MIB);
	assert_in_range(rig.guest.counters.some_us, 5 * 18000, 5 * 19000);
}

static void reading_files_once_does_not_pull(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	begin(&rig);
	for (int i = 0; i < STEPS; i++)
		rig.loads[i].read_kib = 100 * 1024;
	run(&rig, 50);
	load(&rig, 150, 0, 0);
	run(&rig, 50);
	assert_int_equal(rig.guest.counters.pulled_bytes, 0);
}

static void set_gate(struct rig *rig, int64_t credit_mib, int64_t ceiling_mib)
{
	relief_set_gate(&rig->guest, (uint64_t)(credit_mib * MIB), (uint64_t)(ceiling_mib * MIB),
			now(rig));
}

/* With credit at once; then 16 MiB for each half of a second, while the tasks reclaim. */
static void the_gate_holds_back_what_is_beyond_the_credit(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	begin(&rig);
	set_gate(&rig, 100, 1024);
	load(&rig, 800, 0, 0);
	run(&rig, 5);
	assert_int_equal(rig.guest.counters.pulled_bytes, 100 * MIB);
	assert_true(rig.guest.counters.swap_out_bytes > 0);
	assert_true(rig.guest.counters.held_us > 0);
	run(&rig, 40);
	assert_in_range(rig.guest.counters.pulled_bytes, (100 + 6 * 16) * MIB,
			(100 + 8 * 16) * MIB);
}

/* 16 MiB for each 5 s, as long as the credit is renewed. */
static void at_its_ceiling_a_guest_waits_ten_times_as_long(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	rig.traits.start_bytes = 450 * MIB;
	begin(&rig);
	load(&rig, 800, 0, 0);
	for (int i = 0; i < 9; i++) {
		set_gate(&rig, 500, 450);
		run(&rig, 5);
	}
	assert_int_equal(sim_guest_actual(&rig.guest), 450 * MIB);
	set_gate(&rig, 500, 450);
	run(&rig, 10);
	assert_int_equal(sim_guest_actual(&rig.guest), 466 * MIB);
}

static void the_gate_opens_when_its_credit_is_not_renewed(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	begin(&rig);
	set_gate(&rig, 0, 400);
	load(&rig, 800, 0, 0);
	run(&rig, 49);
	assert_int_equal(rig.guest.counters.pulled_bytes, 0);
	run(&rig, 10);
	assert_true(rig.guest.counters.pulled_bytes > RELIEF_STEP_BYTES * 4);
}

/* Its driver gives up after a second: it waits half of that, and 5 s at the ceiling. */
static void a_guest_out_of_memory_lives_unless_it_is_at_its_ceiling(void **state)
{
	(void)state;
	for (int low = 0; low <= 1; low++) {
		RIG(rig);

		set_pulling(&rig);
		rig.traits.swap = TRACE_SWAP_NONE;
		rig.traits.swap_bytes = 0;
		rig.traits.abilities |= POLICY_CAN_RELIEVE;
		begin(&rig);
		set_gate(&rig, 0, low ? 400 : 1024);
		load(&rig, 400, 0, 0);
		run(&rig, 40);
		assert_int_equal(rig.guest.counters.oom_kills > 0, low);
		assert_int_equal(rig.guest.counters.pulled_bytes >= 80 * MIB, !low);
	}
}

static void a_device_without_a_gate_holds_nothing_back(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	rig.traits.abilities &= ~(uint64_t)POLICY_CAN_GATE;
	begin(&rig);
	set_gate(&rig, 0, 0);
	load(&rig, 600, 0, 0);
	run(&rig, 10);
	assert_int_equal(rig.guest.anon, 600 * MIB);
}

static void a_trim_takes_useless_cache_first_and_no_size(void **state)
{
	RIG(rig);

	(void)state;
	set_pulling(&rig);
	rig.traits.start_bytes = 1024 * MIB;
	load(&rig, 100, 0, 100);
	begin(&rig);
	rig.loads[0].read_kib = 200 * 1024;
	run(&rig, 1);
	assert_int_equal(rig.guest.cache, 300 * MIB);
	sim_guest_trim(&rig.guest, 200 * MIB);
	run(&rig, 5);
	assert_int_equal(rig.guest.cache, 100 * MIB);
	assert_int_equal(rig.guest.counters.refault_bytes, 0);
	assert_int_equal(rig.guest.counters.trimmed_bytes, 200 * MIB);
	assert_int_equal(sim_guest_actual(&rig.guest), 1024 * MIB);
	sim_guest_trim(&rig.guest, 50 * MIB);
	run(&rig, 10);
	assert_int_equal(rig.guest.cache, 100 * MIB);
	assert_int_equal(rig.guest.counters.refault_bytes, 50 * MIB);
}

static void who_cannot_trim_keeps_its_cache(void **state)
{
	RIG(rig);

	(void)state;
	load(&rig, 100, 0, 100);
	begin(&rig);
	sim_guest_trim(&rig.guest, 100 * MIB);
	run(&rig, 5);
	assert_int_equal(rig.guest.counters.trimmed_bytes, 0);
}

static void a_guest_that_stops_holds_nothing(void **state)
{
	RIG(rig);

	(void)state;
	begin(&rig);
	run(&rig, 5);
	sim_guest_stop(&rig.guest);
	run(&rig, 5);
	assert_int_equal(sim_guest_resident(&rig.guest), 0);
	assert_int_equal(sim_guest_actual(&rig.guest), 0);
}

static void what_is_pressed_too_far_dies_of_the_kernels_own_allocations(void **state)
{
	RIG(rig);

	(void)state;
	load(&rig, 400, 0, 0);
	begin(&rig);
	target(&rig, 256);
	run(&rig, 7);
	assert_true(rig.guest.stuck);
	assert_in_range(sim_guest_actual(&rig.guest), 464 * MIB, 480 * MIB);
	run(&rig, 20);
	assert_int_equal(rig.guest.counters.oom_kills, 1);
	assert_int_equal(sim_guest_actual(&rig.guest), 256 * MIB);
}

static void swapping_what_is_hot_is_thrashing(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.swap = TRACE_SWAP_DISK;
	rig.traits.swap_bytes = 512 * MIB;
	load(&rig, 400, 0, 0);
	begin(&rig);
	target(&rig, 256);
	run(&rig, 60);
	assert_int_equal(sim_guest_actual(&rig.guest), 256 * MIB);
	assert_int_equal(rig.guest.counters.oom_kills, 0);

	struct sim_counters before = rig.guest.counters;

	run(&rig, 10);
	assert_int_equal(rig.guest.counters.full_us - before.full_us, 10 * SIM_STEP_US);
	assert_true(rig.guest.counters.swap_in_bytes - before.swap_in_bytes > 100 * MIB);
	assert_true(rig.guest.counters.swap_out_bytes - before.swap_out_bytes > 100 * MIB);
	assert_int_equal(rig.guest.counters.major_faults, rig.guest.counters.swap_in_bytes / 4096);
}

static void zram_costs_a_third(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.swap = TRACE_SWAP_ZRAM;
	rig.traits.swap_bytes = 512 * MIB;
	load(&rig, 50, 300, 0);
	begin(&rig);
	target(&rig, 300);
	run(&rig, 30);
	assert_int_equal(sim_guest_actual(&rig.guest), 300 * MIB);
	assert_in_range(rig.guest.zram, rig.guest.swapped / 3 - MIB, rig.guest.swapped / 3 + MIB);
	load(&rig, 50, 0, 0);
	run(&rig, 2);
	assert_int_equal(rig.guest.swapped, 0);
	assert_int_equal(rig.guest.zram, 0);
}

/* 10 MiB of swap at 150 MiB/s are two thirds of a step; its square is full. */
static void full_is_the_square_of_some(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.swap = TRACE_SWAP_DISK;
	rig.traits.swap_bytes = 512 * MIB;
	rig.traits.start_bytes = 64 * MIB + 200 * MIB + WATERMARK / 2 + MIB / 4;
	load(&rig, 100, 100, 0);
	begin(&rig);
	load(&rig, 110, 100, 0);
	run(&rig, 1);
	assert_int_equal(rig.guest.counters.swap_out_bytes, 10 * MIB);
	assert_in_range(rig.guest.counters.some_us, 66600, 66700);
	assert_in_range(rig.guest.counters.full_us, 44400, 44500);
}

static void a_leak_begins_anew_after_a_kill(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.leaks = true;
	begin(&rig);
	for (uint32_t i = 0; i < STEPS; i++)
		rig.loads[i].cold_kib = i * 4 * 1024;
	run(&rig, 220);
	assert_int_equal(rig.guest.counters.oom_kills, 1);
	run(&rig, 200); /* it asks for all of it again by now */
	assert_int_equal(rig.guest.counters.oom_kills, 1);
}

static void statistics_come_once_a_period(void **state)
{
	RIG(rig);

	(void)state;
	begin(&rig);
	run(&rig, 1);
	assert_int_equal(rig.guest.told.taken_us, now(&rig) - SIM_STEP_US);
	assert_int_equal(rig.guest.told.free_bytes, (1024 - 164) * MIB);
	assert_int_equal(rig.guest.told.available_bytes, (1024 - 164) * MIB - WATERMARK);
	load(&rig, 200, 0, 0);
	run(&rig, 9);
	assert_int_equal(rig.guest.told.free_bytes, (1024 - 164) * MIB);
	run(&rig, 1);
	assert_int_equal(rig.guest.told.free_bytes, (1024 - 264) * MIB);
}

static void frozen_statistics_stay_while_the_balloon_moves(void **state)
{
	RIG(rig);
	int64_t taken;

	(void)state;
	rig.traits.fault = TRACE_FROZEN_STATS;
	rig.traits.fault_step = 15;
	begin(&rig);
	run(&rig, 15);
	taken = rig.guest.told.taken_us;
	target(&rig, 500);
	run(&rig, 50);
	assert_int_equal(rig.guest.told.taken_us, taken);
	assert_int_equal(sim_guest_actual(&rig.guest), 500 * MIB);
}

static void a_dead_driver_neither_moves_nor_tells(void **state)
{
	RIG(rig);
	int64_t taken;

	(void)state;
	rig.traits.fault = TRACE_DEAD_DRIVER;
	rig.traits.fault_step = 15;
	begin(&rig);
	run(&rig, 15);
	taken = rig.guest.told.taken_us;
	target(&rig, 500);
	run(&rig, 50);
	assert_int_equal(rig.guest.told.taken_us, taken);
	assert_int_equal(sim_guest_actual(&rig.guest), 1024 * MIB);
}

static void liars_claim_nothing_or_everything(void **state)
{
	RIG(rig);

	(void)state;
	rig.traits.fault = TRACE_POOR_LIAR;
	begin(&rig);
	run(&rig, 1);
	assert_int_equal(rig.guest.told.available_bytes, 0);
	rig.traits.fault = TRACE_RICH_LIAR;
	run(&rig, 10);
	assert_int_equal(rig.guest.told.available_bytes, 1024 * MIB / 10 * 9);
	assert_in_range(rig.guest.free, 0, 1024 * MIB);
}

/* The in-tree driver is stuck in the worker that would answer; ours is not. */
static void a_stuck_driver_tells_nothing_unless_it_is_ours(void **state)
{
	(void)state;
	for (int own = 0; own <= 1; own++) {
		RIG(rig);
		int64_t taken;

		rig.traits.own_driver = own;
		rig.traits.abilities = POLICY_CAN_RELIEVE;
		load(&rig, 700, 0, 0);
		begin(&rig);
		target(&rig, 100);
		run(&rig, 3);
		assert_true(rig.guest.stuck);
		taken = rig.guest.told.taken_us;
		run(&rig, 20);
		assert_int_equal(rig.guest.stuck, !own); /* ours rests after the relief */
		assert_int_equal(rig.guest.told.taken_us > taken, own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_that_was_used_stays_resident_until_the_balloon_has_it),
		cmocka_unit_test(the_driver_begins_late_and_moves_at_its_speed),
		cmocka_unit_test(an_allocation_takes_what_is_missing),
		cmocka_unit_test(cache_of_no_use_goes_first),
		cmocka_unit_test(cold_memory_is_swapped_before_hot_files_go),
		cmocka_unit_test(hot_files_that_were_dropped_are_read_again),
		cmocka_unit_test(all_that_was_dropped_is_a_refault),
		cmocka_unit_test(files_that_are_new_are_no_refaults),
		cmocka_unit_test(without_swap_it_kills_after_300_ms),
		cmocka_unit_test(with_deflate_on_oom_it_takes_from_the_balloon),
		cmocka_unit_test(after_relief_the_driver_rests),
		cmocka_unit_test(what_is_freed_is_reported_but_for_small_blocks),
		cmocka_unit_test(a_pull_comes_before_swap),
		cmocka_unit_test(reading_files_once_does_not_pull),
		cmocka_unit_test(the_gate_holds_back_what_is_beyond_the_credit),
		cmocka_unit_test(at_its_ceiling_a_guest_waits_ten_times_as_long),
		cmocka_unit_test(the_gate_opens_when_its_credit_is_not_renewed),
		cmocka_unit_test(a_guest_out_of_memory_lives_unless_it_is_at_its_ceiling),
		cmocka_unit_test(a_device_without_a_gate_holds_nothing_back),
		cmocka_unit_test(a_trim_takes_useless_cache_first_and_no_size),
		cmocka_unit_test(who_cannot_trim_keeps_its_cache),
		cmocka_unit_test(a_guest_that_stops_holds_nothing),
		cmocka_unit_test(what_is_pressed_too_far_dies_of_the_kernels_own_allocations),
		cmocka_unit_test(swapping_what_is_hot_is_thrashing),
		cmocka_unit_test(zram_costs_a_third),
		cmocka_unit_test(full_is_the_square_of_some),
		cmocka_unit_test(a_leak_begins_anew_after_a_kill),
		cmocka_unit_test(statistics_come_once_a_period),
		cmocka_unit_test(frozen_statistics_stay_while_the_balloon_moves),
		cmocka_unit_test(a_dead_driver_neither_moves_nor_tells),
		cmocka_unit_test(liars_claim_nothing_or_everything),
		cmocka_unit_test(a_stuck_driver_tells_nothing_unless_it_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
