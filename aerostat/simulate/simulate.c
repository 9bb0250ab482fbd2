/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat simulate: policies against traces, or against a recording.
 *
 * Trace number n (from 0) has the seed S + n and, without --shape, the shape in n's turn, so any
 * one of them is had alone by --shape and --seed.  Every policy is shown the same traces.
 */
#include "aerostat/simulate/simulate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat/verbs.h"
#include "simulator/oracle.h"

#define TRACES 100
#define GUESTS 6
#define SHORTEST_S 30

/* The words of the command line, before they are understood. */
struct said {
	char **policies;
	char *traces, *seed, *guests, *seconds, *shape, *plot, *record, *recording;
};

static void said_clear(struct said *words)
{
	g_strfreev(words->policies);
	g_free(words->traces);
	g_free(words->seed);
	g_free(words->guests);
	g_free(words->seconds);
	g_free(words->shape);
	g_free(words->plot);
	g_free(words->record);
	g_free(words->recording);
}
typedef struct said said_words;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(said_words, said_clear)

/* A number of @word, if there is one; false after a usage error. */
static bool read_number(struct context *ctx, const struct verb *verb, const char *what,
			const char *word, unsigned int min, unsigned int max, unsigned int *number,
			int *code)
{
	guint64 value;

	if (!word)
		return true;
	if (g_ascii_string_to_unsigned(word, 10, min, max, &value, NULL)) {
		*number = (unsigned int)value;
		return true;
	}
	*code = cli_usage(ctx, verb, "%s '%s' is not a number from %u to %u", what, word, min, max);
	return false;
}

/* All of the names that there are, for errors. */
static char *names_of_policies(void)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; contest_policy(i); i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", contest_policy(i)->name);
	return g_string_free(g_steal_pointer(&names), FALSE);
}

static char *names_of_shapes(void)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (const struct trace_shape *shape = trace_shapes; shape->name; shape++)
		g_string_append_printf(names, "%s%s", shape == trace_shapes ? "" : ", ",
				       shape->name);
	return g_string_free(g_steal_pointer(&names), FALSE);
}

static bool read_policies(struct context *ctx, const struct verb *verb, char **words,
			  GPtrArray *policies, int *code)
{
	g_autofree char *names = names_of_policies();

	for (; words && *words; words++) {
		const struct policy_ops *policy = contest_find(*words);

		if (!policy) {
			*code = cli_usage(ctx, verb, "policy '%s' is not known; there are: %s",
					  *words, names);
			return false;
		}
		if (!g_ptr_array_find(policies, policy, NULL))
			g_ptr_array_add(policies, (void *)policy);
	}
	return true;
}

static bool read_shape(struct context *ctx, const struct verb *verb, const char *word,
		       const struct trace_shape **shape, int *code)
{
	g_autofree char *names = names_of_shapes();

	*shape = word ? trace_shape_find(word) : NULL;
	if (!word || *shape)
		return true;
	*code = cli_usage(ctx, verb, "shape '%s' is not known; there are: %s", word, names);
	return false;
}

static bool understand(struct context *ctx, const struct verb *verb, const struct said *words,
		       struct simulate *asked, int *code)
{
	if (!read_policies(ctx, verb, words->policies, asked->policies, code) ||
	    !read_shape(ctx, verb, words->shape, &asked->shape, code) ||
	    !read_number(ctx, verb, "traces", words->traces, 1, 100000, &asked->traces, code) ||
	    !read_number(ctx, verb, "seed", words->seed, 0, 1000000000, &asked->seed, code) ||
	    !read_number(ctx, verb, "guests", words->guests, 1, TRACE_GUESTS_MAX, &asked->guests,
			 code) ||
	    !read_number(ctx, verb, "seconds", words->seconds, SHORTEST_S, 3600, &asked->seconds,
			 code))
		return false;
	asked->plot_path = words->plot;
	asked->record_path = words->record;
	if (!words->recording)
		return true;
	if (g_ptr_array_find(asked->policies, &policy_oracle, NULL)) {
		*code = cli_usage(ctx, verb, "the oracle knows no recording's future");
		return false;
	}
	if (!words->traces && !words->seed && !words->guests && !words->seconds && !words->shape &&
	    !words->plot && !words->record)
		return true;
	*code = cli_usage(ctx, verb,
			  "--recording is replayed as it is: of the other options only --policy "
			  "goes with it");
	return false;
}

/* What the first trace leaves behind besides its score. */
struct keepsake {
	struct plot *plot;
	double *stalled_s; /* of each guest, until the last point */
	uint64_t *kills;
	FILE *record;
	bool failed; /* errno_then says why */
	int errno_then;
};

static void plot_guest(struct keepsake *keepsake, const struct contest_view *view, guint i)
{
	const struct sim_world *world = view->world;
	const struct sim_guest *guest = &world->guests[i];
	double stalled_s = 1e-6 * (double)(guest->counters.full_us + world->slots[i].stall_us);
	const double *times = (const double *)keepsake->plot->times->data;
	guint now = keepsake->plot->times->len - 1;
	double passed = now ? times[now] - times[now - 1] : 1;
	struct plot_point point = {
		.need = (double)trace_need(guest->traits, world->step),
		.target = (double)view->decisions[i].target_bytes,
		.actual = (double)sim_guest_actual(guest),
		.stall = MIN(1, (stalled_s - keepsake->stalled_s[i]) / passed),
		.killed = guest->counters.oom_kills > keepsake->kills[i],
	};

	keepsake->stalled_s[i] = stalled_s;
	keepsake->kills[i] = guest->counters.oom_kills;
	g_array_append_val(keepsake->plot->guests[i], point);
}

static void keep(void *data, const struct contest_view *view)
{
	struct keepsake *keepsake = data;
	double now_s = 1e-6 * (double)view->host->now_us;
	double available = (double)view->host->available_bytes;

	if (keepsake->record && !keepsake->failed &&
	    !recording_write_step(keepsake->record, view->host, view->guests, view->count,
				  view->decisions)) {
		keepsake->failed = true;
		keepsake->errno_then = errno;
	}
	if (!keepsake->plot)
		return;
	g_array_append_val(keepsake->plot->times, now_s);
	g_array_append_val(keepsake->plot->available, available);
	for (guint i = 0; i < view->count; i++)
		plot_guest(keepsake, view, i);
}

static struct plot *plot_of(const struct trace *trace, const struct policy_ops *policy)
{
	struct plot *plot = plot_new(g_strdup_printf("policy %s, shape %s, seed %" G_GUINT64_FORMAT,
						     policy->name, trace->shape, trace->seed),
				     trace->count);

	plot->host_bytes = (double)trace->host_bytes;
	for (guint i = 0; i < plot->count; i++)
		plot->sizes[i] = (double)trace->guests[i].boot_bytes;
	return plot;
}

static int cannot_write(struct context *ctx, const char *path, int wrong)
{
	return cli_fail_with(ctx, EXIT_REFUSED, "%s cannot be written: %s", path,
			     g_strerror(wrong));
}

/* Runs @trace once more for what was asked to be kept of it: --plot and --record. */
static int keep_trace(struct context *ctx, const struct simulate *asked, const struct trace *trace)
{
	const struct policy_ops *policy = g_ptr_array_index(asked->policies, 0);
	g_autoptr(plot_picture) plot = asked->plot_path ? plot_of(trace, policy) : NULL;
	g_autofree double *stalled_s = g_new0(double, trace->count);
	g_autofree uint64_t *kills = g_new0(uint64_t, trace->count);
	struct keepsake keepsake = { .plot = plot, .stalled_s = stalled_s, .kills = kills };
	g_autofree struct score *score = g_new(struct score, 1);

	if (asked->record_path) {
		keepsake.record = fopen(asked->record_path, "we");
		if (!keepsake.record ||
		    !recording_write_start(keepsake.record, policy->name, &contest_settings))
			keepsake.errno_then = errno;
		keepsake.failed = keepsake.errno_then;
	}
	score_init(score);
	if (contest_run(trace, policy, score, &(struct contest_watch){ keep, &keepsake }))
		g_error("out of memory");
	if (keepsake.record && fclose(keepsake.record) && !keepsake.failed) {
		keepsake.failed = true;
		keepsake.errno_then = errno;
	}
	if (keepsake.failed)
		return cannot_write(ctx, asked->record_path, keepsake.errno_then);
	if (plot && !plot_write(plot, asked->plot_path))
		return cannot_write(ctx, asked->plot_path, errno);
	return EXIT_DONE;
}

static const struct trace_shape *shape_of(const struct results *results, unsigned int n,
					  size_t *index)
{
	*index = results->asked->shape ? (size_t)(results->asked->shape - trace_shapes)
				       : n % results->shapes;
	return &trace_shapes[*index];
}

static struct trace *make_trace(const struct results *results, unsigned int n, size_t *index)
{
	const struct simulate *asked = results->asked;
	struct trace *trace = trace_new(shape_of(results, n, index), asked->seed + n, asked->guests,
					asked->seconds);

	if (!trace)
		g_error("out of memory");
	return trace;
}

static void run_trace(struct results *results, unsigned int n)
{
	size_t index;
	struct trace *trace = make_trace(results, n, &index);

	for (guint i = 0; i < results->asked->policies->len; i++)
		if (contest_run(trace, g_ptr_array_index(results->asked->policies, i),
				&results->scores[i * results->shapes + index], NULL))
			g_error("out of memory");
	trace_free(trace);
}

static void run_all(struct context *ctx, struct results *results)
{
	bool show = !ctx->quiet && isatty(STDERR_FILENO);
	unsigned int traces = results->asked->traces;

	for (unsigned int n = 0; n < traces; n++) {
		run_trace(results, n);
		if (show)
			fprintf(stderr, "\rtrace %u of %u", n + 1, traces);
	}
	if (show)
		fputs("\r\033[K", stderr);
}

static int simulate(struct context *ctx, const struct simulate *asked)
{
	struct results results = { .asked = asked };
	g_autofree struct score *scores = NULL;
	struct trace *trace;
	size_t index;
	int code = EXIT_DONE;

	while (trace_shapes[results.shapes].name)
		results.shapes++;
	scores = g_new(struct score, asked->policies->len * results.shapes);
	for (size_t i = 0; i < asked->policies->len * results.shapes; i++)
		score_init(&scores[i]);
	results.scores = scores;
	if (asked->plot_path || asked->record_path) {
		trace = make_trace(&results, 0, &index);
		code = keep_trace(ctx, asked, trace);
		trace_free(trace);
	}
	if (code != EXIT_DONE)
		return code;
	run_all(ctx, &results);
	if (ctx->json)
		results_print_json(&results);
	else
		results_print(&results);
	return EXIT_DONE;
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_auto(said_words) said = { 0 };
	const GOptionEntry entries[] = {
		{ "policy", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &said.policies,
		  "only this one; may be said several times", "NAME" },
		{ "traces", 0, 0, G_OPTION_ARG_STRING, &said.traces, "how many (100)", "N" },
		{ "seed", 0, 0, G_OPTION_ARG_STRING, &said.seed,
		  "of the first trace (1); the next has the next", "S" },
		{ "guests", 0, 0, G_OPTION_ARG_STRING, &said.guests, "on the host (6)", "N" },
		{ "seconds", 0, 0, G_OPTION_ARG_STRING, &said.seconds, "of each trace (240)", "S" },
		{ "shape", 0, 0, G_OPTION_ARG_STRING, &said.shape,
		  "only traces of this shape, not all in turn", "NAME" },
		{ "plot", 0, 0, G_OPTION_ARG_FILENAME, &said.plot,
		  "draw the first trace under the first policy", "FILE.svg" },
		{ "record", 0, 0, G_OPTION_ARG_FILENAME, &said.record,
		  "record the first trace under the first policy", "FILE" },
		{ "recording", 0, 0, G_OPTION_ARG_FILENAME, &said.recording,
		  "replay this instead of simulating", "FILE" },
		{ NULL }
	};
	g_autoptr(GPtrArray) policies = g_ptr_array_new();
	struct simulate asked = { .policies = policies,
				  .traces = TRACES,
				  .seed = 1,
				  .guests = GUESTS,
				  .seconds = TRACE_SECONDS };
	g_auto(GStrv) words = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 0, &words, &code) ||
	    !understand(ctx, verb, &said, &asked, &code))
		return code;
	if (said.recording)
		return simulate_replay(ctx, said.recording, policies);
	for (size_t i = 0; !said.policies && contest_policy(i); i++)
		g_ptr_array_add(policies, (void *)contest_policy(i));
	return simulate(ctx, &asked);
}

const struct verb verb_simulate = {
	.name = "simulate",
	.args = "",
	.summary = "try policies on made-up hosts, or on a recording",
	.details =
		"Runs policies that move memory between guests over seeded traces of a host with "
		"guests that\n"
		"reclaim, swap, stall and kill, and compares them: ours, five of others, and an "
		"oracle that\n"
		"knows the future. Nothing real is touched. With --recording a policy is shown "
		"what "
		"was recorded\n"
		"of a real host, and must decide what was decided then.",
	.examples =
		"  aerostat simulate --traces 200\n"
		"  aerostat simulate --policy aerostat --policy proxmox --shape bursts --seed 7\n"
		"  aerostat simulate -p aerostat --shape build --traces 1 --plot build.svg\n"
		"  aerostat simulate --recording monday.jsonl\n",
	.run = run,
};
