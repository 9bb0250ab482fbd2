/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/host.h"

#define MIB (INT64_C(1) << 20)
#define MIN_CACHE (64 * MIB)
#define DISK_SPEED (150 * MIB)
#define ZRAM_SPEED (1024 * MIB)
#define ZRAM_FACTOR 3
#define AVERAGE_STEPS 100 /* 10 s */
#define TOUCHED_PART 200  /* a twentieth per second */

static int64_t guest_bytes_in_ram(const struct sim_guest *guest, const struct sim_slot *slot)
{
	return sim_guest_resident(guest) - slot->out;
}

static int64_t all_bytes_in_ram(const struct sim_guest *guests, const struct sim_slot *slots,
				uint32_t count)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += guest_bytes_in_ram(&guests[i], &slots[i]);
	return sum;
}

static int64_t preferred_cache(const struct sim_host *host)
{
	return host->total / 50 > MIN_CACHE ? host->total / 50 : MIN_CACHE;
}

static int64_t host_swap_speed(const struct sim_host *host)
{
	return host->swap == TRACE_SWAP_ZRAM ? ZRAM_SPEED : DISK_SPEED;
}

/* The RAM that holds what is swapped out. */
static int64_t host_zram_bytes(const struct sim_host *host)
{
	return host->swap == TRACE_SWAP_ZRAM ? host->swap_used / ZRAM_FACTOR : 0;
}

/* Divides unused memory between cache and free.  Returns how much is missing for MIN_CACHE. */
static int64_t settle_host(struct sim_host *host, int64_t used)
{
	int64_t rest = host->total - host->other - used - host_zram_bytes(host);

	host->cache = min_i64(rest, preferred_cache(host));
	host->free = rest - host->cache;
	return rest < MIN_CACHE ? MIN_CACHE - rest : 0;
}

/* Swaps out up to @bytes of all guests, in proportion to their size.  Returns how many. */
static int64_t host_swap_out(struct sim_host *host, const struct sim_guest *guests,
			     struct sim_slot *slots, uint32_t count, int64_t bytes)
{
	int64_t all = all_bytes_in_ram(guests, slots, count), moved = 0, part;

	bytes = min_i64(bytes, host->swap_total - host->swap_used);
	for (uint32_t i = 0; i < count && all > 0; i++) {
		part = (int64_t)((double)bytes * (double)guest_bytes_in_ram(&guests[i], &slots[i]) /
				 (double)all);
		slots[i].out += part;
		moved += part;
	}
	host->swap_used += moved;
	host->debt_us += moved * 1000000 / host_swap_speed(host);
	return moved;
}

static void kill_largest(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
			 uint32_t count, int64_t now_us)
{
	uint32_t largest = 0;

	for (uint32_t i = 1; i < count; i++)
		if (guest_bytes_in_ram(&guests[i], &slots[i]) >
		    guest_bytes_in_ram(&guests[largest], &slots[largest]))
			largest = i;
	host->swap_used -= slots[largest].out;
	slots[largest].out = 0;
	sim_guest_reboot(&guests[largest], now_us);
	host->guests_killed++;
}

/* Reads back what the guest touches of its swapped-out memory; the guest waits for it. */
static void host_swap_in(struct sim_host *host, struct sim_slot *slot, int64_t *room)
{
	int64_t bytes = min_i64(min_i64(slot->out, slot->out / TOUCHED_PART + MIB), *room);

	bytes = bytes > 0 ? min_i64(bytes, host_swap_speed(host) / SIM_STEPS_PER_SECOND) : 0;
	slot->out -= bytes;
	host->swap_used -= bytes;
	*room -= bytes;
	slot->waited_us = bytes * 1000000 / host_swap_speed(host);
}

/* Drops from swap the pages that the balloon has taken since. */
static void drop_freed_swap(struct sim_host *host, const struct sim_guest *guest,
			    struct sim_slot *slot)
{
	int64_t gone = slot->out - sim_guest_resident(guest);

	if (gone <= 0)
		return;
	slot->out -= gone;
	host->swap_used -= gone;
}

/* Adds a step to an average of parts of the time. */
static void update_average(double *share, int64_t stalled_us)
{
	*share += ((double)stalled_us / (double)SIM_STEP_US - *share) / AVERAGE_STEPS;
}

/* Lets stalled time pass; all guests that run wait with the host. */
static void account_host_stall(struct sim_host *host, const struct sim_guest *guests,
			       struct sim_slot *slots, uint32_t count)
{
	int64_t stalled = min_i64(host->debt_us, SIM_STEP_US);

	host->debt_us -= stalled;
	host->recent_us += stalled;
	update_average(&host->pressure, stalled);
	for (uint32_t i = 0; i < count; i++) {
		int64_t both =
			guests[i].running ? min_i64(stalled + slots[i].waited_us, SIM_STEP_US) : 0;

		slots[i].stall_us += (uint64_t)both;
		update_average(&slots[i].stall, both);
	}
}

/* Swaps out, and kills, until the guests fit; then divides what is left. */
static void make_host_room(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
			   uint32_t count, int64_t now_us)
{
	int64_t missing = settle_host(host, all_bytes_in_ram(guests, slots, count));
	uint32_t tries = 2 * count + 20;

	while (missing > 0 && tries--) {
		/* One MiB more, because the division rounds down.  zram gets some of it back. */
		if (host_swap_out(host, guests, slots, count, missing + MIB) < missing)
			kill_largest(host, guests, slots, count, now_us);
		missing = settle_host(host, all_bytes_in_ram(guests, slots, count));
	}
}

void sim_host_init(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace)
{
	*host = (struct sim_host){
		.total = (int64_t)trace->host_bytes,
		.other = (int64_t)trace->other_kib[0] << 10,
		.swap = trace->host_swap,
		.swap_total = (int64_t)trace->host_swap_bytes,
	};
	make_host_room(host, guests, slots, trace->count, 0);
}

void sim_host_step(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace, uint32_t step, int64_t now_us)
{
	uint32_t count = trace->count;
	int64_t room;

	host->other = (int64_t)trace->other_kib[step] << 10;
	for (uint32_t i = 0; i < count; i++)
		drop_freed_swap(host, &guests[i], &slots[i]);
	make_host_room(host, guests, slots, count, now_us);
	room = host->free;
	for (uint32_t i = 0; i < count; i++)
		host_swap_in(host, &slots[i], &room);
	settle_host(host, all_bytes_in_ram(guests, slots, count));
	account_host_stall(host, guests, slots, count);
}

bool sim_host_balanced(const struct sim_host *host, const struct sim_guest *guests,
		       const struct sim_slot *slots, uint32_t count)
{
	int64_t out = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (slots[i].out < 0 || guest_bytes_in_ram(&guests[i], &slots[i]) < 0)
			return false;
		out += slots[i].out;
	}
	return all_bytes_in_ram(guests, slots, count) + host->other + host->cache + host->free +
			       host_zram_bytes(host) ==
		       host->total &&
	       host->cache >= 0 && host->free >= 0 && out == host->swap_used &&
	       out <= host->swap_total;
}
