/* SPDX-License-Identifier: BSD-3-Clause */
/* How much all guests together may have. */
#ifndef AEROSTAT_BUDGET_H
#define AEROSTAT_BUDGET_H

#include "policy/policy.h"

struct budget {
	uint64_t bytes; /* for all guests; POLICY_UNSET: the host's numbers are not known */
	uint64_t spare; /* of the host's reserve, for guests that are about to kill */
};

/* The part of the host's RAM that is not for guests. */
uint64_t budget_host_reserve(const struct policy_host *host,
			     const struct policy_settings *settings);
struct budget budget_for(const struct policy_host *host, const struct policy_settings *settings,
			 const struct policy_guest *guests, size_t count);

/* What of a guest's RAM it has, or may take at any moment without being asked. */
uint64_t budget_use(const struct policy_guest *guest);
uint64_t budget_actual(const struct policy_guest *guest);
/* Its target, or what it has where nobody knows one. */
uint64_t budget_present(const struct policy_guest *guest);

#endif
