/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat simulate: run policies on traces, or on a recording.
 *
 * Trace number n (from 0) has the seed S + n.  Without --shape the shapes take turns.  So any one
 * of the traces can be repeated alone by --shape and --seed.  All policies see the same traces.
 */
#include "aerostat/simulate/simulate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat/verbs.h"
#include "simulator/clairvoyant.h"

#define TRACES 100
#define GUESTS 6
#define SHORTEST_S 30
#define SLACK_MIN 0.1
#define SLACK_MAX 10.0

/* The values of the options as they were given. */
struct simulate_options {
	char **policies;
	char *traces, *seed, *guests, *seconds, *shape, *fleet, *slack, *plot, *record, *recording;
	gboolean wide;
};

static void simulate_options_clear(struct simulate_options *args)
{
	g_strfreev(args->policies);
	g_free(args->traces);
	g_free(args->seed);
	g_free(args->guests);
	g_free(args->seconds);
	g_free(args->shape);
	g_free(args->fleet);
	g_free(args->slack);
	g_free(args->plot);
	g_free(args->record);
	g_free(args->recording);
}
typedef struct simulate_options simulate_strings;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(simulate_strings, simulate_options_clear)

/* The names of all policies, for error messages. */
static char *list_policy_names(void)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; contest_policy(i); i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", contest_policy(i)->name);
	return g_string_free(g_steal_pointer(&names), FALSE);
}

static char *list_shape_names(void)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (const struct trace_shape *shape = trace_shapes; shape->name; shape++)
		g_string_append_printf(names, "%s%s", shape == trace_shapes ? "" : ", ",
				       shape->name);
	return g_string_free(g_steal_pointer(&names), FALSE);
}

static bool parse_policies(struct context *ctx, const struct verb *verb, char **args,
			   GPtrArray *policies, int *code)
{
	g_autofree char *names = list_policy_names();

	for (; args && *args; args++) {
		const struct policy_ops *policy = contest_find(*args);

		if (!policy) {
			*code = cli_usage(ctx, verb, "policy '%s' is not known; there are: %s",
					  *args, names);
			return false;
		}
		if (!g_ptr_array_find(policies, policy, NULL))
			g_ptr_array_add(policies, (void *)policy);
	}
	return true;
}

static bool parse_shape(struct context *ctx, const struct verb *verb, const char *text,
			const struct trace_shape **shape, int *code)
{
	g_autofree char *names = list_shape_names();

	*shape = text ? trace_shape_find(text) : NULL;
	if (!text || *shape)
		return true;
	*code = cli_usage(ctx, verb, "shape '%s' is not known; there are: %s", text, names);
	return false;
}

static bool parse_fleet(struct context *ctx, const struct verb *verb, const char *text,
			const struct fleet **fleet, int *code)
{
	g_autoptr(GString) names = g_string_new(NULL);

	*fleet = text ? fleet_find(text) : &fleets[0];
	if (*fleet)
		return true;
	for (const struct fleet *one = fleets; one->name; one++)
		g_string_append_printf(names, "%s%s", one == fleets ? "" : ", ", one->name);
	*code = cli_usage(ctx, verb, "fleet '%s' is not known; there are: %s", text, names->str);
	return false;
}

static bool parse_slack(struct context *ctx, const struct verb *verb, const char *text,
			double *slack, int *code)
{
	char *end;

	if (!text)
		return true;
	*slack = g_ascii_strtod(text, &end);
	if (end != text && !*end && *slack >= SLACK_MIN && *slack <= SLACK_MAX)
		return true;
	*code = cli_usage(ctx, verb, "slack '%s' is not a number from %.1f to %.0f", text,
			  SLACK_MIN, SLACK_MAX);
	return false;
}

static bool parse_simulate_options(struct context *ctx, const struct verb *verb,
				   const struct simulate_options *args, struct simulate *asked,
				   int *code)
{
	if (!parse_policies(ctx, verb, args->policies, asked->policies, code) ||
	    !parse_shape(ctx, verb, args->shape, &asked->shape, code) ||
	    !parse_fleet(ctx, verb, args->fleet, &asked->fleet, code) ||
	    !parse_slack(ctx, verb, args->slack, &asked->slack, code) ||
	    !verb_parse_number(ctx, verb, "traces", args->traces, 1, 100000, &asked->traces,
			       code) ||
	    !verb_parse_number(ctx, verb, "seed", args->seed, 0, 1000000000, &asked->seed, code) ||
	    !verb_parse_number(ctx, verb, "guests", args->guests, 1, TRACE_GUESTS_MAX,
			       &asked->guests, code) ||
	    !verb_parse_number(ctx, verb, "seconds", args->seconds, SHORTEST_S, 3600,
			       &asked->seconds, code))
		return false;
	asked->wide = args->wide;
	asked->plot_path = args->plot;
	asked->record_path = args->record;
	if (!args->recording)
		return true;
	if (g_ptr_array_find(asked->policies, &policy_clairvoyant, NULL)) {
		*code = cli_usage(ctx, verb,
				  "policy 'clairvoyant' cannot replay a recording: it needs to "
				  "know the future");
		return false;
	}
	if (!args->traces && !args->seed && !args->guests && !args->seconds && !args->shape &&
	    !args->fleet && !args->slack && !args->wide && !args->plot && !args->record)
		return true;
	*code = cli_usage(
		ctx, verb,
		"--recording excludes all other options but --policy: the recording decides them");
	return false;
}

/* What is written of the first trace, for --plot and --record. */
struct trace_capture {
	struct plot *plot;
	double *stalled_s; /* of each guest, up to the last point */
	uint64_t *kills;
	FILE *record;
	bool failed; /* the record could not be written; errno_then says why */
	int errno_then;
};

static void capture_guest_point(struct trace_capture *capture, const struct contest_view *view,
				guint i)
{
	const struct sim_world *world = view->world;
	guint place = world->seen[i];
	const struct sim_guest *guest = &world->guests[place];
	double stalled_s = 1e-6 * (double)(guest->counters.full_us + world->slots[place].stall_us);
	const double *times = (const double *)capture->plot->times->data;
	guint now = capture->plot->times->len - 1;
	double passed = now ? times[now] - times[now - 1] : 1;
	struct plot_point point = {
		.need = (double)trace_need(guest->traits, world->step),
		.target = (double)view->decisions[i].target_bytes,
		.actual = (double)sim_guest_actual(guest),
		.stall = MIN(1, (stalled_s - capture->stalled_s[place]) / passed),
		.killed = guest->counters.oom_kills > capture->kills[place],
	};

	capture->stalled_s[place] = stalled_s;
	capture->kills[place] = guest->counters.oom_kills;
	g_array_append_val(capture->plot->guests[place], point);
}

/* The plot needs a point of each guest: nothing of one that does not run. */
static void capture_absent_guests(struct trace_capture *capture, const struct sim_world *world)
{
	const struct plot_point nothing = { .need = NAN, .target = NAN, .actual = NAN };

	for (guint i = 0; i < world->trace->count; i++)
		if (!world->guests[i].running)
			g_array_append_val(capture->plot->guests[i], nothing);
}

static void capture_step(void *data, const struct contest_view *view)
{
	struct trace_capture *capture = data;
	double now_s = 1e-6 * (double)view->host->now_us;
	double available = (double)view->host->available_bytes;

	if (capture->record && !capture->failed &&
	    !recording_write_step(capture->record, view->host, view->guests, view->count,
				  view->decisions)) {
		capture->failed = true;
		capture->errno_then = errno;
	}
	if (!capture->plot)
		return;
	g_array_append_val(capture->plot->times, now_s);
	g_array_append_val(capture->plot->available, available);
	for (guint i = 0; i < view->count; i++)
		capture_guest_point(capture, view, i);
	capture_absent_guests(capture, view->world);
}

static struct plot *plot_new_for_trace(const struct trace *trace, const struct policy_ops *policy)
{
	struct plot *plot = plot_new(g_strdup_printf("policy %s, shape %s, seed %" G_GUINT64_FORMAT,
						     policy->name, trace->shape, trace->seed),
				     trace->count);

	plot->host_bytes = (double)trace->host_bytes;
	for (guint i = 0; i < plot->count; i++)
		plot->sizes[i] = (double)trace->guests[i].boot_bytes;
	return plot;
}

static int fail_write_file(struct context *ctx, const char *path, int wrong)
{
	return cli_fail_with(ctx, EXIT_REFUSED, "cannot write %s: %s", path, g_strerror(wrong));
}

/* Runs @trace once more, to write the files of --plot and --record. */
static int capture_trace(struct context *ctx, const struct simulate *asked,
			 const struct trace *trace)
{
	const struct policy_ops *policy = g_ptr_array_index(asked->policies, 0);
	g_autoptr(plot_picture) plot = asked->plot_path ? plot_new_for_trace(trace, policy) : NULL;
	g_autofree double *stalled_s = g_new0(double, trace->count);
	g_autofree uint64_t *kills = g_new0(uint64_t, trace->count);
	struct trace_capture capture = { .plot = plot, .stalled_s = stalled_s, .kills = kills };
	g_autofree struct score *score = g_new(struct score, 1);

	if (asked->record_path) {
		capture.record = fopen(asked->record_path, "we");
		if (!capture.record ||
		    !recording_write_start(capture.record, policy->name, &contest_settings))
			capture.errno_then = errno;
		capture.failed = capture.errno_then;
	}
	score_init(score);
	if (contest_run(trace, policy, score, &(struct contest_watch){ capture_step, &capture }))
		g_error("out of memory");
	if (capture.record && fclose(capture.record) && !capture.failed) {
		capture.failed = true;
		capture.errno_then = errno;
	}
	if (capture.failed)
		return fail_write_file(ctx, asked->record_path, capture.errno_then);
	if (plot && !plot_write(plot, asked->plot_path))
		return fail_write_file(ctx, asked->plot_path, errno);
	return EXIT_DONE;
}

static const struct trace_shape *trace_shape_at(const struct results *results, unsigned int n,
						size_t *index)
{
	*index = results->asked->shape ? (size_t)(results->asked->shape - trace_shapes)
				       : n % TRACE_PLAIN_SHAPES;
	return &trace_shapes[*index];
}

static struct trace *make_numbered_trace(const struct results *results, unsigned int n,
					 size_t *index)
{
	const struct simulate *asked = results->asked;
	struct trace *trace = trace_new(&(struct trace_plan){
		.shape = trace_shape_at(results, n, index),
		.seed = asked->seed + n,
		.guests = asked->guests,
		.seconds = asked->seconds,
		.slack = asked->slack,
		.wide = asked->wide,
	});

	if (!trace)
		g_error("out of memory");
	fleet_equip(asked->fleet, trace);
	return trace;
}

static void score_trace(struct results *results, unsigned int n)
{
	size_t index;
	struct trace *trace = make_numbered_trace(results, n, &index);

	for (guint i = 0; i < results->asked->policies->len; i++)
		if (contest_run(trace, g_ptr_array_index(results->asked->policies, i),
				&results->scores[i * results->shapes + index], NULL))
			g_error("out of memory");
	trace_free(trace);
}

static void score_all_traces(struct context *ctx, struct results *results)
{
	bool show = !ctx->quiet && isatty(STDERR_FILENO);
	unsigned int traces = results->asked->traces;

	for (unsigned int n = 0; n < traces; n++) {
		score_trace(results, n);
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
		trace = make_numbered_trace(&results, 0, &index);
		code = capture_trace(ctx, asked, trace);
		trace_free(trace);
	}
	if (code != EXIT_DONE)
		return code;
	score_all_traces(ctx, &results);
	if (ctx->json)
		results_print_json(&results);
	else
		results_print(&results);
	return EXIT_DONE;
}

static int run_simulate(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_auto(simulate_strings) given = { 0 };
	const GOptionEntry entries[] = {
		{ "policy", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &given.policies,
		  "run only this policy; may be repeated", "NAME" },
		{ "traces", 0, 0, G_OPTION_ARG_STRING, &given.traces,
		  "number of traces (default: 100)", "N" },
		{ "seed", 0, 0, G_OPTION_ARG_STRING, &given.seed,
		  "seed of the first trace, which counts up (default: 1)", "S" },
		{ "guests", 0, 0, G_OPTION_ARG_STRING, &given.guests,
		  "guests per trace (default: 6)", "N" },
		{ "seconds", 0, 0, G_OPTION_ARG_STRING, &given.seconds,
		  "length of each trace (default: 240)", "S" },
		{ "shape", 0, 0, G_OPTION_ARG_STRING, &given.shape, "run only traces of this shape",
		  "NAME" },
		{ "fleet", 0, 0, G_OPTION_ARG_STRING, &given.fleet,
		  "what the guests' drivers and devices can do (default: drawn)", "NAME" },
		{ "slack", 0, 0, G_OPTION_ARG_STRING, &given.slack,
		  "give the guests this many times the peak of their needs (default: drawn)", "N" },
		{ "wide", 0, 0, G_OPTION_ARG_NONE, &given.wide,
		  "guests of 512 MiB to 64 GiB that start and stop; any host swap", NULL },
		{ "plot", 0, 0, G_OPTION_ARG_FILENAME, &given.plot,
		  "draw the first trace under the first policy", "FILE.svg" },
		{ "record", 0, 0, G_OPTION_ARG_FILENAME, &given.record,
		  "record the first trace under the first policy", "FILE" },
		{ "recording", 0, 0, G_OPTION_ARG_FILENAME, &given.recording,
		  "replay this recording instead of simulating", "FILE" },
		{ NULL }
	};
	g_autoptr(GPtrArray) policies = g_ptr_array_new();
	struct simulate asked = { .policies = policies,
				  .traces = TRACES,
				  .seed = 1,
				  .guests = GUESTS,
				  .seconds = TRACE_SECONDS };
	g_auto(GStrv) args = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 0, &args, &code) ||
	    !parse_simulate_options(ctx, verb, &given, &asked, &code))
		return code;
	if (given.recording)
		return simulate_replay(ctx, given.recording, policies);
	for (size_t i = 0; !given.policies && contest_policy(i); i++)
		g_ptr_array_add(policies, (void *)contest_policy(i));
	return simulate(ctx, &asked);
}

const struct verb verb_simulate = {
	.name = "simulate",
	.args = "",
	.summary = "run policies on simulated hosts, or on a recording",
	.details =
		"Runs policies that move memory between guests over seeded traces of a host whose "
		"guests reclaim,\n"
		"swap, stall and kill, and compares them: Aerostat's, others', and one that "
		"knows the\n"
		"future. Nothing real is changed. With --recording, a policy sees what was "
		"recorded "
		"on a real host,\n"
		"and must decide what was decided then.",
	.examples =
		"  aerostat simulate --traces 200\n"
		"  aerostat simulate --fleet ours --slack 0.9\n"
		"  aerostat simulate --policy aerostat --policy proxmox --shape bursts --seed 7\n"
		"  aerostat simulate -p aerostat --shape build --traces 1 --plot build.svg\n"
		"  aerostat simulate --recording monday.jsonl\n",
	.run = run_simulate,
};
