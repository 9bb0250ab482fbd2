/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the baselines share.
 *
 * Theory of operation
 * -------------------
 * A baseline is another project's rule, written from what was published about it, to compare
 * our policy with in the simulator and on real guests.  It does what its original does and
 * nothing better: no reserve for bursts, no check for stale statistics, no regret.  Only what
 * our interface requires is the same for all of them:
 *
 * - A guest that is not automatic, does not answer, has no driver or cannot be shrunk keeps
 *   its target, and its size is subtracted from the budget.
 * - A round that is not due yet changes nothing.
 * - Where the original reads the host's memory and a budget is configured, the budget stands
 *   for the host (baseline_budget(), and the comment of each file).  So a few guests can be
 *   tried on a machine that is much larger.
 *
 * Sizes are in bytes.  No function but baseline_plain_create() allocates memory.
 */
#ifndef AEROSTAT_BASELINE_H
#define AEROSTAT_BASELINE_H

#include "policy/policy.h"

#define BASELINE_MIB (UINT64_C(1) << 20)
#define BASELINE_SECOND INT64_C(1000000)

/* Whether a baseline may change this guest's target. */
bool baseline_steers(const struct policy_guest *guest);

/* The guest's configured minimum, or else its floor; at most baseline_max(). */
uint64_t baseline_min(const struct policy_guest *guest);

/* The guest's configured maximum, but at most its RAM at boot. */
uint64_t baseline_max(const struct policy_guest *guest);

/* @bytes, but at least baseline_min() and at most baseline_max(). */
uint64_t baseline_clamp(const struct policy_guest *guest, uint64_t bytes);

/* The guest's current target, or its size if the target is not known. */
uint64_t baseline_present(const struct policy_guest *guest);

/*
 * baseline_budget - the memory for all guests whose target may be changed
 *
 * baseline_whole_budget() less the sizes of all other guests; at least 0.
 */
uint64_t baseline_budget(const struct policy_settings *settings, const struct policy_host *host,
			 const struct policy_guest *guests, size_t count);

/*
 * baseline_whole_budget - the memory for all guests
 *
 * The configured budget, or else the memory of the guests' processes and what the host has
 * available, less the host's own reserve (max(5 %, 1 GiB), at most an eighth of its RAM).  In
 * both cases less what is promised to guests that are about to start; at least 0.
 */
uint64_t baseline_whole_budget(const struct policy_settings *settings,
			       const struct policy_host *host, const struct policy_guest *guests,
			       size_t count);

/* Whether a round is due at @now_us; if so, the next one is due @period_us later. */
bool baseline_due(int64_t *next_us, int64_t now_us, int64_t period_us);

/* Decides that every target stays as it is. */
void baseline_keep(const struct policy_guest *guests, size_t count,
		   struct policy_decision *decisions);

/* The outcome of a step that found out nothing about the host. */
extern const struct policy_outcome baseline_outcome;

/* Fills in the decision: the target, its reason, and a text for people. */
void baseline_set(struct policy_decision *decision, const struct policy_guest *guest,
		  uint64_t target, enum policy_reason reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Bytes as MiB, for these texts. */
double baseline_mib(uint64_t bytes);

/* The state of a baseline that keeps nothing else. */
struct baseline_plain {
	struct policy_settings settings;
	int64_t next_us;
};

/* policy_ops.create for struct baseline_plain. */
struct policy_state *baseline_plain_create(const struct policy_settings *settings);

/* policy_ops.destroy for struct baseline_plain. */
void baseline_plain_destroy(struct policy_state *state);

/* policy_ops.configure for struct baseline_plain. */
void baseline_plain_configure(struct policy_state *state, const struct policy_settings *settings);

#endif
