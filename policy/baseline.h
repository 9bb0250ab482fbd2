/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the baselines share.
 *
 * Theory of operation
 * -------------------
 * A baseline is somebody else's rule, written anew from what was published about it, so that
 * ours can be held against it in the simulator and on real guests.  It shall do what its
 * original does and nothing better: no reserve for bursts, no care for stale statistics, no
 * second thoughts.  Only what our interface adds is the same for all of them:
 *
 * - A guest that is not automatic, does not answer, has no driver or cannot be shrunk is left as
 *   it is, and what it has is taken off the budget.
 * - A round that is not due changes nothing.
 * - Where the original reads the host's memory and somebody configured a budget, the budget
 *   stands for the host (baseline_budget() and each file's own words), so that a few guests can
 *   be tried on a machine that is much larger.
 */
#ifndef AEROSTAT_BASELINE_H
#define AEROSTAT_BASELINE_H

#include "policy/policy.h"

#define BASELINE_MIB (UINT64_C(1) << 20)
#define BASELINE_SECOND INT64_C(1000000)

/* Whether a baseline sets this guest's size. */
bool baseline_steers(const struct policy_guest *guest);

/* Its bounds: what was configured, else its floor and its RAM at boot. */
uint64_t baseline_min(const struct policy_guest *guest);
uint64_t baseline_max(const struct policy_guest *guest);

/* @bytes within these bounds. */
uint64_t baseline_clamp(const struct policy_guest *guest, uint64_t bytes);

/* What it has been told last, or has. */
uint64_t baseline_present(const struct policy_guest *guest);

/*
 * baseline_budget - what there is for all guests that are steered
 *
 * What was configured, or the memory of the guests and what the host has available, less the
 * host's own reserve (max(5 %, 1 GiB), at most an eighth) and what is promised; then less what
 * the guests that are not steered have.
 */
uint64_t baseline_budget(const struct policy_settings *settings, const struct policy_host *host,
			 const struct policy_guest *guests, size_t count);

/* The same of all guests, steered or not. */
uint64_t baseline_whole_budget(const struct policy_settings *settings,
			       const struct policy_host *host, const struct policy_guest *guests,
			       size_t count);

/* Whether a round of @period_us is due; if so *@next_us is moved on. */
bool baseline_due(int64_t *next_us, int64_t now_us, int64_t period_us);

/* Every target stays as it is. */
void baseline_keep(const struct policy_guest *guests, size_t count,
		   struct policy_decision *decisions);

/* An outcome of which nothing is known. */
extern const struct policy_outcome baseline_outcome;

/* @target for @guest, with its reason in words. */
void baseline_set(struct policy_decision *decision, const struct policy_guest *guest,
		  uint64_t target, enum policy_reason reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Bytes as MiB, for these words. */
double baseline_mib(uint64_t bytes);

/* create, destroy and configure of a baseline whose state is this and no more. */
struct baseline_plain {
	struct policy_settings settings;
	int64_t next_us;
};
struct policy_state *baseline_plain_create(const struct policy_settings *settings);
void baseline_plain_destroy(struct policy_state *state);
void baseline_plain_configure(struct policy_state *state, const struct policy_settings *settings);

#endif
