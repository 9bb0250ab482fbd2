/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts and guests in MiB, for the tables of the baselines. */
#ifndef AEROSTAT_BASELINE_RIG_H
#define AEROSTAT_BASELINE_RIG_H

#include "policy/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define SECOND INT64_C(1000000)
#define RIG_MAX 4

struct rig {
	const struct policy_ops *policy;
	struct policy_settings settings;
	struct policy_state *state;
	struct policy_host host;
	size_t count;
	struct policy_guest guests[RIG_MAX];
	struct policy_decision decisions[RIG_MAX];
	struct policy_outcome outcome;
};

/* @budget_mib 0: worked out of the host. */
static inline struct rig rig_start(const struct policy_ops *policy, uint64_t budget_mib)
{
	struct rig rig = {
		.policy = policy,
		.settings = { .budget_bytes = budget_mib ? budget_mib * MIB : POLICY_UNSET,
			      .reserve_bytes = POLICY_UNSET },
		.host = { .now_us = 1000 * SECOND, .total_bytes = 10000 * MIB },
	};

	rig.state = policy->create(&rig.settings);
	assert_non_null(rig.state);
	return rig;
}

static inline struct policy_guest *rig_guest(struct rig *rig, uint64_t min, uint64_t max,
					     uint64_t actual, uint64_t free)
{
	struct policy_guest *guest = &rig->guests[rig->count++];

	*guest = (struct policy_guest){
		.id = rig->count,
		.rules = { .min_bytes = min * MIB, .max_bytes = POLICY_UNSET, .weight = 1 },
		.boot_bytes = max * MIB,
		.actual_bytes = actual * MIB,
		.actual_then_bytes = actual * MIB,
		.target_bytes = actual * MIB,
		.resident_bytes = actual * MIB,
		.reachable = true,
		.has_driver = true,
		.taken_us = rig->host.now_us,
		.period_us = SECOND,
		.available_bytes = free * MIB,
		.free_bytes = free * MIB,
		.total_bytes = actual * MIB,
	};
	return guest;
}

static inline void rig_step(struct rig *rig)
{
	assert_int_equal(rig->policy->step(rig->state, &rig->host, rig->guests, rig->count,
					   rig->decisions, &rig->outcome),
			 0);
}

/* To the nearest MiB: a rule's fractions of a byte are nobody's concern. */
static inline uint64_t rig_target(const struct rig *rig, size_t guest)
{
	return (rig->decisions[guest].target_bytes + MIB / 2) / MIB;
}

static inline void rig_end(struct rig *rig)
{
	rig->policy->destroy(rig->state);
}

/* What every baseline does with guests that are not its own to move. */
static inline void rig_leaves_others_alone(const struct policy_ops *policy)
{
	struct rig rig = rig_start(policy, 3000);

	rig_guest(&rig, 256, 2048, 700, 600)->rules.mode = POLICY_HELD;
	rig_guest(&rig, 256, 2048, 700, 600)->has_driver = false;
	rig_guest(&rig, 256, 2048, 700, 600)->reachable = false;
	rig_guest(&rig, 256, 2048, 700, 600)->cannot_shrink = 1;
	rig_step(&rig);
	for (size_t i = 0; i < rig.count; i++) {
		assert_int_equal(rig_target(&rig, i), 700);
		assert_int_equal(rig.decisions[i].reason, POLICY_REASON_FIXED);
	}
	rig_end(&rig);
}

#endif
