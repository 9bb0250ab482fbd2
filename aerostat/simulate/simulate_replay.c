/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Showing a recording to policies.
 *
 * The recording's own policy must decide exactly what it decided then, reasons included; if it
 * does not, the replay has failed and the first difference is printed.  The decisions of other
 * policies are compared as well, but may differ.
 */
#include <stdio.h>
#include <string.h>

#include "aerostat/simulate/simulate.h"
#include "common/size.h"

struct replay {
	const struct policy_ops *policy;
	guint64 steps, decisions, compared, same;
	double distance_bytes; /* between the targets and the recorded ones, summed up */
	guint64 first_step;    /* the step of the first difference, from 1; 0: none */
	uint64_t first_guest;
	struct policy_decision first, first_recorded;
};

static void compare_decisions(struct replay *replay, const struct recording *recording,
			      const struct policy_decision *decisions)
{
	const struct policy_decision *recorded;
	double distance;

	for (size_t i = 0; i < recording->count; i++) {
		recorded = &recording->decisions[i];
		distance = (double)decisions[i].target_bytes - (double)recorded->target_bytes;
		replay->compared++;
		replay->distance_bytes += ABS(distance);
		if (recording_same_decision(&decisions[i], recorded)) {
			replay->same++;
		} else if (!replay->first_step) {
			replay->first_step = replay->steps;
			replay->first_guest = recording->guests[i].id;
			replay->first = decisions[i];
			replay->first_recorded = *recorded;
		}
	}
}

static void replay_step(struct replay *replay, struct policy_state *state,
			const struct recording *recording)
{
	g_autofree struct policy_decision *decisions =
		g_new0(struct policy_decision, recording->count);
	struct policy_outcome outcome;

	if (replay->policy->step(state, &recording->host, recording->guests, recording->count,
				 decisions, &outcome))
		g_error("out of memory");
	replay->steps++;
	replay->decisions += recording->count;
	if (recording->has_decisions)
		compare_decisions(replay, recording, decisions);
}

static bool replay_policy(const char *path, struct replay *replay, GError **error)
{
	g_autoptr(recording_file) recording = recording_open(path, error);
	struct policy_state *state;
	enum recording_line line;

	if (!recording)
		return false;
	state = replay->policy->create(&recording->settings);
	if (!state)
		g_error("out of memory");
	while ((line = recording_next(recording, error)) == RECORDING_STEP ||
	       line == RECORDING_SETTINGS) {
		if (line == RECORDING_SETTINGS)
			replay->policy->configure(state, &recording->settings);
		else
			replay_step(replay, state, recording);
	}
	replay->policy->destroy(state);
	return line == RECORDING_END;
}

static char *difference_text(const struct replay *replay)
{
	g_autofree char *now = size_format(replay->first.target_bytes);
	g_autofree char *then = size_format(replay->first_recorded.target_bytes);

	return g_strdup_printf("step %" G_GUINT64_FORMAT ", guest %" G_GUINT64_FORMAT
			       ": %s (%s), but the recording has %s (%s)",
			       replay->first_step, replay->first_guest, now, replay->first.text,
			       then, replay->first_recorded.text);
}

static void print_replay_text(const struct replay *replay)
{
	g_autofree char *difference = NULL;
	g_autofree char *distance = NULL;

	printf("%s: %" G_GUINT64_FORMAT " steps, %" G_GUINT64_FORMAT " decisions",
	       replay->policy->name, replay->steps, replay->decisions);
	if (!replay->compared) {
		puts("; the recording has none to compare them with");
	} else if (replay->same == replay->compared) {
		puts(", all as recorded");
	} else {
		difference = difference_text(replay);
		distance =
			size_format((uint64_t)(replay->distance_bytes / (double)replay->compared));
		printf(", %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
		       " as recorded, targets %s away on average\n  first: %s\n",
		       replay->same, replay->compared, distance, difference);
	}
}

static json_t *replay_json(const struct replay *replay)
{
	g_autofree char *difference = replay->first_step ? difference_text(replay) : NULL;
	double distance = replay->compared ? replay->distance_bytes / (double)replay->compared : 0;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "policy", replay->policy->name,
			 "steps", (json_int_t)replay->steps, "decisions",
			 (json_int_t)replay->decisions, "compared", (json_int_t)replay->compared,
			 "same", (json_int_t)replay->same, "mean_distance_bytes",
			 (json_int_t)distance, "first_difference", cli_json_string(difference));
}

/* Adds the policy that the recording names, unless the user named any. */
static bool choose_replay_policy(const char *path, GPtrArray *policies, GError **error)
{
	g_autoptr(recording_file) recording = NULL;
	const struct policy_ops *policy;

	if (policies->len)
		return true;
	recording = recording_open(path, error);
	if (!recording)
		return false;
	policy = policy_find(recording->policy);
	if (!policy) {
		g_set_error(error, RECORDING_ERROR, RECORDING_ERROR_FORMAT,
			    "recording %s is of policy '%s', which cannot be replayed; name "
			    "another with --policy",
			    path, recording->policy);
		return false;
	}
	g_ptr_array_add(policies, (void *)policy);
	return true;
}

/* Whether the recording's own policy decided differently. */
static bool is_replay_failed(const char *path, const struct replay *replay)
{
	g_autoptr(recording_file) recording = recording_open(path, NULL);

	return recording && !strcmp(recording->policy, replay->policy->name) &&
	       replay->same != replay->compared;
}

int simulate_replay(struct context *ctx, const char *path, GPtrArray *policies)
{
	g_autoptr(GError) error = NULL;
	g_autofree struct replay *replays = NULL;
	json_t *answers;
	bool bad = false;

	if (!choose_replay_policy(path, policies, &error))
		return cli_fail(ctx, error);
	replays = g_new0(struct replay, policies->len);
	for (guint i = 0; i < policies->len; i++) {
		replays[i].policy = g_ptr_array_index(policies, i);
		if (!replay_policy(path, &replays[i], &error))
			return cli_fail(ctx, error);
	}
	answers = json_array();
	for (guint i = 0; i < policies->len; i++) {
		bad = bad || is_replay_failed(path, &replays[i]);
		json_array_append_new(answers, replay_json(&replays[i]));
		if (!ctx->json)
			print_replay_text(&replays[i]);
	}
	if (ctx->json)
		cli_print_json(json_pack("{s:o, s:O}", "recording", cli_json_string(path),
					 "policies", answers));
	json_decref(answers);
	return bad ? EXIT_REFUSED : EXIT_DONE;
}
