/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/reclaim.h"

#include "simulator/pages.h"
#include "simulator/relief.h"

#define DROP_SPEED (4 * SIM_GIB)
#define TRIM_SPEED SIM_GIB
#define PULL_CACHE_PART 16

int64_t reclaim_swap_speed(const struct sim_guest *guest)
{
	return guest->traits->swap == TRACE_SWAP_ZRAM ? SIM_ZRAM_SPEED : SIM_DISK_SPEED;
}

static void drop_guest_cache(struct sim_guest *guest, int64_t bytes)
{
	guest->cache -= bytes;
	guest->counters.scan_bytes += (uint64_t)bytes;
	pages_stall(guest, bytes, DROP_SPEED);
	pages_free(guest, bytes);
}

static void drop_useless_cache(struct sim_guest *guest, int64_t bytes, int64_t keep)
{
	if (pages_usable(guest) < bytes)
		drop_guest_cache(
			guest, min_i64(max_zero(guest->cache - keep), bytes - pages_usable(guest)));
}

/* Swaps out up to @bytes of anonymous memory. */
static void guest_swap_out(struct sim_guest *guest, int64_t bytes)
{
	bool zram = guest->traits->swap == TRACE_SWAP_ZRAM;
	int64_t room = (int64_t)guest->traits->swap_bytes - guest->swapped;

	bytes = min_i64(min_i64(bytes, room), min_i64(guest->anon, guest->swap_left));
	if (bytes <= 0)
		return;
	guest->swap_left -= bytes;
	guest->anon -= bytes;
	guest->swapped += bytes;
	guest->counters.swap_out_bytes += (uint64_t)bytes;
	guest->counters.scan_bytes += (uint64_t)bytes;
	pages_stall(guest, bytes, reclaim_swap_speed(guest));
	pages_free(guest, bytes);
	if (zram) {
		pages_take(guest, bytes / SIM_ZRAM_FACTOR);
		guest->zram += bytes / SIM_ZRAM_FACTOR;
	}
}

void reclaim_drop_swapped(struct sim_guest *guest, int64_t bytes)
{
	int64_t compressed = 0;

	if (guest->swapped > 0 && guest->zram)
		compressed = bytes == guest->swapped
				     ? guest->zram
				     : min_i64(guest->zram, bytes / SIM_ZRAM_FACTOR);
	guest->swapped -= bytes;
	guest->zram -= compressed;
	pages_free(guest, compressed);
}

bool reclaim_swap_helps(const struct sim_guest *guest)
{
	return guest->swapped < (int64_t)guest->traits->swap_bytes && guest->anon > 0;
}

/* Frees cache that is not read again, and pulls. */
static void reclaim_gently(struct sim_guest *guest, const struct sim_wanted *want, int64_t bytes)
{
	int64_t part = (int64_t)guest->traits->boot_bytes / PULL_CACHE_PART;
	bool pulls = guest->pull_left_us > 0 && guest->balloon > 0;

	drop_useless_cache(guest, bytes, pulls && part > want->file ? part : want->file);
	if (pulls)
		relief_pull(guest, bytes);
	drop_useless_cache(guest, bytes, want->file);
}

int64_t reclaim_memory(struct sim_guest *guest, const struct sim_wanted *want, int64_t bytes,
		       enum reclaim_grade grade)
{
	int64_t files, cold;

	reclaim_gently(guest, want, bytes);
	if (grade >= RECLAIM_COLD && pages_usable(guest) < bytes) {
		cold = max_zero(want->cold - guest->swapped);
		guest_swap_out(guest, min_i64(cold, bytes - pages_usable(guest)));
		if (want->cold > guest->swapped && !guest->swap_left && reclaim_swap_helps(guest))
			return min_i64(pages_usable(guest), bytes); /* slow, but not exhausted */
	}
	if (grade >= RECLAIM_FILES && pages_usable(guest) < bytes) {
		files = min_i64(guest->cache, bytes - pages_usable(guest));
		drop_guest_cache(guest, files);
		guest->dropped += files;
	}
	if (grade >= RECLAIM_ALL && pages_usable(guest) < bytes)
		guest_swap_out(guest, bytes - pages_usable(guest));
	return min_i64(pages_usable(guest), bytes);
}

int64_t reclaim_trim(struct sim_guest *guest, const struct sim_wanted *want, int64_t bytes)
{
	int64_t useless = max_zero(guest->cache - want->file);

	bytes = min_i64(min_i64(bytes, guest->cache), SIM_PER_STEP(TRIM_SPEED));
	guest->cache -= bytes;
	guest->dropped += max_zero(bytes - useless);
	guest->counters.trimmed_bytes += (uint64_t)bytes;
	pages_free(guest, bytes);
	return bytes;
}
