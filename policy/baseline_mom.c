/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MOM: oVirt's Memory Overcommitment Manager (oVirt/mom, its balloon rules and default
 * configuration).
 *
 * Theory of operation
 * -------------------
 * Host and guests are sampled every 5 s.  Every 10 s a decision is made from the averages of
 * up to ten samples.  p is the part of the host's memory that is free or page cache.
 *
 *   p < 0.20 shrinks: new = max(0.95 · actual, min, used + g · actual), where g is p − 0.05 if
 *            p ≤ 0.05, and p otherwise; set if it is smaller.
 *   else     grows: new = min(max, max(1.05 · actual, min, used + 0.20 · actual)).
 *
 * Either is set only if it differs by more than 0.25 %.  used is actual less free, of the
 * averages, so a guest's page cache counts as used.
 *
 * With a configured budget, p is the part of the budget that the guests do not have.
 */
#include "policy/baseline.h"

#include <errno.h>
#include <stdlib.h>

#define SAMPLE_PERIOD (5 * BASELINE_SECOND)
#define PERIOD (10 * BASELINE_SECOND)
#define SAMPLES 10
#define PRESSURE 0.20
#define CRITICAL 0.05
#define GUEST_FREE 0.20
#define CHANGE 0.05
#define MIN_CHANGE 0.0025

/* The latest samples of two numbers. */
struct samples {
	unsigned int count, next;
	double first[SAMPLES], second[SAMPLES];
};

struct mom_history {
	uint64_t id;
	struct samples sizes; /* actual and free */
};

struct policy_state {
	struct policy_settings settings;
	int64_t next_sample_us, next_us;
	struct samples host; /* free and cache, and total */
	size_t count;
	struct mom_history *guests;
};

static struct policy_state *mom_create(const struct policy_settings *settings)
{
	struct policy_state *state = calloc(1, sizeof(*state));

	if (state)
		state->settings = *settings;
	return state;
}

static void mom_destroy(struct policy_state *state)
{
	if (state)
		free(state->guests);
	free(state);
}

static void mom_configure(struct policy_state *state, const struct policy_settings *settings)
{
	state->settings = *settings;
}

static void mom_add_sample(struct samples *samples, double first, double second)
{
	samples->first[samples->next] = first;
	samples->second[samples->next] = second;
	samples->next = (samples->next + 1) % SAMPLES;
	if (samples->count < SAMPLES)
		samples->count++;
}

static double mom_average(const double *values, unsigned int count)
{
	double sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += values[i];
	return count ? sum / count : 0;
}

static struct mom_history *mom_find_guest(const struct policy_state *state, uint64_t id)
{
	for (size_t i = 0; i < state->count; i++)
		if (state->guests[i].id == id)
			return &state->guests[i];
	return NULL;
}

/* Keeps the histories of these guests, adds empty ones, and drops those of other guests. */
static int mom_update_guests(struct policy_state *state, const struct policy_guest *guests,
			     size_t count)
{
	struct mom_history *fresh = calloc(count ? count : 1, sizeof(*fresh));
	const struct mom_history *old;

	if (!fresh)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		old = mom_find_guest(state, guests[i].id);
		if (old)
			fresh[i] = *old;
		fresh[i].id = guests[i].id;
	}
	free(state->guests);
	state->guests = fresh;
	state->count = count;
	return 0;
}

static bool mom_has_guests(const struct policy_state *state, const struct policy_guest *guests,
			   size_t count)
{
	if (state->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!mom_find_guest(state, guests[i].id))
			return false;
	return true;
}

static void mom_take_sample(struct policy_state *state, const struct policy_host *host,
			    const struct policy_guest *guests, size_t count)
{
	double spare = (double)(host->free_bytes + host->cache_bytes);
	double total = (double)host->total_bytes;

	if (state->settings.budget_bytes != POLICY_UNSET) {
		total = (double)state->settings.budget_bytes;
		spare = total;
		for (size_t i = 0; i < count; i++)
			spare -= (double)guests[i].actual_bytes;
	}
	mom_add_sample(&state->host, spare > 0 ? spare : 0, total);
	for (size_t i = 0; i < count; i++)
		if (guests[i].taken_us && guests[i].free_bytes != POLICY_UNSET)
			mom_add_sample(&mom_find_guest(state, guests[i].id)->sizes,
				       (double)guests[i].actual_bytes,
				       (double)guests[i].free_bytes);
}

static double mom_max(double a, double b)
{
	return a > b ? a : b;
}

static double mom_shrink(const struct policy_guest *guest, double used, double pressure)
{
	double actual = (double)guest->actual_bytes;
	double keep = pressure <= CRITICAL ? pressure - CRITICAL : pressure;

	return mom_max(mom_max((1 - CHANGE) * actual, (double)baseline_min(guest)),
		       used + keep * actual);
}

static double mom_grow(const struct policy_guest *guest, double used)
{
	double actual = (double)guest->actual_bytes;
	double max = (double)baseline_max(guest);
	double size = mom_max(mom_max((1 + CHANGE) * actual, (double)baseline_min(guest)),
			      used + GUEST_FREE * actual);

	return size < max ? size : max;
}

static void mom_decide(const struct policy_guest *guest, const struct samples *sizes,
		       double pressure, struct policy_decision *decision)
{
	double actual = (double)guest->actual_bytes;
	bool shrink = pressure < PRESSURE;
	double used, size;

	if (!sizes->count)
		return;
	used = mom_average(sizes->first, sizes->count) - mom_average(sizes->second, sizes->count);
	size = shrink ? mom_shrink(guest, used, pressure) : mom_grow(guest, used);
	if (shrink ? actual - size <= MIN_CHANGE * actual : size - actual <= MIN_CHANGE * actual)
		return;
	baseline_set(decision, guest, (uint64_t)size,
		     shrink ? POLICY_REASON_HOST : POLICY_REASON_SURPLUS,
		     "%.1f %% of the host is free, the guest uses %.0f MiB on average: %+.0f MiB",
		     100 * pressure, used / (double)BASELINE_MIB,
		     (size - actual) / (double)BASELINE_MIB);
}

static int mom_step(struct policy_state *state, const struct policy_host *host,
		    const struct policy_guest *guests, size_t count,
		    struct policy_decision *decisions, struct policy_outcome *outcome)
{
	double total, pressure;

	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	if (!mom_has_guests(state, guests, count) && mom_update_guests(state, guests, count))
		return -ENOMEM;
	if (baseline_due(&state->next_sample_us, host->now_us, SAMPLE_PERIOD))
		mom_take_sample(state, host, guests, count);
	if (!baseline_due(&state->next_us, host->now_us, PERIOD))
		return 0;
	total = mom_average(state->host.second, state->host.count);
	pressure = total > 0 ? mom_average(state->host.first, state->host.count) / total : 0;
	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			mom_decide(&guests[i], &mom_find_guest(state, guests[i].id)->sizes,
				   pressure, &decisions[i]);
	return 0;
}

const struct policy_ops policy_mom = {
	.name = "mom",
	.help = "oVirt's: 5 % per round, up or down by the host's free memory",
	.create = mom_create,
	.destroy = mom_destroy,
	.configure = mom_configure,
	.step = mom_step,
};
