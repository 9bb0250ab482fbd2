/* SPDX-License-Identifier: BSD-3-Clause */
/* A few guests whose needs the test says, honest and obedient unless it says otherwise. */
#ifndef AEROSTAT_POLICY_PLAY_H
#define AEROSTAT_POLICY_PLAY_H

#include "tests/unit/policy_world.h"

#define PLAY_GUESTS 4

struct play {
	struct policy_state *state;
	struct policy_settings settings;
	struct policy_host host;
	size_t count;
	struct policy_guest guests[PLAY_GUESTS];
	uint64_t needs[PLAY_GUESTS];
	bool free_only[PLAY_GUESTS];	     /* it does not report what is available */
	bool frozen[PLAY_GUESTS];	     /* its statistics come, and stay the same */
	uint64_t balloon_per_s[PLAY_GUESTS]; /* 0: its balloon moves at once */
	bool silent[PLAY_GUESTS];	     /* no new statistics */
	bool dead[PLAY_GUESTS];		     /* the balloon does not follow */
	struct policy_decision decisions[PLAY_GUESTS];
	struct policy_outcome outcome;
};

/* A host of 64 GiB; @budget_bytes may be POLICY_UNSET. */
void play_begin(struct play *play, uint64_t budget_bytes);
size_t play_add(struct play *play, uint64_t boot_bytes, uint64_t actual_bytes, uint64_t need_bytes);
/* Seconds go by; each ends with an answer, which the guests follow within the next. */
void play_seconds(struct play *play, int seconds);
void play_end(struct play *play);

#endif
