/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admission of a guest that is about to start.
 *
 * What is free now is the budget less all that the present guests use.  What could be
 * freed for the new guest is the budget less the pool and what they cannot give: the demand of a
 * guest that may be shrunk, and everything that any other guest uses or, if it reports free pages,
 * costs.  Both are limited to the new guest's maximum; the caller judges whether they are enough.
 */
#include "policy/budget.h"
#include "policy/numbers.h"
#include "policy/policy.h"

static bool can_give_memory(const struct policy_guest *guest,
			    const struct policy_decision *decision)
{
	if (guest->rules.mode != POLICY_AUTO || decision->demand_bytes == POLICY_UNSET)
		return false;
	switch (decision->reason) {
	case POLICY_REASON_FIXED:
	case POLICY_REASON_STALE:
	case POLICY_REASON_CLAIM:
	case POLICY_REASON_INACTIVE:
	case POLICY_REASON_REGRET:
	case POLICY_REASON_SILENT:
	case POLICY_REASON_DRIVER:
	case POLICY_REASON_COST:
		return false;
	case POLICY_REASON_NONE:
	case POLICY_REASON_GROWS:
	case POLICY_REASON_DISTRESS:
	case POLICY_REASON_SURPLUS:
	case POLICY_REASON_IDLE:
	case POLICY_REASON_SHARE:
	case POLICY_REASON_HOST:
	case POLICY_REASON_CALM:
	case POLICY_REASON_STALLED:
	case POLICY_REASON_BOUND:
	case POLICY_REASON_SLOW:
	case POLICY_REASON_LIMIT:
	case POLICY_REASON_COUNT:
		break;
	}
	return true;
}

/* What cannot be had from a guest that uses @uses bytes. */
static uint64_t kept_bytes(const struct policy_guest *guest, const struct policy_decision *decision,
			   uint64_t uses)
{
	uint64_t resident = budget_resident_bytes(guest);

	if (can_give_memory(guest, decision))
		return min_u64(decision->demand_bytes, uses);
	return resident == POLICY_UNSET ? uses : min_u64(resident, uses);
}

void policy_admit(const struct policy_host *host, const struct policy_settings *settings,
		  const struct policy_guest *guests, const struct policy_decision *decisions,
		  size_t count, const struct policy_outcome *outcome,
		  const struct policy_rules *newcomer, struct policy_grant *grant)
{
	uint64_t budget = budget_compute(host, settings, guests, count).bytes;
	uint64_t kept = outcome->pool_bytes, use = 0;

	*grant = (struct policy_grant){ 0 };
	if (budget == POLICY_UNSET)
		return;
	for (size_t i = 0; i < count; i++) {
		uint64_t uses = max_u64(budget_used_bytes(&guests[i]), decisions[i].target_bytes);

		use = saturating_add(use, uses);
		kept = saturating_add(kept, kept_bytes(&guests[i], &decisions[i], uses));
	}
	grant->possible_bytes = min_u64(saturating_sub(budget, kept), newcomer->max_bytes);
	budget = saturating_add(budget, outcome->lent_bytes);
	grant->free_now_bytes = min_u64(saturating_sub(budget, use), newcomer->max_bytes);
}
