/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maximum: no ballooning.
 *
 * Theory of operation
 * -------------------
 * Each guest has its maximum.  What its guests do not use the host has only if they report free
 * pages.  This is what anyone can have today with one line of configuration, so it is what a policy
 * must be worth more than.
 */
#include "policy/baseline.h"

static int maximum_step(struct policy_state *state, const struct policy_host *host,
			const struct policy_guest *guests, size_t count,
			struct policy_decision *decisions, struct policy_outcome *outcome)
{
	(void)state;
	(void)host;
	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			baseline_set(&decisions[i], &guests[i], baseline_max(&guests[i]),
				     POLICY_REASON_BOUND, "its maximum of %.0f MiB",
				     baseline_mib(baseline_max(&guests[i])));
	return 0;
}

const struct policy_ops policy_maximum = {
	.name = "maximum",
	.help = "each guest has its maximum; the host has what guests report as free",
	.create = baseline_plain_create,
	.destroy = baseline_plain_destroy,
	.configure = baseline_plain_configure,
	.step = maximum_step,
};
