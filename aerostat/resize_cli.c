/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: if an aerostatd manages the guest, it is informed before the guest is
 * asked, and holds the guest at the size that was asked for (hold.c).
 */
#include "aerostat/resize_cli.h"

#include <signal.h>

#include "aerostat/hold.h"
#include "aerostat/progress_bar.h"

#define SECONDS_MAX 1000000

/*
 * The signals by which a person, a terminal that hangs up, or the end of a session ends this
 * command.  (SIGPIPE is ignored.)  One that is ignored, as SIGHUP is after nohup, stays so.
 */
static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static volatile sig_atomic_t interrupted;

static void on_resize_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

static void catch_ending_signals(struct sigaction before[])
{
	const struct sigaction catch = { .sa_handler = on_resize_interrupt };

	for (size_t i = 0; i < G_N_ELEMENTS(ending_signals); i++) {
		sigaction(ending_signals[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(ending_signals[i], &catch, NULL);
	}
}

static void restore_ending_signals(const struct sigaction before[])
{
	for (size_t i = 0; i < G_N_ELEMENTS(ending_signals); i++)
		sigaction(ending_signals[i], &before[i], NULL);
}

GOptionGroup *resize_option_group(struct resize_options *options)
{
	const GOptionEntry entries[] = {
		{ "no-wait", 0, 0, G_OPTION_ARG_NONE, &options->no_wait,
		  "set the target and return at once, as virsh does", NULL },
		{ "force", 'f', 0, G_OPTION_ARG_NONE, &options->force,
		  "go on although the guest must swap or kill, or is below its floor", NULL },
		{ "keep-target", 0, 0, G_OPTION_ARG_NONE, &options->keep_target,
		  "if the guest stops short, leave the target as it is", NULL },
		{ "timeout", 't', 0, G_OPTION_ARG_STRING, &options->timeout,
		  "wait at most S seconds (default: 120)", "S" },
		{ "stall", 0, 0, G_OPTION_ARG_STRING, &options->stall,
		  "give up after S seconds without progress (default: 10)", "S" },
		{ NULL }
	};
	GOptionGroup *group =
		g_option_group_new("resize", "How to change a running guest:", "", NULL, NULL);

	g_option_group_add_entries(group, entries);
	return group;
}

bool resize_check_options(struct context *ctx, const struct verb *verb,
			  struct resize_options *options, int *code)
{
	g_autofree char *timeout = g_steal_pointer(&options->timeout);
	g_autofree char *stall = g_steal_pointer(&options->stall);

	return verb_parse_number(ctx, verb, "timeout", timeout, 1, SECONDS_MAX, &options->timeout_s,
				 code) &&
	       verb_parse_number(ctx, verb, "stall", stall, 1, SECONDS_MAX, &options->stall_s,
				 code);
}

void resize_outcome_clear(struct resize_outcome *outcome)
{
	resize_result_clear(&outcome->result);
}

/* What the callbacks of a resize need. */
struct live_resize {
	struct context *ctx;
	const char *socket;
	const hv_guest *guest;
	const hv_info *info;
	struct hold hold;
	struct progress_bar bar;
};

static void show_resize_progress(void *data, const struct balloon_wait *wait, int64_t now_us)
{
	struct live_resize *live = data;

	progress_bar_update(&live->bar, live->info->name, wait, now_us);
}

static void show_resize_waiting(void *data, const char *text)
{
	struct live_resize *live = data;

	progress_bar_announce(&live->bar, live->info->name, text);
}

static void warn_of_resize(void *data, const char *text)
{
	const struct live_resize *live = data;

	cli_warn(live->ctx, "%s", text);
}

/* Without aerostatd's consent the guest is asked all the same; hold_at() has warned. */
static bool hold_resized_guest(void *data, uint64_t bytes, GError **error)
{
	struct live_resize *live = data;

	(void)error;
	if (!live->hold.ctx)
		hold_prepare(&live->hold, live->ctx, live->socket, live->guest, live->info);
	hold_at(&live->hold, bytes);
	return true;
}

static void release_resized_guest(void *data)
{
	hold_undo(&((struct live_resize *)data)->hold);
}

static bool is_resize_interrupted(void *data)
{
	(void)data;
	return interrupted;
}

static const struct resize_ops live_ops = {
	.progress = show_resize_progress,
	.waiting = show_resize_waiting,
	.warn = warn_of_resize,
	.hold = hold_resized_guest,
	.release = release_resized_guest,
	.is_cancelled = is_resize_interrupted,
};

bool resize_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t target_bytes,
		 const struct resize_options *options, struct resize_outcome *outcome,
		 GError **error)
{
	const struct resize_request request = {
		.target_bytes = target_bytes,
		.force = options->force,
		.no_wait = options->no_wait,
		.keep_target = options->keep_target,
		.timeout_us = (int64_t)options->timeout_s * G_USEC_PER_SEC,
		.stall_us = (int64_t)options->stall_s * G_USEC_PER_SEC,
	};
	struct live_resize live = {
		.ctx = ctx,
		.socket = options->socket,
		.guest = guest,
		.info = info,
		.hold = { .bytes = HV_UNSET },
	};
	struct sigaction before[G_N_ELEMENTS(ending_signals)];
	bool ok;

	catch_ending_signals(before);
	progress_bar_start(&live.bar, ctx->quiet || ctx->json);
	ok = resize_guest(guest, info, &request, &live_ops, &live, &outcome->result, error);
	progress_bar_clear(&live.bar);
	restore_ending_signals(before);
	outcome->held_bytes = live.hold.bytes;
	hold_clear(&live.hold);
	return ok;
}
