/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * static: what people do by hand.
 *
 * Theory of operation
 * -------------------
 * Each guest has max · budget / Σ max, and keeps it.  The sizes are computed when the set of
 * guests changes or settings are reloaded, and at no other time: static sizes do not follow
 * the memory use of the host's other programs.
 */
#include "policy/baseline.h"

#include <errno.h>
#include <stdlib.h>

struct policy_state {
	struct baseline_plain plain;
	size_t count;
	uint64_t *ids;
	double factor; /* size / maximum, the same for all guests; 0: not computed yet */
};

static struct policy_state *static_create(const struct policy_settings *settings)
{
	struct policy_state *state = calloc(1, sizeof(*state));

	if (state)
		state->plain.settings = *settings;
	return state;
}

static void static_destroy(struct policy_state *state)
{
	if (state)
		free(state->ids);
	free(state);
}

static void static_configure(struct policy_state *state, const struct policy_settings *settings)
{
	state->plain.settings = *settings;
	state->factor = 0;
}

static bool static_knows_guest(const struct policy_state *state, uint64_t id)
{
	for (size_t i = 0; i < state->count; i++)
		if (state->ids[i] == id)
			return true;
	return false;
}

/* Whether these are the guests of the last step, in any order. */
static bool static_has_guests(const struct policy_state *state, const struct policy_guest *guests,
			      size_t count)
{
	if (state->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!static_knows_guest(state, guests[i].id))
			return false;
	return true;
}

static int static_store_ids(struct policy_state *state, const struct policy_guest *guests,
			    size_t count)
{
	uint64_t *ids = reallocarray(state->ids, count ? count : 1, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	state->ids = ids;
	state->count = count;
	for (size_t i = 0; i < count; i++)
		ids[i] = guests[i].id;
	return 0;
}

static void static_divide(struct policy_state *state, const struct policy_host *host,
			  const struct policy_guest *guests, size_t count)
{
	uint64_t budget = baseline_budget(&state->plain.settings, host, guests, count);
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			sum += baseline_max(&guests[i]);
	state->factor = sum > budget ? (double)budget / (double)sum : 1;
}

static int static_step(struct policy_state *state, const struct policy_host *host,
		       const struct policy_guest *guests, size_t count,
		       struct policy_decision *decisions, struct policy_outcome *outcome)
{
	uint64_t target;

	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	if (!static_has_guests(state, guests, count)) {
		if (static_store_ids(state, guests, count))
			return -ENOMEM;
		state->factor = 0;
	}
	if (state->factor == 0)
		static_divide(state, host, guests, count);
	outcome->budget_bytes = baseline_whole_budget(&state->plain.settings, host, guests, count);
	for (size_t i = 0; i < count; i++) {
		if (!baseline_steers(&guests[i]))
			continue;
		target = (uint64_t)(state->factor * (double)baseline_max(&guests[i]));
		baseline_set(&decisions[i], &guests[i], baseline_clamp(&guests[i], target),
			     POLICY_REASON_SHARE, "%.1f %% of its maximum of %.0f MiB",
			     100 * state->factor, baseline_mib(baseline_max(&guests[i])));
	}
	return 0;
}

const struct policy_ops policy_static = {
	.name = "static",
	.help = "each guest keeps the same share of its maximum",
	.create = static_create,
	.destroy = static_destroy,
	.configure = static_configure,
	.step = static_step,
};
