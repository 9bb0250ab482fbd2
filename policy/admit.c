/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admission.
 *
 * What a newcomer could have is the budget less what the others use and cannot
 * miss: the demand of a guest that can be taken from, all that another uses.
 * What is free now is the budget less all that they use.  Each is at most what
 * the newcomer may have at all; whether it is enough is the caller's to say.
 */
#include "policy/budget.h"
#include "policy/numbers.h"
#include "policy/policy.h"

static bool admissible_bytes(const struct policy_guest *guest,
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
	case POLICY_REASON_COUNT:
		break;
	}
	return true;
}

void policy_admit(const struct policy_host *host, const struct policy_settings *settings,
		  const struct policy_guest *guests, const struct policy_decision *decisions,
		  size_t count, const struct policy_rules *newcomer, struct policy_grant *grant)
{
	uint64_t budget = budget_for(host, settings, guests, count).bytes;
	uint64_t cannot_miss = 0, use = 0;

	*grant = (struct policy_grant){ 0 };
	if (budget == POLICY_UNSET)
		return;
	for (size_t i = 0; i < count; i++) {
		uint64_t uses = most(budget_use(&guests[i]), decisions[i].target_bytes);
		bool gives = admissible_bytes(&guests[i], &decisions[i]);

		use = plus(use, uses);
		cannot_miss =
			plus(cannot_miss, gives ? least(decisions[i].demand_bytes, uses) : uses);
	}
	grant->possible_bytes = least(less(budget, cannot_miss), newcomer->max_bytes);
	grant->free_now_bytes = least(less(budget, use), newcomer->max_bytes);
}
