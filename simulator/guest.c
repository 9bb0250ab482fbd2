/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/guest.h"

#define KIB INT64_C(1024)
#define MIB (KIB << 10)
#define GIB (MIB << 10)
#define PAGE (4 * KIB)

#define PER_STEP(bytes_s) ((int64_t)(bytes_s) / SIM_STEPS_PER_SECOND)
#define DISK_SPEED (150 * MIB)
#define ZRAM_SPEED GIB
#define ZRAM_FACTOR 3
#define DROP_SPEED (4 * GIB)
#define ALLOC_SPEED (2 * GIB)
#define KERNEL_ALLOC (256 * KIB)
#define OOM_DEFLATE (32 * MIB)
#define OOM_PATIENCE 3
#define DOWN_US INT64_C(20000000)

/* How far reclaim goes. */
enum grade {
	GRADE_CACHE,
	GRADE_COLD,
	GRADE_FILES,
	GRADE_ALL,
};

static int64_t max_zero(int64_t bytes)
{
	return bytes > 0 ? bytes : 0;
}

static int64_t low_watermark(const struct sim_guest *guest)
{
	return (int64_t)trace_watermark(guest->traits);
}

int64_t sim_guest_actual(const struct sim_guest *guest)
{
	return (int64_t)guest->traits->boot_bytes - guest->balloon;
}

int64_t sim_guest_resident(const struct sim_guest *guest)
{
	return (int64_t)guest->traits->kernel_bytes + guest->anon + guest->cache + guest->zram +
	       guest->touched;
}

int64_t sim_guest_available(const struct sim_guest *guest)
{
	int64_t low = low_watermark(guest);

	return max_zero(guest->free - low + guest->cache - min_i64(guest->cache / 2, low));
}

bool sim_guest_balanced(const struct sim_guest *guest)
{
	int64_t sum = guest->balloon + guest->anon + guest->cache + guest->zram + guest->free;

	sum += (int64_t)guest->traits->kernel_bytes;
	return sum == (int64_t)guest->traits->boot_bytes && guest->balloon >= 0 &&
	       guest->anon >= 0 && guest->cache >= 0 && guest->zram >= 0 && guest->free >= 0 &&
	       guest->touched >= 0 && guest->touched <= guest->free && guest->swapped >= 0;
}

/* Uses free memory, touched pages first. */
static void take_free_pages(struct sim_guest *guest, int64_t bytes)
{
	guest->free -= bytes;
	guest->touched = max_zero(guest->touched - bytes);
}

static void give_pages(struct sim_guest *guest, int64_t bytes)
{
	guest->free += bytes;
	guest->touched += bytes;
}

static void inflate_balloon(struct sim_guest *guest, int64_t bytes)
{
	double part = guest->free ? (double)guest->touched / (double)guest->free : 0;
	int64_t touched = (int64_t)(part * (double)bytes);

	guest->free -= bytes;
	guest->touched = min_i64(guest->touched - touched, guest->free);
	guest->balloon += bytes;
}

static void deflate_balloon(struct sim_guest *guest, int64_t bytes)
{
	guest->balloon -= bytes;
	guest->free += bytes;
}

/* What an allocation can have at once: half of the watermark is kept for emergencies. */
static int64_t usable_bytes(const struct sim_guest *guest)
{
	return max_zero(guest->free - low_watermark(guest) / 2);
}

static void stall_guest(struct sim_guest *guest, int64_t bytes, int64_t speed)
{
	guest->stall_us += 1e6 * (double)bytes / (double)speed;
}

static int64_t guest_swap_speed(const struct sim_guest *guest)
{
	return guest->traits->swap == TRACE_SWAP_ZRAM ? ZRAM_SPEED : DISK_SPEED;
}

/* The load at this time, in bytes. */
struct wanted {
	int64_t hot, cold, file;
};

static struct wanted load_now(const struct sim_guest *guest, uint32_t step, int64_t now_us)
{
	const struct trace_load *load = &guest->traits->loads[step];
	struct wanted want = {
		.hot = load->hot_kib * KIB,
		.cold = max_zero(load->cold_kib * KIB - guest->leaked),
		.file = load->file_kib * KIB,
	};

	if (now_us < guest->down_until_us) {
		want.hot = want.hot * 3 / 10;
		want.cold = want.cold * 3 / 10;
	}
	return want;
}

static void drop_guest_cache(struct sim_guest *guest, int64_t bytes)
{
	guest->cache -= bytes;
	guest->counters.scan_bytes += (uint64_t)bytes;
	stall_guest(guest, bytes, DROP_SPEED);
	give_pages(guest, bytes);
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
	stall_guest(guest, bytes, guest_swap_speed(guest));
	give_pages(guest, bytes);
	if (zram) {
		take_free_pages(guest, bytes / ZRAM_FACTOR);
		guest->zram += bytes / ZRAM_FACTOR;
	}
}

/* Subtracts @bytes from what is swapped: they were read back, or freed. */
static void drop_swapped(struct sim_guest *guest, int64_t bytes)
{
	int64_t compressed = 0;

	if (guest->swapped > 0 && guest->zram)
		compressed = bytes == guest->swapped ? guest->zram
						     : min_i64(guest->zram, bytes / ZRAM_FACTOR);
	guest->swapped -= bytes;
	guest->zram -= compressed;
	give_pages(guest, compressed);
}

/* Whether waiting for swap would free memory. */
static bool swap_helps(const struct sim_guest *guest)
{
	return guest->swapped < (int64_t)guest->traits->swap_bytes && guest->anon > 0;
}

/*
 * Reclaims until @bytes are usable, or the grades up to @grade are exhausted.  Returns how many
 * bytes are usable, at most @bytes.
 */
static int64_t reclaim_memory(struct sim_guest *guest, const struct wanted *want, int64_t bytes,
			      enum grade grade)
{
	int64_t files, cold;

	if (usable_bytes(guest) < bytes)
		drop_guest_cache(guest, min_i64(max_zero(guest->cache - want->file),
						bytes - usable_bytes(guest)));
	if (grade >= GRADE_COLD && usable_bytes(guest) < bytes) {
		cold = max_zero(want->cold - guest->swapped);
		guest_swap_out(guest, min_i64(cold, bytes - usable_bytes(guest)));
		if (want->cold > guest->swapped && !guest->swap_left && swap_helps(guest))
			return min_i64(usable_bytes(guest), bytes); /* slow, but not exhausted */
	}
	if (grade >= GRADE_FILES && usable_bytes(guest) < bytes) {
		files = min_i64(guest->cache, bytes - usable_bytes(guest));
		drop_guest_cache(guest, files);
		guest->dropped += files;
	}
	if (grade >= GRADE_ALL && usable_bytes(guest) < bytes)
		guest_swap_out(guest, bytes - usable_bytes(guest));
	return min_i64(usable_bytes(guest), bytes);
}

static void move_balloon(struct sim_guest *guest, const struct wanted *want, int64_t now_us)
{
	int64_t goal, bytes, room;

	if (now_us >= guest->next_target_us)
		guest->target = guest->next_target;
	goal = max_zero((int64_t)guest->traits->boot_bytes - guest->target);
	bytes = goal - guest->balloon;
	guest->stuck = false;
	if (bytes <= 0) {
		deflate_balloon(guest, min_i64(-bytes, PER_STEP(guest->traits->deflate_bytes_s)));
		return;
	}
	bytes = min_i64(bytes, PER_STEP(guest->traits->inflate_bytes_s));
	room = reclaim_memory(guest, want, bytes, GRADE_ALL);
	inflate_balloon(guest, room);
	guest->stuck = room < bytes;
}

static void kill_guest_process(struct sim_guest *guest, int64_t now_us)
{
	int64_t bytes = guest->anon / 10 * 7;

	guest->counters.oom_kills++;
	guest->starved = 0;
	guest->anon -= bytes;
	give_pages(guest, bytes);
	drop_swapped(guest, guest->swapped / 10 * 7);
	guest->down_until_us = now_us + DOWN_US;
}

/* An allocation lacks @missing bytes, and nothing can be reclaimed. */
static void starve_guest(struct sim_guest *guest, const struct wanted *want, int64_t missing,
			 int64_t now_us)
{
	guest->stall_us = (double)SIM_STEP_US;
	guest->counters.alloc_stalls++;
	if (guest->traits->deflate_on_oom && guest->balloon > 0) {
		int64_t bytes = min_i64(OOM_DEFLATE, guest->balloon);

		deflate_balloon(guest, bytes);
		guest->counters.oom_deflated_bytes += (uint64_t)bytes;
		take_free_pages(guest, min_i64(missing, bytes));
		guest->anon += min_i64(missing, bytes);
		return;
	}
	if (++guest->starved < OOM_PATIENCE)
		return;
	kill_guest_process(guest, now_us);
	if (guest->traits->leaks)
		guest->leaked += want->cold;
}

static void free_anonymous(struct sim_guest *guest, int64_t bytes)
{
	int64_t swapped = min_i64(bytes, guest->swapped);

	drop_swapped(guest, swapped);
	bytes = min_i64(bytes - swapped, guest->anon);
	guest->anon -= bytes;
	give_pages(guest, bytes);
}

static void allocate_pages(struct sim_guest *guest, const struct wanted *want, int64_t now_us)
{
	int64_t missing = want->hot + want->cold - guest->anon - guest->swapped;
	int64_t bytes = KERNEL_ALLOC, room;

	if (missing < 0) {
		free_anonymous(guest, -missing);
		missing = 0;
	}
	bytes += min_i64(missing, PER_STEP(ALLOC_SPEED));
	room = reclaim_memory(guest, want, bytes, GRADE_ALL);
	missing = bytes - KERNEL_ALLOC - max_zero(room - KERNEL_ALLOC);
	take_free_pages(guest, max_zero(room - KERNEL_ALLOC));
	guest->anon += max_zero(room - KERNEL_ALLOC);
	if (room == bytes)
		guest->starved = 0;
	else if (swap_helps(guest))
		guest->stall_us = (double)SIM_STEP_US;
	else
		starve_guest(guest, want, missing, now_us);
}

/* Reads @bytes back from swap; what exceeds @room evicts as much other hot memory. */
static void guest_swap_in(struct sim_guest *guest, int64_t bytes, int64_t room)
{
	guest->swap_left -= bytes;
	guest->counters.swap_in_bytes += (uint64_t)bytes;
	guest->counters.swap_out_bytes += (uint64_t)(bytes - room);
	guest->counters.major_faults += (uint64_t)(bytes / PAGE);
	stall_guest(guest, bytes + (bytes - room), guest_swap_speed(guest));
	take_free_pages(guest, room);
	guest->anon += room;
	drop_swapped(guest, room);
}

static void touch_anonymous(struct sim_guest *guest, const struct wanted *want)
{
	int64_t hot = min_i64(max_zero(guest->swapped - want->cold), guest->swap_left);
	int64_t cold = min_i64(guest->swapped - max_zero(guest->swapped - want->cold),
			       want->cold / 2000); /* 0.5 %/s */

	if (hot > 0)
		guest_swap_in(guest, hot, reclaim_memory(guest, want, hot, GRADE_COLD));
	cold = min_i64(min_i64(cold, max_zero(guest->swap_left)),
		       max_zero(usable_bytes(guest) - low_watermark(guest)));
	if (cold > 0)
		guest_swap_in(guest, cold, cold);
}

static void touch_files(struct sim_guest *guest, const struct wanted *want)
{
	int64_t missing = min_i64(max_zero(want->file - guest->cache), guest->disk_left);
	int64_t again, room;

	guest->dropped = min_i64(guest->dropped, max_zero(want->file - guest->cache));
	if (!missing)
		return;
	room = reclaim_memory(guest, want, missing, GRADE_COLD);
	again = min_i64(missing, guest->dropped);
	guest->disk_left -= missing;
	guest->counters.refault_bytes += (uint64_t)again;
	guest->counters.major_faults += (uint64_t)(again / PAGE);
	stall_guest(guest, again, DISK_SPEED);
	take_free_pages(guest, room);
	guest->cache += room;
	/* What finds no room is read again in the next step. */
	guest->dropped += missing - room;
}

static void fill_cache_with_reads(struct sim_guest *guest, uint32_t step)
{
	int64_t bytes = guest->traits->loads[step].read_kib * KIB;

	bytes = min_i64(bytes, max_zero(guest->free - low_watermark(guest)));
	take_free_pages(guest, bytes);
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
	int64_t total = guest->traits->deflate_on_oom ? (int64_t)guest->traits->boot_bytes
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

void sim_guest_init(struct sim_guest *guest, const struct trace_guest *traits, uint32_t index)
{
	const struct trace_load *load = &traits->loads[0];
	int64_t start = (int64_t)traits->start_bytes, room;

	*guest = (struct sim_guest){
		.traits = traits,
		.target = start,
		.next_target = start,
		.balloon = (int64_t)traits->boot_bytes - start,
		.free = start - (int64_t)traits->kernel_bytes,
		/* Guests report their statistics at different times. */
		.next_statistics_us = (int64_t)index * 170000 % traits->period_us,
	};
	room = usable_bytes(guest);
	guest->anon = min_i64(room, (load->hot_kib + (int64_t)load->cold_kib) * KIB);
	guest->cache = min_i64(room - guest->anon, load->file_kib * KIB);
	take_free_pages(guest, guest->anon + guest->cache);
}

void sim_guest_set_target(struct sim_guest *guest, uint64_t bytes, int64_t now_us)
{
	int64_t target = min_i64((int64_t)bytes, (int64_t)guest->traits->boot_bytes);

	if (target == guest->next_target)
		return;
	/* A target that is replaced before the driver acted on it has no effect. */
	if (now_us >= guest->next_target_us)
		guest->target = guest->next_target;
	guest->next_target = target;
	guest->next_target_us = now_us + guest->traits->late_us;
}

void sim_guest_step(struct sim_guest *guest, uint32_t step, int64_t now_us)
{
	struct wanted want = load_now(guest, step, now_us);
	bool faulty = guest->traits->fault != TRACE_HEALTHY && step >= guest->traits->fault_step;

	guest->disk_left = PER_STEP(DISK_SPEED);
	guest->swap_left =
		guest->traits->swap == TRACE_SWAP_NONE ? 0 : PER_STEP(guest_swap_speed(guest));
	if (!faulty || guest->traits->fault != TRACE_DEAD_DRIVER)
		move_balloon(guest, &want, now_us);
	guest->stall_us = 0; /* only the driver waited */
	allocate_pages(guest, &want, now_us);
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
