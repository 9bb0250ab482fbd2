/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/host.h"

#define MIB (INT64_C(1) << 20)
#define LEAST_CACHE (64 * MIB)
#define SWAP_SPEED (150 * MIB)
#define SWAP_STEP (SWAP_SPEED / SIM_STEPS_A_SECOND)
#define AVERAGE_STEPS 100 /* 10 s */
#define TOUCHED_PART 200  /* a twentieth a second */

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t inside(const struct sim_guest *guest, const struct sim_slot *slot)
{
	return sim_guest_resident(guest) - slot->out;
}

static int64_t inside_all(const struct sim_guest *guests, const struct sim_slot *slots,
			  uint32_t count)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += inside(&guests[i], &slots[i]);
	return sum;
}

static int64_t liked_cache(const struct sim_host *host)
{
	return host->total / 50 > LEAST_CACHE ? host->total / 50 : LEAST_CACHE;
}

/* Divides what is not used between cache and free; what is missing for the least cache. */
static int64_t settle(struct sim_host *host, int64_t used)
{
	int64_t rest = host->total - host->other - used;

	host->cache = smaller(rest, liked_cache(host));
	host->free = rest - host->cache;
	return rest < LEAST_CACHE ? LEAST_CACHE - rest : 0;
}

/* Up to @bytes of all guests to swap, each by its size; what was moved. */
static int64_t swap_out(struct sim_host *host, const struct sim_guest *guests,
			struct sim_slot *slots, uint32_t count, int64_t bytes)
{
	int64_t all = inside_all(guests, slots, count), moved = 0, part;

	bytes = smaller(bytes, host->swap_total - host->swap_used);
	for (uint32_t i = 0; i < count && all > 0; i++) {
		part = (int64_t)((double)bytes * (double)inside(&guests[i], &slots[i]) /
				 (double)all);
		slots[i].out += part;
		moved += part;
	}
	host->swap_used += moved;
	host->debt_us += moved * 1000000 / SWAP_SPEED;
	return moved;
}

static void kill_largest(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
			 uint32_t count, int64_t now_us)
{
	uint32_t largest = 0;

	for (uint32_t i = 1; i < count; i++)
		if (inside(&guests[i], &slots[i]) > inside(&guests[largest], &slots[largest]))
			largest = i;
	host->swap_used -= slots[largest].out;
	slots[largest].out = 0;
	sim_guest_reboot(&guests[largest], now_us);
	host->guests_killed++;
}

/* What a guest touches of what is swapped out comes in, and it waits for that. */
static void swap_in(struct sim_host *host, struct sim_slot *slot, int64_t *room)
{
	int64_t bytes = smaller(smaller(slot->out, slot->out / TOUCHED_PART + MIB), *room);

	bytes = bytes > 0 ? smaller(bytes, SWAP_STEP) : 0;
	slot->out -= bytes;
	host->swap_used -= bytes;
	*room -= bytes;
	slot->waited_us = bytes * 1000000 / SWAP_SPEED;
}

/* Pages that the balloon took, or a guest freed for good, are not swapped out any more. */
static void forget(struct sim_host *host, const struct sim_guest *guest, struct sim_slot *slot)
{
	int64_t gone = slot->out - sim_guest_resident(guest);

	if (gone <= 0)
		return;
	slot->out -= gone;
	host->swap_used -= gone;
}

/* One step more in an average of shares. */
static void average(double *share, int64_t stalled_us)
{
	*share += ((double)stalled_us / (double)SIM_STEP_US - *share) / AVERAGE_STEPS;
}

/* Time that is stalled passes; all guests wait with the host. */
static void account(struct sim_host *host, struct sim_slot *slots, uint32_t count)
{
	int64_t stalled = smaller(host->debt_us, SIM_STEP_US);

	host->debt_us -= stalled;
	host->recent_us += stalled;
	average(&host->pressure, stalled);
	for (uint32_t i = 0; i < count; i++) {
		int64_t both = smaller(stalled + slots[i].waited_us, SIM_STEP_US);

		slots[i].stall_us += (uint64_t)both;
		average(&slots[i].stall, both);
	}
}

void sim_host_init(struct sim_host *host, const struct sim_guest *guests,
		   const struct sim_slot *slots, const struct trace *trace)
{
	*host = (struct sim_host){
		.total = (int64_t)trace->host_bytes,
		.other = (int64_t)trace->other_kib[0] << 10,
		.swap_total = (int64_t)trace->host_swap_bytes,
	};
	settle(host, inside_all(guests, slots, trace->count));
}

void sim_host_step(struct sim_host *host, struct sim_guest *guests, struct sim_slot *slots,
		   const struct trace *trace, uint32_t step, int64_t now_us)
{
	uint32_t count = trace->count;
	int64_t missing, room;
	uint32_t tries = 2 * count;

	host->other = (int64_t)trace->other_kib[step] << 10;
	for (uint32_t i = 0; i < count; i++)
		forget(host, &guests[i], &slots[i]);
	missing = settle(host, inside_all(guests, slots, count));
	while (missing > 0 && tries--) {
		/* Less than a page a guest is what dividing lost. */
		if (swap_out(host, guests, slots, count, missing + MIB) < missing)
			kill_largest(host, guests, slots, count, now_us);
		missing = settle(host, inside_all(guests, slots, count));
	}
	room = host->free;
	for (uint32_t i = 0; i < count; i++)
		swap_in(host, &slots[i], &room);
	settle(host, inside_all(guests, slots, count));
	account(host, slots, count);
}

bool sim_host_balanced(const struct sim_host *host, const struct sim_guest *guests,
		       const struct sim_slot *slots, uint32_t count)
{
	int64_t out = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (slots[i].out < 0 || inside(&guests[i], &slots[i]) < 0)
			return false;
		out += slots[i].out;
	}
	return inside_all(guests, slots, count) + host->other + host->cache + host->free ==
		       host->total &&
	       host->cache >= 0 && host->free >= 0 && out == host->swap_used &&
	       out <= host->swap_total;
}
