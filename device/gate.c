/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate: how much a guest may take back by itself.
 *
 * Theory of operation
 * -------------------
 * A guest that is short of memory deflates without being asked.  With MUST_TELL_HOST
 * it may use those pages only when the device has returned the buffer that names them.
 * So while the guest has all that it may take, its deflate buffers stay in the ring;
 * nothing of them was looked at, and their pages are still in the balloon.
 *
 * What it may have is its target, or its size when the credit was set if that is more,
 * plus the credit; the credit does not reach beyond the ceiling.  Sizes are those of
 * the account, which the guest does not write.  Moving a page for compaction takes
 * nothing, since its inflation comes first.
 *
 * The wait is bounded, because tasks in the guest wait behind it, in the worst case on
 * the way to its OOM killer.  After GATE_WAIT_NS, GATE_STEP_BYTES may pass, and the next
 * buffer waits again.  Our driver gives up after a second and lets its kernel kill, so
 * the wait is half of that: twice what a daemon needs that reacts to BALLOON_EVENT_PULL.
 * A guest at its ceiling has no more to expect.  It waits ten times as long, and twice as
 * long each time, until it has credit again: what several guests take so, a host that is
 * short does not have.
 *
 * The gate is open when no credit is set, after a credit has run out (its manager hangs),
 * and without MUST_TELL_HOST.  After a reset it is open until the credit is set again,
 * since the guest has all its memory then.
 *
 * A driver may report a size before it has it: that which it will have when its deflations are
 * acknowledged, or any other.  A manager that follows what a guest has taken back would then raise
 * the target, and so open the gate itself.  So with a credit the reported size is at most that of
 * the account.
 */
#include "device/state.h"

#define GATE_WAIT_NS UINT64_C(500000000)
#define GATE_CEILING_WAIT_NS (10 * GATE_WAIT_NS)
#define GATE_DOUBLINGS 6 /* of that, at most: 320 s */
#define GATE_STEP_BYTES (UINT64_C(16) << 20)
#define GATE_PULL_BYTES (UINT64_C(1) << 20) /* that are worth an event: a buffer of Linux */

static uint64_t guest_size(const struct balloon *balloon)
{
	uint64_t max = config_max_bytes(balloon);
	uint64_t ballooned = balloon->pages.ballooned * MEMORY_PAGE_BYTES;

	return max > ballooned ? max - ballooned : 0;
}

static uint64_t target_size(const struct balloon *balloon)
{
	uint64_t max = config_max_bytes(balloon);
	uint64_t away = balloon->config.num_pages * MEMORY_PAGE_BYTES;

	return max > away ? max - away : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The sum, or the largest number. */
static uint64_t add(uint64_t a, uint64_t b)
{
	return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

static uint64_t allowed_size(const struct balloon *balloon)
{
	const struct gate_state *gate = &balloon->gate;
	uint64_t target = target_size(balloon);
	uint64_t own = larger(gate->base_bytes, target);
	uint64_t allowed = add(own, gate->credit_bytes);

	if (allowed > gate->ceiling_bytes)
		allowed = larger(gate->ceiling_bytes, own);
	return add(allowed, gate->granted_bytes);
}

static bool has_credit(const struct balloon *balloon)
{
	return balloon->gate.credit_bytes != BALLOON_UNSET &&
	       is_acknowledged(balloon, BALLOON_F_MUST_TELL_HOST) &&
	       balloon_now_ns(balloon) < balloon->gate.expires_ns;
}

uint64_t gate_bound_size(const struct balloon *balloon, uint64_t claimed_bytes)
{
	uint64_t size = guest_size(balloon);

	return has_credit(balloon) && size < claimed_bytes ? size : claimed_bytes;
}

/* Whether the buffer that waits would take the guest beyond its ceiling. */
static bool is_at_ceiling(const struct balloon *balloon)
{
	return guest_size(balloon) + balloon->gate.waiting_bytes > balloon->gate.ceiling_bytes;
}

/* Until when the buffer waits that waits now. */
static uint64_t wait_end_ns(const struct balloon *balloon)
{
	const struct gate_state *gate = &balloon->gate;
	uint64_t wait =
		is_at_ceiling(balloon) ? GATE_CEILING_WAIT_NS << gate->doublings : GATE_WAIT_NS;
	uint64_t end = gate->since_ns + wait;

	return end < gate->expires_ns ? end : gate->expires_ns;
}

static void begin_wait(struct balloon *balloon, uint64_t bytes)
{
	balloon->gate.waiting = true;
	balloon->gate.waiting_bytes = bytes;
	balloon->gate.since_ns = balloon_now_ns(balloon);
	balloon_count(balloon, BALLOON_C_GATE_WAITS, 1);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_PULL);
}

bool gate_is_open(struct balloon *balloon, uint64_t bytes)
{
	struct gate_state *gate = &balloon->gate;

	if (!has_credit(balloon) || guest_size(balloon) + bytes <= allowed_size(balloon)) {
		gate->waiting = false;
		return true;
	}
	if (!gate->waiting)
		begin_wait(balloon, bytes);
	if (balloon_now_ns(balloon) < wait_end_ns(balloon))
		return false;
	if (is_at_ceiling(balloon) && gate->doublings < GATE_DOUBLINGS)
		gate->doublings++;
	gate->waiting = false;
	gate->granted_bytes = add(gate->granted_bytes, larger(bytes, GATE_STEP_BYTES));
	balloon_count(balloon, BALLOON_C_GATE_TIMEOUTS, 1);
	return true;
}

bool gate_still_waits(struct balloon *balloon)
{
	return balloon->gate.waiting && !gate_is_open(balloon, balloon->gate.waiting_bytes);
}

uint64_t gate_due_ns(const struct balloon *balloon)
{
	return balloon->gate.waiting ? wait_end_ns(balloon) : BALLOON_IDLE;
}

void gate_note_sizes(struct balloon *balloon, bool deflated)
{
	struct gate_state *gate = &balloon->gate;
	uint64_t size = guest_size(balloon);

	if (deflated && has_credit(balloon))
		balloon->host.event(balloon->host.data, BALLOON_EVENT_ACTUAL);
	if (!deflated) {
		if (size < gate->seen_bytes)
			gate->seen_bytes = size;
		return;
	}
	if (size <= target_size(balloon))
		gate->seen_bytes = size;
	if (size < add(gate->seen_bytes, GATE_PULL_BYTES))
		return;
	balloon_count(balloon, BALLOON_C_PULLED_PAGES,
		      (size - larger(gate->seen_bytes, target_size(balloon))) / MEMORY_PAGE_BYTES);
	gate->seen_bytes = size;
	balloon->host.event(balloon->host.data, BALLOON_EVENT_PULL);
}

void gate_init(struct balloon *balloon)
{
	balloon_clear_credit(balloon);
	gate_reset(balloon);
}

void gate_reset(struct balloon *balloon)
{
	balloon->gate.waiting = false;
	balloon->gate.seen_bytes = BALLOON_UNSET;
	balloon->gate.base_bytes = BALLOON_UNSET;
	balloon->gate.doublings = 0;
}

void balloon_set_credit(struct balloon *balloon, uint64_t credit_bytes, uint64_t ceiling_bytes,
			uint64_t lifetime_ns)
{
	struct gate_state *gate = &balloon->gate;

	gate->base_bytes = guest_size(balloon);
	gate->credit_bytes = credit_bytes;
	gate->ceiling_bytes = ceiling_bytes;
	gate->granted_bytes = 0;
	if (credit_bytes)
		gate->doublings = 0;
	gate->expires_ns = add(balloon_now_ns(balloon), lifetime_ns);
}

void balloon_clear_credit(struct balloon *balloon)
{
	balloon->gate.credit_bytes = balloon->gate.ceiling_bytes = BALLOON_UNSET;
}

struct balloon_gate balloon_gate(const struct balloon *balloon)
{
	const struct gate_state *gate = &balloon->gate;
	bool on = has_credit(balloon);

	return (struct balloon_gate){
		.credit_bytes = on ? gate->credit_bytes : BALLOON_UNSET,
		.ceiling_bytes = on ? gate->ceiling_bytes : BALLOON_UNSET,
		.allowed_bytes = on ? allowed_size(balloon) : BALLOON_UNSET,
		.size_bytes = guest_size(balloon),
		.waiting = gate->waiting,
	};
}
