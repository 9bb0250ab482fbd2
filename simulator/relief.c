/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/relief.h"

#include "simulator/pages.h"

#define PULL_BLOCK (64 * SIM_MIB)
#define PULL_US 3000.0
#define PULL_SPEED (4 * SIM_GIB)
#define STOCK_OOM_BLOCK (32 * SIM_MIB)
#define OWN_OOM_BLOCK (64 * SIM_MIB)
#define OWN_PAUSE_US INT64_C(5000000)

/* How much of @bytes the device acknowledges now. */
static int64_t pass_gate(struct sim_guest *guest, int64_t bytes, bool out_of_memory)
{
	int64_t size = (int64_t)guest->traits->boot_bytes - guest->balloon;
	int64_t below = max_zero(guest->ceiling - size);
	int64_t free = min_i64(guest->credit, below);

	if (free > 0) {
		bytes = min_i64(bytes, free);
		if (guest->credit != INT64_MAX)
			guest->credit -= bytes;
		guest->held_since_us = 0;
		return bytes;
	}
	if (!guest->held_since_us)
		guest->held_since_us = guest->now_us;
	guest->counters.held_us += (uint64_t)SIM_STEP_US;
	if (guest->now_us - guest->held_since_us < RELIEF_HOLD_US || (!below && !out_of_memory))
		return 0;
	guest->held_since_us = guest->now_us;
	return out_of_memory ? bytes : min_i64(bytes, below);
}

static void give_back(struct sim_guest *guest, int64_t bytes)
{
	pages_deflate(guest, bytes);
	guest->counters.pulled_bytes += (uint64_t)bytes;
	if (guest->traits->own_driver)
		guest->rest_until_us = guest->now_us + OWN_PAUSE_US;
	else if (!guest->stuck)
		guest->rest_until_us = INT64_MAX;
}

void relief_pull(struct sim_guest *guest, int64_t bytes)
{
	while (pages_usable(guest) < bytes && guest->pull_left_us > 0 && guest->balloon > 0) {
		int64_t block = pass_gate(guest, min_i64(PULL_BLOCK, guest->balloon), false);
		double us = PULL_US + 1e6 * (double)block / (double)PULL_SPEED;

		if (!block) {
			guest->pull_left_us = 0;
			return;
		}
		give_back(guest, block);
		guest->stall_us += us;
		guest->pull_left_us -= us;
	}
}

bool relief_out_of_memory(struct sim_guest *guest)
{
	int64_t block = guest->traits->own_driver ? OWN_OOM_BLOCK : STOCK_OOM_BLOCK;

	if (!(guest->traits->abilities & POLICY_CAN_RELIEVE) || guest->dead || !guest->balloon)
		return false;
	give_back(guest, pass_gate(guest, min_i64(block, guest->balloon), true));
	return true;
}
