/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget.
 *
 * Theory of operation
 * -------------------
 * If every guest ended, the host would have free what their processes hold now, and what
 * is available already.  Less the host's own reserve and what is promised to guests that
 * are about to start, this is the budget for the sum of all guests' use.
 *
 * A guest's use is the larger of its size and its target: it may take memory up to a higher
 * target at any time, and memory above a lower target is free only once the guest has given
 * it.  All of it counts, even memory that the guest has never touched, so nothing is
 * promised twice.  The setting `optimism` counts a share of the untouched memory as free.
 *
 * A process counts with at most its guest's size: ballooning frees neither QEMU's own memory
 * nor pages in the balloon that are not released yet.  If the size of a process is not known,
 * it counts with its guest's size, which changes budget and use alike.
 *
 * A group of guests under a memory limit has a budget of the same kind: what its guests hold of
 * their RAM, and what is available below the limit, less a reserve.  Here the VMM's own memory
 * does not count as the guest's, because a limit is often near, and the kernel kills at it.
 */
#include "policy/budget.h"

#include "policy/constants.h"
#include "policy/numbers.h"

uint64_t budget_actual_bytes(const struct policy_guest *guest)
{
	return min_u64(min_u64(guest->actual_bytes, guest->boot_bytes), BYTES_MAX);
}

uint64_t budget_target_bytes(const struct policy_guest *guest)
{
	if (guest->target_bytes == POLICY_UNSET)
		return budget_actual_bytes(guest);
	return min_u64(min_u64(guest->target_bytes, guest->boot_bytes), BYTES_MAX);
}

uint64_t budget_used_bytes(const struct policy_guest *guest)
{
	if (guest->rules.mode == POLICY_OFF || !guest->has_driver)
		return budget_actual_bytes(guest);
	return max_u64(budget_actual_bytes(guest), budget_target_bytes(guest));
}

static double clamp_fraction(double value)
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
	reserve *= 1 + HOST_PRESSURE_FACTOR * clamp_fraction(host->pressure);
	return (uint64_t)(reserve < limit ? reserve : limit);
}

/* How much of the guest's size its process holds. */
static uint64_t resident_part(const struct policy_guest *guest)
{
	uint64_t actual = budget_actual_bytes(guest);

	return guest->resident_bytes == POLICY_UNSET ? actual
						     : min_u64(guest->resident_bytes, actual);
}

static uint64_t sum_all_uses(const struct policy_guest *guests, size_t count)
{
	uint64_t use = 0;

	for (size_t i = 0; i < count; i++)
		use = saturating_add(use, budget_used_bytes(&guests[i]));
	return use;
}

static uint64_t obtainable_bytes(const struct policy_host *host,
				 const struct policy_settings *settings,
				 const struct policy_guest *guests, size_t count)
{
	uint64_t bytes = host->available_bytes, untouched = 0;

	for (size_t i = 0; i < count; i++) {
		bytes = saturating_add(bytes, resident_part(&guests[i]));
		untouched = saturating_add(untouched, budget_actual_bytes(&guests[i]) -
							      resident_part(&guests[i]));
	}
	return saturating_add(bytes,
			      (uint64_t)(clamp_fraction(settings->optimism) * (double)untouched));
}

struct budget budget_compute(const struct policy_host *host, const struct policy_settings *settings,
			     const struct policy_guest *guests, size_t count)
{
	struct budget budget = { .bytes = settings->budget_bytes };
	uint64_t reserve = 0;

	if (budget.bytes == POLICY_UNSET) {
		if (host->available_bytes == POLICY_UNSET || host->total_bytes == POLICY_UNSET)
			return budget;
		reserve = budget_host_reserve(host, settings);
		budget.spare = reserve / 2;
		budget.bytes =
			saturating_sub(obtainable_bytes(host, settings, guests, count), reserve);
	}
	if (host->reserved_bytes != POLICY_UNSET)
		budget.bytes = saturating_sub(budget.bytes, host->reserved_bytes);
	if (host->critical) {
		/* The host stalls, whatever its numbers say: it gets its whole reserve. */
		budget.bytes =
			min_u64(budget.bytes, saturating_sub(sum_all_uses(guests, count), reserve));
		budget.spare = 0;
	}
	return budget;
}

uint64_t budget_resident_bytes(const struct policy_guest *guest)
{
	if (!(guest->abilities & POLICY_CAN_REPORT) || guest->rules.mode == POLICY_OFF ||
	    guest->resident_bytes == POLICY_UNSET)
		return POLICY_UNSET;
	return min_u64(guest->resident_bytes, BYTES_MAX);
}

uint64_t budget_held_bytes(const struct policy_guest *guest)
{
	uint64_t actual = budget_actual_bytes(guest);

	if (guest->ram_bytes != POLICY_UNSET)
		return min_u64(guest->ram_bytes, BYTES_MAX);
	if (guest->resident_bytes != POLICY_UNSET)
		actual = min_u64(guest->resident_bytes, actual);
	return saturating_sub(actual, GROUP_OWN_BYTES);
}

uint64_t budget_group_bytes(const struct policy_group *group, uint64_t held)
{
	uint64_t reserve =
		min_u64(max_u64(group->limit_bytes / GROUP_RESERVE_PART, GROUP_RESERVE_BYTES),
			group->limit_bytes / GROUP_RESERVE_SMALL_PART);
	uint64_t most = saturating_sub(group->limit_bytes, GROUP_OWN_BYTES);

	if (group->available_bytes == POLICY_UNSET)
		return saturating_sub(most, reserve);
	return saturating_sub(
		min_u64(saturating_add(held, group->available_bytes), group->limit_bytes), reserve);
}

uint64_t budget_group_number(const struct policy_host *host, const struct policy_guest *guest)
{
	return guest->group <= host->group_count ? guest->group : 0;
}

uint64_t budget_group_parent(const struct policy_host *host, uint64_t number)
{
	uint64_t parent = host->groups[number - 1].parent;

	return parent < number ? parent : 0;
}
