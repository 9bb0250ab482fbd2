/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/pages.h"

#define REPORT_CALL (128 * SIM_MIB)
#define REPORT_PART 16
#define REPORT_STEPS (2 * SIM_STEPS_PER_SECOND)
#define SMALL_BLOCKS 0.15 /* of free memory, in blocks that are too small to be reported */

void pages_take(struct sim_guest *guest, int64_t bytes)
{
	guest->free -= bytes;
	guest->touched = max_zero(guest->touched - bytes);
}

void pages_free(struct sim_guest *guest, int64_t bytes)
{
	guest->free += bytes;
	guest->touched += bytes;
}

void pages_inflate(struct sim_guest *guest, int64_t bytes)
{
	double part = guest->free ? (double)guest->touched / (double)guest->free : 0;
	int64_t touched = (int64_t)(part * (double)bytes);

	guest->free -= bytes;
	guest->touched = min_i64(guest->touched - touched, guest->free);
	guest->balloon += bytes;
}

void pages_deflate(struct sim_guest *guest, int64_t bytes)
{
	guest->balloon -= bytes;
	guest->free += bytes;
}

void pages_report(struct sim_guest *guest)
{
	int64_t most = guest->free / REPORT_PART, excess;

	if (!(guest->traits->abilities & POLICY_CAN_REPORT))
		return;
	excess = guest->touched - (int64_t)(SMALL_BLOCKS * (double)guest->free);
	if (most < REPORT_CALL)
		most = REPORT_CALL;
	excess = max_zero(min_i64(excess, most / REPORT_STEPS));
	guest->touched -= excess;
	guest->counters.reported_bytes += (uint64_t)excess;
}

int64_t pages_usable(const struct sim_guest *guest)
{
	return max_zero(guest->free - pages_watermark(guest) / 2);
}

int64_t pages_watermark(const struct sim_guest *guest)
{
	return (int64_t)trace_watermark(guest->traits);
}

void pages_stall(struct sim_guest *guest, int64_t bytes, int64_t speed)
{
	guest->stall_us += 1e6 * (double)bytes / (double)speed;
}
