/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/contest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/oracle.h"

#define MIN_CHANGE (INT64_C(1) << 20)

const struct policy_settings contest_settings = {
	.budget_bytes = POLICY_UNSET,
	.reserve_bytes = POLICY_UNSET,
};

struct contest {
	const struct policy_ops *policy;
	struct policy_state *state;
	struct sim_world world;
	struct score_run run;
	struct policy_guest *guests;
	struct policy_decision *decisions;
	int64_t next_us, again_us; /* when the next step is due */
};

const struct policy_ops *contest_policy(size_t i)
{
	size_t count = 0;

	while (policy_table[count])
		count++;
	if (i < count)
		return policy_table[i];
	return i == count ? &policy_oracle : NULL;
}

const struct policy_ops *contest_find(const char *name)
{
	return !strcmp(name, policy_oracle.name) ? &policy_oracle : policy_find(name);
}

static bool is_policy_due(const struct contest *contest)
{
	return contest->world.now_us >= contest->next_us ||
	       (contest->again_us && contest->world.now_us >= contest->again_us) ||
	       contest->world.host.recent_us >= WORLD_CRITICAL_US;
}

static void apply_decisions(struct contest *contest)
{
	struct sim_world *world = &contest->world;

	for (uint32_t i = 0; i < world->trace->count; i++) {
		int64_t change =
			(int64_t)contest->decisions[i].target_bytes - world->guests[i].next_target;

		if (change >= MIN_CHANGE || change <= -MIN_CHANGE)
			contest->run.score->operations++;
		sim_guest_set_target(&world->guests[i], contest->decisions[i].target_bytes,
				     world->now_us);
	}
}

static int step_policy(struct contest *contest, const struct contest_watch *watch)
{
	struct policy_host host;
	struct policy_outcome outcome;
	uint32_t count = contest->world.trace->count;
	int ret;

	contest->next_us = contest->world.now_us + SIM_STEPS_PER_SECOND * SIM_STEP_US;
	world_observe(&contest->world, &host, contest->guests);
	ret = contest->policy->step(contest->state, &host, contest->guests, count,
				    contest->decisions, &outcome);
	if (ret)
		return ret;
	contest->again_us = outcome.again_us;
	if (watch)
		watch->decided(watch->data,
			       &(struct contest_view){ &contest->world, &host, contest->guests,
						       count, contest->decisions });
	apply_decisions(contest);
	return 0;
}

static int begin_contest(struct contest *contest, const struct trace *trace, struct score *score)
{
	contest->state = contest->policy == &policy_oracle
				 ? oracle_create(trace)
				 : contest->policy->create(&contest_settings);
	contest->guests = calloc(trace->count, sizeof(*contest->guests));
	contest->decisions = calloc(trace->count, sizeof(*contest->decisions));
	/* Both are initialized even if one fails, because both are cleared at the end. */
	bool world = world_init(&contest->world, trace);
	bool run = score_run_init(&contest->run, score, trace);

	return world && run && contest->state && contest->guests && contest->decisions ? 0
										       : -ENOMEM;
}

int contest_run(const struct trace *trace, const struct policy_ops *policy, struct score *score,
		const struct contest_watch *watch)
{
	struct contest contest = { .policy = policy };
	int ret = begin_contest(&contest, trace, score);

	while (!ret && contest.world.step < trace->steps) {
		if (is_policy_due(&contest))
			ret = step_policy(&contest, watch);
		world_step(&contest.world);
		score_step(&contest.run, &contest.world);
	}
	if (!ret)
		score_finish(&contest.run, &contest.world);
	if (contest.state)
		policy->destroy(contest.state);
	score_run_clear(&contest.run);
	world_clear(&contest.world);
	free(contest.guests);
	free(contest.decisions);
	return ret;
}
