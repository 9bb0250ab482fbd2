/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/report_limits.h"

#include <string.h>

#include "aerostatd/cgroups.h"
#include "common/plain_text.h"
#include "policy/budget.h"

/* The guests of a group. */
struct members {
	uint64_t held, high; /* bytes */
	json_int_t count;
	uint64_t budget;
	bool binds; /* the budget is less than what its guests may have */
};

/* By number; [0] are the guests outside of all groups.  The caller frees it. */
static struct members *count_members(const struct manager_status *status)
{
	const struct policy_host *host = &status->host;
	struct members *members = g_new0(struct members, host->group_count + 1);

	for (guint i = 0; i < status->guests->len; i++) {
		const struct managed *guest = status->guests->pdata[i];

		if (!guest->answered)
			continue;
		for (uint64_t n = budget_group_number(host, &guest->seen); n;
		     n = budget_group_parent(host, n)) {
			members[n].held += budget_held_bytes(&guest->seen);
			members[n].high += guest->seen.boot_bytes;
			members[n].count++;
		}
	}
	for (uint64_t n = 1; n <= host->group_count; n++) {
		members[n].budget = budget_group_bytes(&host->groups[n - 1], members[n].held);
		members[n].binds = members[n].count && members[n].high > members[n].budget;
	}
	return members;
}

json_t *report_limits(const struct manager_status *status)
{
	const struct policy_host *host = &status->host;
	const struct policy_outcome *outcome = &status->outcome;
	g_autofree struct members *members = count_members(status);
	json_t *array = json_array();

	for (uint64_t n = 1; n <= host->group_count; n++) {
		g_autofree char *path = NULL;

		if (!members[n].binds)
			continue;
		path = g_utf8_make_valid(cgroups_path(status->cgroups, n), -1);
		json_array_append_new(
			array, json_pack("{s:s, s:I, s:I, s:I, s:b}", "path", path, "limit_bytes",
					 (json_int_t)host->groups[n - 1].limit_bytes,
					 "budget_bytes", (json_int_t)members[n].budget, "guests",
					 members[n].count, "overcommitted",
					 outcome->overcommitted && outcome->short_group == n));
	}
	return array;
}

/* The outermost group above a guest that binds; 0: none does. */
static uint64_t find_outermost(const struct manager_status *status, const struct members *members,
			       const struct policy_guest *guest)
{
	uint64_t outermost = 0;

	for (uint64_t n = budget_group_number(&status->host, guest); n;
	     n = budget_group_parent(&status->host, n))
		if (members[n].binds)
			outermost = n;
	return outermost;
}

uint64_t report_usable_bytes(const struct manager_status *status)
{
	g_autofree struct members *members = count_members(status);
	uint64_t budget = status->outcome.budget_bytes, sum = 0;
	bool limited = false;

	for (guint i = 0; i < status->guests->len; i++) {
		const struct managed *guest = status->guests->pdata[i];
		uint64_t n;

		if (!guest->answered)
			continue;
		n = find_outermost(status, members, &guest->seen);
		limited |= n > 0;
		sum += n ? members[n].budget : guest->seen.boot_bytes;
		members[n].budget = 0; /* it counts once */
	}
	return limited ? MIN(budget, sum) : budget;
}

uint64_t report_reserve_bytes(const struct manager_status *status)
{
	uint64_t budget = status->outcome.budget_bytes, used = 0, all;

	if (budget == POLICY_UNSET)
		return POLICY_UNSET;
	for (guint i = 0; i < status->guests->len; i++) {
		const struct managed *guest = status->guests->pdata[i];

		used += guest->answered ? budget_used_bytes(&guest->seen) : 0;
	}
	all = budget + status->outcome.pool_bytes;
	return all - MIN(all, used);
}

void report_decision_limit(const struct cgroups *cgroups, struct managed *guest,
			   struct policy_decision *decision)
{
	size_t length = strlen(decision->text);

	g_clear_pointer(&guest->limit_path, g_free);
	if (!decision->limit_group)
		return;
	guest->limit_path = plain_text(cgroups_path(cgroups, decision->limit_group));
	g_snprintf(decision->text + length, sizeof(decision->text) - length,
		   "; the limit is that of %s", guest->limit_path);
}
