/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * squeezed: Xen's (xapi-project, squeezed, its design document).
 *
 * Theory of operation
 * -------------------
 * Each domain has a range, dynamic-min to dynamic-max, and all domains are at the same point
 * of their ranges: t = min + γ (max − min), with the γ of 0…1 that uses all of the memory.  What
 * a guest needs is not considered.  squeezed balances whenever memory is requested or freed;
 * here that is in every step.
 */
#include "policy/baseline.h"

static double squeezed_gamma(uint64_t budget, uint64_t min, uint64_t max)
{
	if (budget >= max)
		return 1;
	if (budget <= min)
		return 0;
	return (double)(budget - min) / (double)(max - min);
}

static int squeezed_step(struct policy_state *state, const struct policy_host *host,
			 const struct policy_guest *guests, size_t count,
			 struct policy_decision *decisions, struct policy_outcome *outcome)
{
	const struct baseline_plain *plain = (const struct baseline_plain *)state;
	uint64_t min = 0, max = 0, low, range;
	double gamma;

	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	outcome->budget_bytes = baseline_whole_budget(&plain->settings, host, guests, count);
	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		min += baseline_min(&guests[i]);
		max += baseline_max(&guests[i]);
	}
	gamma = squeezed_gamma(baseline_budget(&plain->settings, host, guests, count), min, max);
	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		low = baseline_min(&guests[i]);
		range = baseline_max(&guests[i]) - low;
		baseline_set(&decisions[i], &guests[i], low + (uint64_t)(gamma * (double)range),
			     POLICY_REASON_SHARE,
			     "its minimum and %.1f %% of the %.0f MiB above it", 100 * gamma,
			     baseline_mib(range));
	}
	return 0;
}

const struct policy_ops policy_squeezed = {
	.name = "squeezed",
	.help = "Xen's: each guest at the same point between its minimum and maximum",
	.create = baseline_plain_create,
	.destroy = baseline_plain_destroy,
	.configure = baseline_plain_configure,
	.step = squeezed_step,
};
