/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of one fake guest.
 *
 * Theory of operation: demand is a base, two slow waves and a burst now and then, all from the
 * guest's seed and the time.  What demand and cache leave is free.  What does not fit is swapped,
 * and when half of max is swapped, the killer comes and ends the burst.
 * Time passes in steps of at most a second, however seldom the guest is asked.
 */
#include "tests/fakes/fake_guests.h"

#include <math.h>

#define MIB (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)
#define STEP_US G_USEC_PER_SEC
#define KERNEL_SHARE 32		/* of actual: what a kernel keeps for itself */
#define CACHE_RATE (20.0 * MIB) /* bytes a second that the guest reads */
#define THRASH_SHARE 0.02	/* of what is swapped, needed again each second */
#define BURST_PAUSE_S 120
#define BURST_MAX_S 30

static void plan_burst(struct guest *guest)
{
	double pause_s = sim_random_between(&guest->random, 0.2, 1.8) * BURST_PAUSE_S;
	double length_s = sim_random_between(&guest->random, 3, BURST_MAX_S);

	guest->burst_us = guest->burst_end_us + (int64_t)(pause_s * 1e6);
	guest->burst_end_us = guest->burst_us + (int64_t)(length_s * 1e6);
	guest->burst_bytes = (uint64_t)(sim_random_between(&guest->random, 0.05, 0.3) *
					(double)guest->max_bytes);
}

void guest_start(struct guest *guest, uint64_t max_bytes, uint64_t seed, double rate,
		 int64_t now_us)
{
	guest->random.state = seed ^ (UINT64_C(0x9e3779b97f4a7c15) * (guest->number + 1));
	guest->max_bytes = guest->actual_bytes = guest->target_bytes = max_bytes;
	guest->event_bytes = max_bytes;
	guest->rate = rate;
	guest->moved_us = now_us;
	guest->base = sim_random_between(&guest->random, 0.1, 0.5);
	for (int i = 0; i < 2; i++) {
		guest->wave[i] = sim_random_between(&guest->random, 0.01, 0.08);
		guest->phase[i] = sim_random_between(&guest->random, 0, 2 * M_PI);
		guest->period_us[i] = sim_random_between(&guest->random, 60e6, 600e6);
	}
	guest->cache_limit_bytes =
		(uint64_t)(sim_random_between(&guest->random, 0.05, 0.4) * (double)max_bytes);
	guest->cache_bytes = guest->swapped_bytes = guest->extra_bytes = 0;
	guest->counters = (struct counters){ 0 };
	guest->told = (struct told){ 0 };
	guest->period_s = 0;
	guest->burst_end_us = now_us;
	plan_burst(guest);
}

uint64_t guest_demand(const struct guest *guest, int64_t now_us)
{
	double share = guest->base;
	uint64_t bytes;

	for (int i = 0; i < 2; i++)
		share += guest->wave[i] *
			 sin(guest->phase[i] + 2 * M_PI * (double)now_us / guest->period_us[i]);
	bytes = (uint64_t)(fmax(share, 0.05) * (double)guest->max_bytes) + guest->extra_bytes;
	if (now_us >= guest->burst_us)
		bytes += guest->burst_bytes;
	return MIN(bytes, guest->max_bytes);
}

void guest_settle(struct guest *guest, int64_t now_us)
{
	guest_move(guest, now_us);
	guest->wave[0] = guest->wave[1] = 0;
	guest->burst_us = guest->burst_end_us = INT64_MAX;
}

/* What the guest's processes can have of @actual. */
static uint64_t room_in(uint64_t actual_bytes)
{
	return actual_bytes - actual_bytes / KERNEL_SHARE;
}

/* A driver takes only what the kernel can give: free memory, cache, and what can be swapped. */
static void move_balloon(struct guest *guest, uint64_t demand_bytes, double us)
{
	uint64_t step = (uint64_t)(guest->rate * us) & ~(PAGE - 1);
	uint64_t swap_bytes = guest->max_bytes / 4;
	uint64_t least = demand_bytes > swap_bytes ? demand_bytes - swap_bytes : 0;

	least = MIN((least + least / (KERNEL_SHARE / 2)) & ~(PAGE - 1), guest->max_bytes);
	if (guest->faults[FAULT_DEAD])
		return;
	if (guest->target_bytes > guest->actual_bytes)
		guest->actual_bytes += MIN(step, guest->target_bytes - guest->actual_bytes);
	else if (guest->actual_bytes > least)
		guest->actual_bytes -=
			MIN(step, guest->actual_bytes - MAX(guest->target_bytes, least));
}

static void swap_out(struct guest *guest, uint64_t bytes)
{
	guest->swapped_bytes += bytes;
	guest->counters.swap_out_bytes += bytes;
	guest->counters.alloc_stalls += bytes / MIB;
	guest->counters.direct_scan_bytes += 2 * bytes;
	if (guest->swapped_bytes <= guest->max_bytes / 2)
		return;
	guest->counters.oom_kills++;
	guest->burst_bytes = guest->extra_bytes = guest->swapped_bytes = 0;
}

static void swap_in(struct guest *guest, uint64_t bytes)
{
	guest->counters.swap_in_bytes += bytes;
	guest->counters.major_faults += bytes / PAGE;
}

static void move_memory(struct guest *guest, uint64_t demand_bytes, double seconds)
{
	uint64_t room = room_in(guest->actual_bytes);
	uint64_t over = demand_bytes > room ? demand_bytes - room : 0;
	uint64_t thrashed =
		(uint64_t)((double)MIN(guest->swapped_bytes, over) * THRASH_SHARE * seconds);

	if (over > guest->swapped_bytes) {
		swap_out(guest, over - guest->swapped_bytes);
	} else if (over < guest->swapped_bytes) {
		swap_in(guest, guest->swapped_bytes - over);
		guest->swapped_bytes = over;
	}
	swap_in(guest, thrashed);
	guest->counters.swap_out_bytes += thrashed;
	guest->counters.minor_faults += (uint64_t)(5000 * seconds);
	guest->cache_bytes += (uint64_t)(CACHE_RATE * seconds);
	guest->cache_bytes = MIN(guest->cache_bytes, guest->cache_limit_bytes);
	guest->cache_bytes = MIN(guest->cache_bytes, over ? 0 : room - demand_bytes);
}

static void step(struct guest *guest, int64_t until_us)
{
	double us = (double)(until_us - guest->moved_us);
	uint64_t demand_bytes;

	while (until_us >= guest->burst_end_us)
		plan_burst(guest);
	demand_bytes = guest_demand(guest, until_us);
	move_balloon(guest, demand_bytes, us);
	move_memory(guest, demand_bytes, us / 1e6);
	guest->moved_us = until_us;
}

static void pass_time(struct guest *guest, int64_t until_us)
{
	while (guest->moved_us < until_us)
		step(guest, MIN(until_us, guest->moved_us + STEP_US));
}

static void lie(struct guest *guest)
{
	struct told *told = &guest->told;

	switch ((enum lie)(guest->number % LIES)) {
	case LIE_IDLE:
		told->free_bytes = told->available_bytes = told->total_bytes = guest->actual_bytes;
		told->counters = (struct counters){ 0 };
		break;
	case LIE_GREEDY:
		told->free_bytes = told->available_bytes = told->cache_bytes = 0;
		guest->counters.swap_in_bytes += 500 * MIB;
		guest->counters.swap_out_bytes += 500 * MIB;
		guest->counters.major_faults += 100000;
		guest->counters.oom_kills++;
		break;
	case LIE_NONSENSE:
		told->available_bytes = 4 * guest->max_bytes;
		told->free_bytes = 8 * guest->max_bytes;
		told->total_bytes = PAGE;
		told->counters.swap_out_bytes = sim_random_next(&guest->random) >> 2;
		told->counters.swap_in_bytes = sim_random_next(&guest->random) >> 2;
		told->counters.major_faults = sim_random_next(&guest->random) >> 2;
		told->counters.oom_kills = sim_random_next(&guest->random) >> 2;
		break;
	case LIES:
		break;
	}
}

/* The guest's driver answers QEMU. */
static void tell(struct guest *guest, int64_t real_us)
{
	uint64_t room = room_in(guest->actual_bytes);
	uint64_t demand_bytes = MIN(guest_demand(guest, guest->moved_us), room);

	guest->told = (struct told){
		.real_s = real_us / G_USEC_PER_SEC,
		.free_bytes = room - demand_bytes - MIN(guest->cache_bytes, room - demand_bytes),
		.total_bytes = room,
		.available_bytes = room - demand_bytes,
		.cache_bytes = guest->cache_bytes,
		.counters = guest->counters,
	};
	if (guest->faults[FAULT_LIAR])
		lie(guest);
}

void guest_move(struct guest *guest, int64_t now_us)
{
	int64_t period_us = guest->period_s * G_USEC_PER_SEC;
	int64_t due_us;

	if (period_us && !guest->faults[FAULT_FROZEN] && now_us - guest->polled_us >= period_us) {
		due_us = now_us - (now_us - guest->polled_us) % period_us;
		pass_time(guest, due_us);
		tell(guest, g_get_real_time() - (now_us - due_us));
		guest->polled_us = due_us;
	}
	pass_time(guest, now_us);
}

void guest_poll(struct guest *guest, int period_s, int64_t now_us)
{
	guest->period_s = period_s;
	guest->polled_us = now_us;
	guest_move(guest, now_us);
	if (period_s && !guest->faults[FAULT_FROZEN])
		tell(guest, g_get_real_time());
}
