/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/guest.h"

#include "simulator/pages.h"
#include "simulator/reclaim.h"
#include "simulator/relief.h"

#define ALLOC_SPEED (2 * SIM_GIB)
#define KERNEL_ALLOC (256 * SIM_KIB)
#define OOM_PATIENCE 3
#define DOWN_US INT64_C(20000000)

int64_t sim_guest_actual(const struct sim_guest *guest)
{
	return guest->running ? (int64_t)guest->traits->boot_bytes - guest->balloon : 0;
}

int64_t sim_guest_resident(const struct sim_guest *guest)
{
	return guest->kernel + guest->anon + guest->cache + guest->zram + guest->touched;
}

int64_t sim_guest_available(const struct sim_guest *guest)
{
	int64_t low = pages_watermark(guest);

	return max_zero(guest->free - low + guest->cache - min_i64(guest->cache / 2, low));
}

bool sim_guest_balanced(const struct sim_guest *guest)
{
	int64_t sum = guest->balloon + guest->anon + guest->cache + guest->zram + guest->free;

	sum += guest->kernel;
	return sum == (guest->running ? (int64_t)guest->traits->boot_bytes : 0) &&
	       guest->balloon >= 0 && guest->anon >= 0 && guest->cache >= 0 && guest->zram >= 0 &&
	       guest->free >= 0 && guest->touched >= 0 && guest->touched <= guest->free &&
	       guest->swapped >= 0;
}

/* The load at this time. */
static struct sim_wanted load_now(const struct sim_guest *guest, uint32_t step)
{
	const struct trace_load *load = &guest->traits->loads[step];
	struct sim_wanted want = {
		.hot = load->hot_kib * SIM_KIB,
		.cold = max_zero(load->cold_kib * SIM_KIB - guest->leaked),
		.file = load->file_kib * SIM_KIB,
	};

	if (guest->now_us < guest->down_until_us) {
		want.hot = want.hot * 3 / 10;
		want.cold = want.cold * 3 / 10;
	}
	return want;
}

static void move_balloon(struct sim_guest *guest, const struct sim_wanted *want)
{
	int64_t goal, bytes, room;

	if (guest->now_us >= guest->next_target_us)
		guest->target = guest->next_target;
	goal = max_zero((int64_t)guest->traits->boot_bytes - guest->target);
	bytes = goal - guest->balloon;
	guest->stuck = false;
	if (bytes <= 0) {
		pages_deflate(guest, min_i64(-bytes, SIM_PER_STEP(guest->traits->deflate_bytes_s)));
		return;
	}
	if (guest->now_us < guest->rest_until_us)
		return;
	bytes = min_i64(bytes, SIM_PER_STEP(guest->traits->inflate_bytes_s));
	room = reclaim_memory(guest, want, bytes, RECLAIM_ALL);
	pages_inflate(guest, room);
	guest->stuck = room < bytes;
}

static void kill_guest_process(struct sim_guest *guest)
{
	int64_t bytes = guest->anon / 10 * 7;

	guest->counters.oom_kills++;
	guest->starved = 0;
	guest->anon -= bytes;
	pages_free(guest, bytes);
	reclaim_drop_swapped(guest, guest->swapped / 10 * 7);
	guest->down_until_us = guest->now_us + DOWN_US;
}

/* An allocation lacks @missing bytes, and nothing can be reclaimed. */
static void starve_guest(struct sim_guest *guest, const struct sim_wanted *want, int64_t missing)
{
	guest->stall_us = (double)SIM_STEP_US;
	guest->counters.alloc_stalls++;
	if (relief_out_of_memory(guest)) {
		missing = min_i64(missing, pages_usable(guest));
		pages_take(guest, missing);
		guest->anon += missing;
		return;
	}
	if (++guest->starved < OOM_PATIENCE)
		return;
	kill_guest_process(guest);
	if (guest->traits->leaks)
		guest->leaked += want->cold;
}

static void free_anonymous(struct sim_guest *guest, int64_t bytes)
{
	int64_t swapped = min_i64(bytes, guest->swapped);

	reclaim_drop_swapped(guest, swapped);
	bytes = min_i64(bytes - swapped, guest->anon);
	guest->anon -= bytes;
	pages_free(guest, bytes);
}

static void allocate_pages(struct sim_guest *guest, const struct sim_wanted *want)
{
	int64_t missing = want->hot + want->cold - guest->anon - guest->swapped;
	int64_t bytes = KERNEL_ALLOC, room;

	if (missing < 0) {
		free_anonymous(guest, -missing);
		missing = 0;
	}
	bytes += min_i64(missing, SIM_PER_STEP(ALLOC_SPEED));
	room = reclaim_memory(guest, want, bytes, RECLAIM_ALL);
	missing = bytes - KERNEL_ALLOC - max_zero(room - KERNEL_ALLOC);
	pages_take(guest, max_zero(room - KERNEL_ALLOC));
	guest->anon += max_zero(room - KERNEL_ALLOC);
	if (room == bytes)
		guest->starved = 0;
	else if (reclaim_swap_helps(guest))
		guest->stall_us = (double)SIM_STEP_US;
	else
		starve_guest(guest, want, missing);
}

/* Reads @bytes back from swap; what exceeds @room evicts as much other hot memory. */
static void guest_swap_in(struct sim_guest *guest, int64_t bytes, int64_t room)
{
	guest->swap_left -= bytes;
	guest->counters.swap_in_bytes += (uint64_t)bytes;
	guest->counters.swap_out_bytes += (uint64_t)(bytes - room);
	guest->counters.major_faults += (uint64_t)(bytes / SIM_PAGE);
	pages_stall(guest, bytes + (bytes - room), reclaim_swap_speed(guest));
	pages_take(guest, room);
	guest->anon += room;
	reclaim_drop_swapped(guest, room);
}

static void touch_anonymous(struct sim_guest *guest, const struct sim_wanted *want)
{
	int64_t hot = min_i64(max_zero(guest->swapped - want->cold), guest->swap_left);
	int64_t cold = min_i64(guest->swapped - max_zero(guest->swapped - want->cold),
			       want->cold / 2000); /* 0.5 %/s */

	if (hot > 0)
		guest_swap_in(guest, hot, reclaim_memory(guest, want, hot, RECLAIM_COLD));
	cold = min_i64(min_i64(cold, max_zero(guest->swap_left)),
		       max_zero(pages_usable(guest) - pages_watermark(guest)));
	if (cold > 0)
		guest_swap_in(guest, cold, cold);
}

static void touch_files(struct sim_guest *guest, const struct sim_wanted *want)
{
	int64_t missing = min_i64(max_zero(want->file - guest->cache), guest->disk_left);
	int64_t again, room;

	guest->dropped = min_i64(guest->dropped, max_zero(want->file - guest->cache));
	if (!missing)
		return;
	room = reclaim_memory(guest, want, missing, RECLAIM_COLD);
	again = min_i64(missing, guest->dropped);
	guest->disk_left -= missing;
	guest->counters.refault_bytes += (uint64_t)again;
	guest->counters.major_faults += (uint64_t)(again / SIM_PAGE);
	pages_stall(guest, again, SIM_DISK_SPEED);
	pages_take(guest, room);
	guest->cache += room;
	/* What finds no room is read again in the next step. */
	guest->dropped += missing - room;
}

static void fill_cache_with_reads(struct sim_guest *guest, uint32_t step)
{
	int64_t bytes = guest->traits->loads[step].read_kib * SIM_KIB;

	bytes = min_i64(bytes, max_zero(guest->free - pages_watermark(guest)));
	pages_take(guest, bytes);
	guest->cache += bytes;
}

static void account_guest_stall(struct sim_guest *guest)
{
	double step = (double)SIM_STEP_US;
	double stalled = guest->stall_us < step ? guest->stall_us : step;

	guest->counters.some_us += (uint64_t)stalled;
	guest->counters.full_us += (uint64_t)(stalled * stalled / step);
}

static void take_statistics(struct sim_guest *guest, int64_t now_us)
{
	int64_t total = guest->traits->abilities & POLICY_CAN_RELIEVE
				? (int64_t)guest->traits->boot_bytes
				: sim_guest_actual(guest);

	guest->told = (struct sim_statistics){
		.taken_us = now_us,
		.actual_bytes = (uint64_t)sim_guest_actual(guest),
		.available_bytes = (uint64_t)sim_guest_available(guest),
		.free_bytes = (uint64_t)guest->free,
		.total_bytes = (uint64_t)(total - (int64_t)guest->traits->kernel_bytes / 4),
		.cache_bytes = (uint64_t)guest->cache,
		.counters = guest->counters,
	};
}

static void falsify_statistics(struct sim_guest *guest)
{
	bool poor = guest->traits->fault == TRACE_POOR_LIAR;
	uint64_t claim = poor ? 0 : guest->traits->boot_bytes / 10 * 9;

	guest->told.available_bytes = claim;
	guest->told.free_bytes = claim;
	guest->told.cache_bytes = 0;
}

static void answer_statistics(struct sim_guest *guest, bool faulty, int64_t now_us)
{
	enum trace_fault fault = faulty ? guest->traits->fault : TRACE_HEALTHY;

	if (now_us < guest->next_statistics_us)
		return;
	if (guest->stuck && !guest->traits->own_driver)
		return;
	guest->next_statistics_us = now_us + guest->traits->period_us;
	if (fault == TRACE_DEAD_DRIVER || fault == TRACE_FROZEN_STATS)
		return;
	take_statistics(guest, now_us);
	if (fault == TRACE_POOR_LIAR || fault == TRACE_RICH_LIAR)
		falsify_statistics(guest);
}

void sim_guest_init(struct sim_guest *guest, const struct trace_guest *traits)
{
	*guest = (struct sim_guest){
		.traits = traits,
		.target = (int64_t)traits->start_bytes,
		.next_target = (int64_t)traits->start_bytes,
	};
}

void sim_guest_start(struct sim_guest *guest, uint32_t step, int64_t first_us)
{
	const struct trace_load *load = &guest->traits->loads[step];
	int64_t start = (int64_t)guest->traits->start_bytes, room;

	guest->running = true;
	guest->next_statistics_us = first_us;
	guest->kernel = (int64_t)guest->traits->kernel_bytes;
	guest->balloon = (int64_t)guest->traits->boot_bytes - start;
	guest->free = start - guest->kernel;
	room = pages_usable(guest);
	guest->anon = min_i64(room, (load->hot_kib + (int64_t)load->cold_kib) * SIM_KIB);
	guest->cache = min_i64(room - guest->anon, load->file_kib * SIM_KIB);
	pages_take(guest, guest->anon + guest->cache);
}

void sim_guest_stop(struct sim_guest *guest)
{
	guest->running = false;
	guest->kernel = guest->balloon = guest->anon = guest->cache = guest->zram = 0;
	guest->free = guest->touched = guest->swapped = guest->dropped = 0;
}

void sim_guest_set_target(struct sim_guest *guest, uint64_t bytes, int64_t now_us)
{
	int64_t target = min_i64((int64_t)bytes, (int64_t)guest->traits->boot_bytes);

	if (target == guest->next_target)
		return;
	/* The driver is on its way already if the last target is still to come, and finds this one.
	 */
	if (now_us >= guest->next_target_us) {
		guest->target = guest->next_target;
		guest->next_target_us = now_us + guest->traits->late_us;
	}
	guest->next_target = target;
	if (!guest->traits->own_driver)
		guest->rest_until_us = 0;
}

void sim_guest_trim(struct sim_guest *guest, uint64_t bytes)
{
	if (guest->traits->abilities & POLICY_CAN_TRIM)
		guest->trim = min_i64((int64_t)bytes, guest->cache);
}

static void run_driver(struct sim_guest *guest, const struct sim_wanted *want)
{
	guest->pull_left_us = 0;
	if (guest->dead)
		return;
	move_balloon(guest, want);
	guest->trim -= reclaim_trim(guest, want, guest->trim);
	pages_report(guest);
	if (guest->traits->abilities & POLICY_CAN_PULL)
		guest->pull_left_us = (double)SIM_STEP_US;
}

void sim_guest_step(struct sim_guest *guest, uint32_t step, int64_t now_us)
{
	bool faulty = guest->traits->fault != TRACE_HEALTHY && step >= guest->traits->fault_step;
	struct sim_wanted want;

	if (!guest->running)
		return;
	guest->now_us = now_us;
	guest->dead = faulty && guest->traits->fault == TRACE_DEAD_DRIVER;
	want = load_now(guest, step);
	guest->disk_left = SIM_PER_STEP(SIM_DISK_SPEED);
	guest->swap_left = guest->traits->swap == TRACE_SWAP_NONE
				   ? 0
				   : SIM_PER_STEP(reclaim_swap_speed(guest));
	run_driver(guest, &want);
	guest->stall_us = 0; /* only the driver waited */
	allocate_pages(guest, &want);
	touch_anonymous(guest, &want);
	touch_files(guest, &want);
	fill_cache_with_reads(guest, step);
	account_guest_stall(guest);
	answer_statistics(guest, faulty, now_us);
}

void sim_guest_reboot(struct sim_guest *guest, int64_t now_us)
{
	guest->free += guest->anon + guest->cache + guest->zram;
	guest->anon = 0;
	guest->cache = 0;
	guest->zram = 0;
	guest->swapped = 0;
	guest->dropped = 0;
	guest->touched = 0;
	guest->down_until_us = now_us + 2 * DOWN_US;
}
