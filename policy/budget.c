/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget.
 *
 * Theory of operation
 * -------------------
 * If every guest vanished, the host would have free what their processes hold,
 * and what is available already.  Less the host's own reserve and what is
 * promised to guests that start, this is what guests' sizes may sum up to.
 *
 * A size counts in full even where the guest has never touched the memory: it may
 * at any moment.  So nothing is promised twice.  Optimism adds a share of what was
 * granted and never touched.
 *
 * Of a process no more is counted than the guest's size: what QEMU itself takes
 * does not come free by ballooning, nor does what was ballooned and is not yet
 * released.  A process of unknown size is taken to hold its guest's size, which
 * moves neither side of the account.
 *
 * A guest's use is the larger of what it has and what it may have: a target above
 * may be taken any time, and memory below is there only once the guest gave it.
 */
#include "policy/budget.h"

#include "policy/constants.h"
#include "policy/numbers.h"

uint64_t budget_actual(const struct policy_guest *guest)
{
	return least(least(guest->actual_bytes, guest->boot_bytes), BYTES_MAX);
}

uint64_t budget_present(const struct policy_guest *guest)
{
	if (guest->target_bytes == POLICY_UNSET)
		return budget_actual(guest);
	return least(least(guest->target_bytes, guest->boot_bytes), BYTES_MAX);
}

uint64_t budget_use(const struct policy_guest *guest)
{
	if (guest->rules.mode == POLICY_OFF || !guest->has_driver)
		return budget_actual(guest);
	return most(budget_actual(guest), budget_present(guest));
}

static double part_of_bytes(double value)
{
	if (!(value > 0))
		return 0;
	return value < 1 ? value : 1;
}

uint64_t budget_host_reserve(const struct policy_host *host, const struct policy_settings *settings)
{
	double total = (double)host->total_bytes;
	double reserve, limit = HOST_RESERVE_MAX_PART * total;

	if (settings->reserve_bytes != POLICY_UNSET)
		reserve = (double)settings->reserve_bytes;
	else if (HOST_RESERVE_SMALL_PART * total < (double)HOST_RESERVE_BYTES)
		reserve = HOST_RESERVE_SMALL_PART * total;
	else if (HOST_RESERVE_PART * total < (double)HOST_RESERVE_BYTES)
		reserve = (double)HOST_RESERVE_BYTES;
	else
		reserve = HOST_RESERVE_PART * total;
	if (limit < reserve)
		limit = reserve;
	reserve *= 1 + HOST_PRESSURE_FACTOR * part_of_bytes(host->pressure);
	return (uint64_t)(reserve < limit ? reserve : limit);
}

/* What of its size the guest's process holds. */
static uint64_t sum_held_bytes(const struct policy_guest *guest)
{
	uint64_t actual = budget_actual(guest);

	return guest->resident_bytes == POLICY_UNSET ? actual
						     : least(guest->resident_bytes, actual);
}

static uint64_t sum_present_bytes(const struct policy_guest *guests, size_t count)
{
	uint64_t use = 0;

	for (size_t i = 0; i < count; i++)
		use = plus(use, budget_use(&guests[i]));
	return use;
}

static uint64_t obtainable_bytes(const struct policy_host *host,
				 const struct policy_settings *settings,
				 const struct policy_guest *guests, size_t count)
{
	uint64_t bytes = host->available_bytes, untouched = 0;

	for (size_t i = 0; i < count; i++) {
		bytes = plus(bytes, sum_held_bytes(&guests[i]));
		untouched = plus(untouched, budget_actual(&guests[i]) - sum_held_bytes(&guests[i]));
	}
	return plus(bytes, (uint64_t)(part_of_bytes(settings->optimism) * (double)untouched));
}

struct budget budget_for(const struct policy_host *host, const struct policy_settings *settings,
			 const struct policy_guest *guests, size_t count)
{
	struct budget budget = { .bytes = settings->budget_bytes };
	uint64_t reserve = 0;

	if (budget.bytes == POLICY_UNSET) {
		if (host->available_bytes == POLICY_UNSET || host->total_bytes == POLICY_UNSET)
			return budget;
		reserve = budget_host_reserve(host, settings);
		budget.spare = reserve / 2;
		budget.bytes = less(obtainable_bytes(host, settings, guests, count), reserve);
	}
	if (host->reserved_bytes != POLICY_UNSET)
		budget.bytes = less(budget.bytes, host->reserved_bytes);
	if (host->critical) {
		/* Whatever the numbers say, the host stalls: it needs what it has for itself. */
		budget.bytes = least(budget.bytes, less(sum_present_bytes(guests, count), reserve));
		budget.spare = 0;
	}
	return budget;
}
