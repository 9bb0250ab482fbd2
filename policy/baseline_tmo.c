/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tmo: Meta's transparent memory offloading, with its controller Senpai.
 *
 * Theory of operation
 * -------------------
 * Each guest has its maximum, and is asked all the time to reclaim a little of what it holds: every
 * 6 s, 0.05 % of its memory, less in proportion as its PSI (some) comes near 0.1 %.  The paper's
 * controller reclaims from a cgroup; here a guest that can trim is the cgroup, and page cache is
 * what it gives up.  Other guests stay as they are.  A guest that does not show PSI counts as calm.
 */
#include "policy/baseline.h"

#include <errno.h>
#include <stdlib.h>

#define TMO_PERIOD_US (6 * BASELINE_SECOND)
#define TMO_RATIO 0.0005
#define TMO_PRESSURE 0.001

struct tmo_guest {
	uint64_t id, some_us;
	int64_t taken_us;
};

struct policy_state {
	struct baseline_plain plain; /* first: baseline_plain_configure() changes it */
	size_t count;
	struct tmo_guest *guests; /* those of the last round */
};

static struct policy_state *tmo_create(const struct policy_settings *settings)
{
	struct policy_state *state = calloc(1, sizeof(*state));

	if (state)
		state->plain.settings = *settings;
	return state;
}

static void tmo_destroy(struct policy_state *state)
{
	if (state)
		free(state->guests);
	free(state);
}

/* The part of the time since the last round in which some of the guest's tasks stalled. */
static double tmo_pressure(const struct policy_state *state, const struct policy_guest *guest)
{
	if (guest->psi_some_us == POLICY_UNSET)
		return 0;
	for (size_t i = 0; i < state->count; i++) {
		const struct tmo_guest *last = &state->guests[i];

		if (last->id != guest->id || guest->taken_us <= last->taken_us ||
		    guest->psi_some_us < last->some_us)
			continue;
		return (double)(guest->psi_some_us - last->some_us) /
		       (double)(guest->taken_us - last->taken_us);
	}
	return 0;
}

static uint64_t tmo_trim_bytes(const struct policy_state *state, const struct policy_guest *guest)
{
	double held = (double)(guest->resident_bytes == POLICY_UNSET ? guest->actual_bytes
								     : guest->resident_bytes);
	double calm = 1 - tmo_pressure(state, guest) / TMO_PRESSURE;

	if (!(guest->abilities & POLICY_CAN_TRIM) || calm <= 0)
		return 0;
	return (uint64_t)(TMO_RATIO * held * calm);
}

static int tmo_store_guests(struct policy_state *state, const struct policy_guest *guests,
			    size_t count)
{
	struct tmo_guest *kept = reallocarray(state->guests, count ? count : 1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	state->guests = kept;
	state->count = count;
	for (size_t i = 0; i < count; i++)
		kept[i] = (struct tmo_guest){ guests[i].id, guests[i].psi_some_us,
					      guests[i].taken_us };
	return 0;
}

static int tmo_step(struct policy_state *state, const struct policy_host *host,
		    const struct policy_guest *guests, size_t count,
		    struct policy_decision *decisions, struct policy_outcome *outcome)
{
	int ret = policy_maximum.step(NULL, host, guests, count, decisions, outcome);

	if (ret || !baseline_due(&state->plain.next_us, host->now_us, TMO_PERIOD_US))
		return ret;
	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			decisions[i].trim_bytes = tmo_trim_bytes(state, &guests[i]);
	return tmo_store_guests(state, guests, count);
}

const struct policy_ops policy_tmo = {
	.name = "tmo",
	.help = "each guest has its maximum, and is always asked for a little page cache",
	.create = tmo_create,
	.destroy = tmo_destroy,
	.configure = baseline_plain_configure,
	.step = tmo_step,
};
