/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/relief.h"

#include "simulator/pages.h"

#define PULL_BLOCK (64 * SIM_MIB)
#define PULL_US 3000.0
#define PULL_SPEED (4 * SIM_GIB)
#define STOCK_OOM_BLOCK (32 * SIM_MIB)
#define OWN_OOM_BLOCK (64 * SIM_MIB)
#define OWN_PAUSE_US INT64_C(5000000)

static int64_t guest_size(const struct sim_guest *guest)
{
	return (int64_t)guest->traits->boot_bytes - guest->balloon;
}

void relief_set_gate(struct sim_guest *guest, uint64_t credit, uint64_t ceiling, int64_t now_us)
{
	int64_t size = guest_size(guest);
	int64_t own = size > guest->next_target ? size : guest->next_target;
	int64_t room = (int64_t)guest->traits->boot_bytes - own;

	guest->credit_until_us = 0;
	if (!(guest->traits->abilities & POLICY_CAN_GATE) || credit == POLICY_UNSET)
		return;
	guest->credit_until_us = now_us + RELIEF_CREDIT_US;
	if (credit)
		guest->doublings = 0;
	guest->ceiling = ceiling < INT64_MAX ? (int64_t)ceiling : INT64_MAX;
	guest->allowed = own + (credit < (uint64_t)room ? (int64_t)credit : room);
	if (guest->allowed > guest->ceiling)
		guest->allowed = guest->ceiling > own ? guest->ceiling : own;
}

/* How much of @bytes the device acknowledges now. */
static int64_t pass_gate(struct sim_guest *guest, int64_t bytes)
{
	int64_t size = guest_size(guest), wait;

	if (guest->now_us >= guest->credit_until_us || size < guest->allowed) {
		guest->held_since_us = 0;
		return guest->now_us < guest->credit_until_us
			       ? min_i64(bytes, guest->allowed - size)
			       : bytes;
	}
	if (!guest->held_since_us) {
		guest->held_since_us = guest->now_us;
		guest->counters.gate_waits++;
	}
	guest->counters.held_us += (uint64_t)SIM_STEP_US;
	wait = size < guest->ceiling ? RELIEF_HOLD_US : RELIEF_CEILING_HOLD_US << guest->doublings;
	if (guest->now_us - guest->held_since_us < wait)
		return 0;
	if (size >= guest->ceiling && guest->doublings < RELIEF_DOUBLINGS)
		guest->doublings++;
	guest->held_since_us = 0;
	guest->allowed += RELIEF_STEP_BYTES;
	return min_i64(bytes, RELIEF_STEP_BYTES);
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
		int64_t block = pass_gate(guest, min_i64(PULL_BLOCK, guest->balloon));
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
	block = pass_gate(guest, min_i64(block, guest->balloon));
	if (block)
		give_back(guest, block);
	return block || guest->now_us - guest->held_since_us < RELIEF_PATIENCE_US;
}
