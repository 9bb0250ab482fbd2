/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A world for policies: a host, guests with needs of their own, and a clock.
 *
 * It is no simulator of Linux (aerostat simulate is): it knows just enough of a
 * guest that what a policy does has consequences.  Guests swap what does not fit, or
 * take memory back by themselves as far as a gate lets them, some report what they do
 * not use, their balloons follow at some speed or not at all, statistics freeze, are
 * absent or are lies.  Everything comes from one seed.
 */
#ifndef AEROSTAT_POLICY_WORLD_H
#define AEROSTAT_POLICY_WORLD_H

#include "policy/policy.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SECOND INT64_C(1000000)
#define WORLD_GUESTS 16

/* A seeded sequence of numbers. */
struct dice {
	uint64_t state;
};
uint64_t dice_roll(struct dice *dice);
uint64_t dice_below(struct dice *dice, uint64_t limit);
uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high);
/* Of AEROSTAT_SEED, or of the clock; printed. */
uint64_t dice_seed(void);

enum habit {
	HABIT_HONEST,
	HABIT_FROZEN, /* its statistics stand still from some time on */
	HABIT_ABSENT, /* it never had any */
	HABIT_LIAR,   /* any number may be in them */
	HABIT_DEAD,   /* its balloon does not follow */
	HABIT_RESETS, /* its counters begin anew from time to time */
	HABITS
};

struct inhabitant {
	enum habit habit;
	uint64_t need;		/* what it would use */
	uint64_t swapped;	/* what of that does not fit */
	uint64_t balloon_per_s; /* how fast its balloon takes */
	uint64_t may_pull;	/* by its credit */
	bool steady;		/* its need does not change */
};

struct world {
	struct dice dice;
	struct policy_host host;
	struct policy_settings settings;
	size_t count;
	struct policy_guest guests[WORLD_GUESTS];
	struct inhabitant inhabitants[WORLD_GUESTS];
	uint64_t own_bytes; /* what the host itself uses */
	bool steady;	    /* nor does that change */
	struct policy_decision decisions[WORLD_GUESTS];
	struct policy_outcome outcome;
};

/* One guest with statistics that are usual: auto, weight 1, a driver, all counters 0. */
struct policy_guest world_guest(uint64_t id, uint64_t boot_bytes, uint64_t actual_bytes,
				uint64_t need_bytes, int64_t now_us);
/* A host that has all numbers and no pressure. */
struct policy_host world_host(uint64_t total_bytes, uint64_t available_bytes, int64_t now_us);
struct policy_settings world_settings(uint64_t budget_bytes);

/* Any host with any guests; only honest ones and steady needs when @steady. */
void world_make(struct world *world, uint64_t seed, bool steady);
/* A second goes by: needs, balloons, statistics. */
void world_live(struct world *world);
/* Asks the policy, in the order of the guests. */
void world_ask(struct world *world, struct policy_state *state);
/* Fails the test when an answer breaks a promise of aerostat.c. */
void world_check(const struct world *world);
/* The same of the use of one of the host's groups. */
void world_check_group(const struct world *world, uint64_t group);
/* Sets the targets and the gates. */
void world_apply(struct world *world);

/* What a guest takes of the budget when its target is @target. */
uint64_t world_use(const struct policy_guest *guest, uint64_t target);
/* The bounds of a guest's target, worked out anew. */
uint64_t world_low(const struct policy_guest *guest);
uint64_t world_high(const struct policy_guest *guest);
bool world_movable(const struct policy_guest *guest);
uint64_t world_present(const struct policy_guest *guest);

#endif
