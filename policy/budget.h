/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory all guests together may use, and how much each uses.  All in bytes. */
#ifndef AEROSTAT_BUDGET_H
#define AEROSTAT_BUDGET_H

#include "policy/policy.h"

struct budget {
	uint64_t bytes; /* for all guests; POLICY_UNSET: the host's numbers are not known */
	uint64_t spare; /* the part of the host's reserve that may go to guests in distress */
};

/* The part of the host's RAM that is not for guests. */
uint64_t budget_host_reserve(const struct policy_host *host,
			     const struct policy_settings *settings);

/* The budget: the configured one, or else what the host and its guests' processes make up. */
struct budget budget_compute(const struct policy_host *host, const struct policy_settings *settings,
			     const struct policy_guest *guests, size_t count);

/* How much of the guest's RAM is in the host's memory, as well as it is known. */
uint64_t budget_held_bytes(const struct policy_guest *guest);

/*
 * What a guest that reports free pages costs the host; POLICY_UNSET if that is not known, or if the
 * guest does not report and so costs up to its size.
 */
uint64_t budget_resident_bytes(const struct policy_guest *guest);

/* What the guests of a group may use that hold @held bytes of RAM now. */
uint64_t budget_group_bytes(const struct policy_group *group, uint64_t held);

/* The group of the guest, or 0 if @host has none of that number. */
uint64_t budget_group_number(const struct policy_host *host, const struct policy_guest *guest);

/* The next larger group of a group that @host has; 0: none. */
uint64_t budget_group_parent(const struct policy_host *host, uint64_t number);

/* How much of its RAM a guest has, or may take at any moment without asking. */
uint64_t budget_used_bytes(const struct policy_guest *guest);

/* The guest's size, at most its RAM at boot. */
uint64_t budget_actual_bytes(const struct policy_guest *guest);

/* The guest's target, at most its RAM at boot; its size if the target is not known. */
uint64_t budget_target_bytes(const struct policy_guest *guest);

#endif
