/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/baseline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/floor.h"
#include "policy/numbers.h"

#define GIB (UINT64_C(1) << 30)

const struct policy_outcome baseline_outcome = {
	.budget_bytes = POLICY_UNSET,
	.want_bytes = POLICY_UNSET,
};

bool baseline_steers(const struct policy_guest *guest)
{
	return guest->rules.mode == POLICY_AUTO && guest->reachable && guest->has_driver &&
	       !guest->cannot_shrink;
}

uint64_t baseline_max(const struct policy_guest *guest)
{
	uint64_t max = guest->rules.max_bytes;

	return max < guest->boot_bytes ? max : guest->boot_bytes;
}

uint64_t baseline_min(const struct policy_guest *guest)
{
	uint64_t min = guest->rules.min_bytes;
	uint64_t max = baseline_max(guest);

	if (min == POLICY_UNSET)
		min = floor_bytes(guest->boot_bytes);
	return min < max ? min : max;
}

uint64_t baseline_clamp(const struct policy_guest *guest, uint64_t bytes)
{
	uint64_t min = baseline_min(guest);
	uint64_t max = baseline_max(guest);

	if (bytes < min)
		return min;
	return bytes < max ? bytes : max;
}

uint64_t baseline_present(const struct policy_guest *guest)
{
	return guest->target_bytes != POLICY_UNSET ? guest->target_bytes : guest->actual_bytes;
}

static uint64_t baseline_host_reserve(const struct policy_settings *settings,
				      const struct policy_host *host)
{
	uint64_t reserve = host->total_bytes / 20 > GIB ? host->total_bytes / 20 : GIB;

	if (settings->reserve_bytes != POLICY_UNSET)
		return settings->reserve_bytes;
	return reserve < host->total_bytes / 8 ? reserve : host->total_bytes / 8;
}

uint64_t baseline_whole_budget(const struct policy_settings *settings,
			       const struct policy_host *host, const struct policy_guest *guests,
			       size_t count)
{
	uint64_t budget = host->available_bytes;

	if (settings->budget_bytes != POLICY_UNSET)
		return saturating_sub(settings->budget_bytes, host->reserved_bytes);
	for (size_t i = 0; i < count; i++)
		budget += guests[i].resident_bytes != POLICY_UNSET ? guests[i].resident_bytes
								   : guests[i].actual_bytes;
	return saturating_sub(budget, baseline_host_reserve(settings, host) + host->reserved_bytes);
}

uint64_t baseline_budget(const struct policy_settings *settings, const struct policy_host *host,
			 const struct policy_guest *guests, size_t count)
{
	uint64_t budget = baseline_whole_budget(settings, host, guests, count);

	for (size_t i = 0; i < count; i++)
		if (!baseline_steers(&guests[i]))
			budget = saturating_sub(budget, guests[i].actual_bytes);
	return budget;
}

bool baseline_due(int64_t *next_us, int64_t now_us, int64_t period_us)
{
	if (now_us < *next_us)
		return false;
	*next_us = now_us + period_us;
	return true;
}

void baseline_keep(const struct policy_guest *guests, size_t count,
		   struct policy_decision *decisions)
{
	for (size_t i = 0; i < count; i++)
		baseline_set(&decisions[i], &guests[i], baseline_present(&guests[i]),
			     baseline_steers(&guests[i]) ? POLICY_REASON_NONE : POLICY_REASON_FIXED,
			     "stays at %.0f MiB", baseline_mib(baseline_present(&guests[i])));
}

void baseline_set(struct policy_decision *decision, const struct policy_guest *guest,
		  uint64_t target, enum policy_reason reason, const char *format, ...)
{
	va_list args;

	*decision = (struct policy_decision){
		.target_bytes = target,
		.credit_bytes = POLICY_UNSET,
		.ceiling_bytes = POLICY_UNSET,
		.reason = reason,
		.need_bytes = POLICY_UNSET,
		.demand_bytes = POLICY_UNSET,
		.reserve_bytes = POLICY_UNSET,
		.want_bytes = POLICY_UNSET,
		.floor_bytes = baseline_min(guest),
	};
	va_start(args, format);
	vsnprintf(decision->text, sizeof(decision->text), format, args);
	va_end(args);
}

double baseline_mib(uint64_t bytes)
{
	return (double)bytes / (double)BASELINE_MIB;
}

struct policy_state *baseline_plain_create(const struct policy_settings *settings)
{
	struct baseline_plain *plain = calloc(1, sizeof(*plain));

	if (plain)
		plain->settings = *settings;
	return (struct policy_state *)plain;
}

void baseline_plain_destroy(struct policy_state *state)
{
	free(state);
}

void baseline_plain_configure(struct policy_state *state, const struct policy_settings *settings)
{
	((struct baseline_plain *)state)->settings = *settings;
}
