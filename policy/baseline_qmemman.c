/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qmemman: the memory manager of Qubes OS (QubesOS/qubes-core-admin, qubes/qmemman; the rule is
 * in the documentation's page "qmemman").
 *
 * Theory of operation
 * -------------------
 * A guest prefers 1.3 times what it uses, and at least 200 MiB.  Used is what is neither free
 * nor page cache, and what is in swap.  If all guests can have what they prefer, the rest is
 * divided in proportion to it.  Otherwise guests that have more than they prefer are donors and
 * go down to it; what is left then is divided among the others, the acceptors, in proportion to
 * what they prefer.
 *
 * That is done only if it is worth it: more than 150 MiB would be moved, or a guest below what
 * it prefers would get more than 15 MiB.
 *
 * In a Xen domain MemTotal follows the balloon.  With virtio it does so only without
 * deflate-on-oom, so the guest's size is used instead.
 *
 * qmemman works on every report of a guest, once per second; here that is in every step.  A
 * guest without a report prefers the size that it has.
 */
#include "policy/baseline.h"

#define FACTOR 1.3
#define MIN_PREFERRED (200 * BASELINE_MIB)
#define MIN_TRANSFER (150 * BASELINE_MIB)
#define MIN_HELP (15 * BASELINE_MIB)

static uint64_t qmemman_known_or_zero(uint64_t bytes)
{
	return bytes != POLICY_UNSET ? bytes : 0;
}

static uint64_t qmemman_used_bytes(const struct policy_guest *guest)
{
	uint64_t total = qmemman_known_or_zero(guest->actual_then_bytes);
	uint64_t spare = qmemman_known_or_zero(guest->free_bytes) +
			 qmemman_known_or_zero(guest->cache_bytes);
	uint64_t out = qmemman_known_or_zero(guest->swap_out_bytes);
	uint64_t in = qmemman_known_or_zero(guest->swap_in_bytes);

	return (total > spare ? total - spare : 0) + (out > in ? out - in : 0);
}

static uint64_t qmemman_preferred_bytes(const struct policy_guest *guest)
{
	double bytes = FACTOR * (double)qmemman_used_bytes(guest);
	uint64_t max = baseline_max(guest);

	if (!guest->taken_us || guest->actual_then_bytes == POLICY_UNSET)
		return baseline_clamp(guest, guest->actual_bytes);
	if (bytes < (double)MIN_PREFERRED)
		bytes = (double)MIN_PREFERRED;
	return bytes < (double)max ? (uint64_t)bytes : max;
}

static void qmemman_divide_surplus(const struct policy_guest *guests, size_t count,
				   struct policy_decision *decisions, uint64_t budget, uint64_t sum)
{
	double share = sum ? (double)(budget - sum) / (double)sum : 0;
	uint64_t pref;

	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		pref = qmemman_preferred_bytes(&guests[i]);
		baseline_set(&decisions[i], &guests[i],
			     baseline_clamp(&guests[i], pref + (uint64_t)(share * (double)pref)),
			     POLICY_REASON_SURPLUS,
			     "prefers %.0f MiB, and gets a share of the rest", baseline_mib(pref));
	}
}

static void qmemman_divide_scarce(const struct policy_guest *guests, size_t count,
				  struct policy_decision *decisions, uint64_t budget)
{
	uint64_t acceptors = 0, donors = 0, pref;
	double part = 0;

	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		pref = qmemman_preferred_bytes(&guests[i]);
		if (guests[i].actual_bytes > pref)
			donors += pref;
		else
			acceptors += pref;
	}
	if (acceptors && budget > donors)
		part = (double)(budget - donors) / (double)acceptors;
	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		pref = qmemman_preferred_bytes(&guests[i]);
		if (guests[i].actual_bytes > pref)
			baseline_set(&decisions[i], &guests[i], baseline_clamp(&guests[i], pref),
				     POLICY_REASON_IDLE, "a donor: prefers %.0f MiB",
				     baseline_mib(pref));
		else
			baseline_set(&decisions[i], &guests[i],
				     baseline_clamp(&guests[i], (uint64_t)(part * (double)pref)),
				     POLICY_REASON_SHARE,
				     "an acceptor: %.1f %% of the %.0f MiB that it prefers",
				     100 * part, baseline_mib(pref));
	}
}

/* Whether the new targets differ enough from the present ones to be set. */
static bool qmemman_is_significant(const struct policy_guest *guests, size_t count,
				   const struct policy_decision *decisions)
{
	uint64_t transfer = 0, was, target;

	for (size_t i = 0; i < count; i++) {
		was = baseline_present(&guests[i]);
		target = decisions[i].target_bytes;
		if (was < qmemman_preferred_bytes(&guests[i]) && target > was + MIN_HELP)
			return true;
		transfer += target > was ? target - was : was - target;
	}
	return transfer > MIN_TRANSFER;
}

static int qmemman_step(struct policy_state *state, const struct policy_host *host,
			const struct policy_guest *guests, size_t count,
			struct policy_decision *decisions, struct policy_outcome *outcome)
{
	const struct baseline_plain *plain = (const struct baseline_plain *)state;
	uint64_t budget = baseline_budget(&plain->settings, host, guests, count);
	uint64_t sum = 0;

	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	outcome->budget_bytes = baseline_whole_budget(&plain->settings, host, guests, count);
	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			sum += qmemman_preferred_bytes(&guests[i]);
	outcome->want_bytes = sum;
	outcome->overcommitted = budget < sum;
	if (budget >= sum)
		qmemman_divide_surplus(guests, count, decisions, budget, sum);
	else
		qmemman_divide_scarce(guests, count, decisions, budget);
	if (!qmemman_is_significant(guests, count, decisions))
		baseline_keep(guests, count, decisions);
	return 0;
}

const struct policy_ops policy_qmemman = {
	.name = "qmemman",
	.help = "Qubes': 1.3 times what is used, and the rest in proportion",
	.create = baseline_plain_create,
	.destroy = baseline_plain_destroy,
	.configure = baseline_plain_configure,
	.step = qmemman_step,
};
