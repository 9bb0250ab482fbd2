/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/contest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/clairvoyant.h"

#define HASTE_US INT64_C(250000)

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
	int64_t last_us;	   /* when the last step was */
	int64_t next_us, again_us; /* when the next step is due */
};

const struct policy_ops *contest_policy(size_t i)
{
	size_t count = 0;

	while (policy_table[count])
		count++;
	if (i < count)
		return policy_table[i];
	return i == count ? &policy_clairvoyant : NULL;
}

const struct policy_ops *contest_find(const char *name)
{
	return !strcmp(name, policy_clairvoyant.name) ? &policy_clairvoyant : policy_find(name);
}

static bool is_policy_due(const struct contest *contest)
{
	int64_t now_us = contest->world.now_us;

	return now_us >= contest->next_us || (contest->again_us && now_us >= contest->again_us) ||
	       contest->world.host.recent_us >= WORLD_CRITICAL_US ||
	       (now_us >= contest->last_us + HASTE_US && world_is_urgent(&contest->world));
}

static int step_policy(struct contest *contest, const struct contest_watch *watch)
{
	struct policy_host host;
	struct policy_outcome outcome;
	struct sim_world *world = &contest->world;
	uint32_t count = world_observe(world, &host, contest->guests);
	int ret;

	contest->last_us = world->now_us;
	contest->next_us = world->now_us + SIM_STEPS_PER_SECOND * SIM_STEP_US;
	ret = contest->policy->step(contest->state, &host, contest->guests, count,
				    contest->decisions, &outcome);
	if (ret)
		return ret;
	contest->again_us = outcome.again_us;
	if (watch)
		watch->decided(watch->data, &(struct contest_view){ world, &host, contest->guests,
								    count, contest->decisions });
	contest->run.score->operations += world_apply(world, contest->decisions);
	return 0;
}

static int begin_contest(struct contest *contest, const struct trace *trace, struct score *score)
{
	contest->state = contest->policy == &policy_clairvoyant
				 ? clairvoyant_create(trace)
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
