/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat event: print balloon changes and lifecycle events as they happen.
 *
 * Theory of operation: one thread per guest waits for its events and puts them on a common
 * queue; the main thread prints them.  The threads are not joined, since one may be stuck in a
 * call: they end with the process.
 */
#include <errno.h>
#include <stdio.h>

#include "aerostat/guest_query.h"
#include "aerostat/verbs.h"
#include "common/size.h"
#include "hypervisor/shortage.h"

#define SLICE_MS 500 /* how long a thread waits at a time */

static const char *const kind_names[] = {
	[HV_EVENT_BALLOON_CHANGE] = "balloon-change",
	[HV_EVENT_LIFECYCLE] = "lifecycle",
};

struct watcher {
	hv_guest *guest;
	const char *name;
	GAsyncQueue *queue;
};

/*
 * An event, (@lost) the message that the guest cannot be reached now, or (@over) that no more will
 * come from it.
 */
struct watch_message {
	const char *name;
	struct hv_event event;
	bool lost, over;
	GError *error; /* why it is lost; or why it is over, if that is a failure */
};

static void watch_message_free(struct watch_message *message)
{
	g_clear_error(&message->error);
	g_free(message);
}

static gpointer watch_guest(gpointer data)
{
	struct watcher *watcher = data;
	bool lost = false;

	for (;;) {
		struct watch_message *message = g_new0(struct watch_message, 1);
		g_autoptr(GError) error = NULL;

		message->name = watcher->name;
		if (hv_guest_event_wait(watcher->guest, hv_deadline_ms(SLICE_MS), &message->event,
					&error)) {
			lost = false;
			g_async_queue_push(watcher->queue, message);
		} else if (g_error_matches(error, HV_ERROR, HV_ERROR_TIMEOUT)) {
			lost = false;
			watch_message_free(message);
		} else if (g_error_matches(error, HV_ERROR, HV_ERROR_UNREACHABLE)) {
			/* Reported once, and tried again. */
			message->lost = !lost;
			message->error = g_steal_pointer(&error);
			if (lost)
				watch_message_free(message);
			else
				g_async_queue_push(watcher->queue, message);
			lost = true;
			g_usleep(SLICE_MS * 1000);
		} else {
			message->over = true;
			if (!g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING))
				message->error = g_steal_pointer(&error);
			g_async_queue_push(watcher->queue, message);
			return NULL;
		}
	}
}

static void print_event(struct context *ctx, const struct watch_message *message, bool timestamp)
{
	const struct hv_event *event = &message->event;
	bool is_balloon = event->kind == HV_EVENT_BALLOON_CHANGE;
	g_autoptr(GDateTime) time =
		g_date_time_new_from_unix_local(event->time_us / G_USEC_PER_SEC);
	g_autofree char *stamp = g_date_time_format(time, "%F %T%z: ");

	if (ctx->json) {
		json_t *line = json_pack(
			"{s:s, s:s, s:I, s:o, s:o}", "event", kind_names[event->kind], "guest",
			message->name, "time_us", (json_int_t)event->time_us, "actual_bytes",
			is_balloon ? cli_json_bytes(event->actual_bytes) : json_null(), "detail",
			is_balloon ? json_null() : json_string(event->detail));
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(line);
	} else if (is_balloon) {
		printf("%sevent 'balloon-change' for domain '%s': %" G_GUINT64_FORMAT "KiB\n",
		       timestamp ? stamp : "", message->name, event->actual_bytes / SIZE_KIB);
	} else {
		printf("%sevent 'lifecycle' for domain '%s': %s\n", timestamp ? stamp : "",
		       message->name, event->detail);
	}
	fflush(stdout);
}

/* Starts a thread for each guest that answered; returns how many. */
static int start_watchers(const struct context *ctx, const GPtrArray *guests, GAsyncQueue *queue)
{
	int count = 0;

	for (guint i = 0; i < guests->len; i++) {
		struct guest_reply *one = guests->pdata[i];
		g_autoptr(GThread) thread = NULL;
		struct watcher *watcher;

		if (one->error) {
			cli_warn(ctx, "%s", one->error->message);
			continue;
		}
		watcher = g_new0(struct watcher, 1);
		*watcher = (struct watcher){ one->guest, one->info.name, queue };
		hv_guest_hold(one->guest, true);
		thread = g_thread_try_new("watch", watch_guest, watcher, NULL);
		if (!thread) {
			cli_warn(ctx, "%s is not watched: %s", one->info.name,
				 shortage_explain(EAGAIN));
			g_free(watcher);
			continue;
		}
		count++;
	}
	return count;
}

struct event_options {
	gboolean loop, timestamp, list;
	unsigned int timeout_s; /* 0: no limit */
	char *kind;		/* NULL or "all": any */
};

static bool is_event_wanted(const struct event_options *options, const struct hv_event *event)
{
	return !options->kind || !g_strcmp0(options->kind, "all") ||
	       !g_strcmp0(options->kind, kind_names[event->kind]);
}

/* Prints events until one came (without --loop), the time is up, or no guest is left. */
static int print_events(struct context *ctx, GAsyncQueue *queue, int watched,
			const struct event_options *options)
{
	int64_t end = options->timeout_s ? hv_deadline_ms(options->timeout_s * 1000) : G_MAXINT64;
	int received = 0;
	int code = EXIT_DONE;

	while (watched > 0 && (options->loop || !received)) {
		int64_t left = MIN(end - g_get_monotonic_time(), G_TIME_SPAN_DAY);
		struct watch_message *message =
			left > 0 ? g_async_queue_timeout_pop(queue, (guint64)left) : NULL;

		if (!message && left <= 0)
			break;
		if (!message)
			continue;
		if (message->over) {
			watched--;
			code = message->error ? cli_fail(ctx, message->error) : code;
		} else if (message->lost) {
			cli_warn(ctx, "%s; trying again", message->error->message);
		} else if (is_event_wanted(options, &message->event)) {
			print_event(ctx, message, options->timestamp);
			received++;
		}
		watch_message_free(message);
	}
	if (!ctx->json)
		printf("events received: %d\n", received);
	return received || options->loop ? code : MAX(code, EXIT_REFUSED);
}

static bool is_event_kind(const char *kind)
{
	return !kind || g_str_equal(kind, "all") ||
	       g_str_equal(kind, kind_names[HV_EVENT_BALLOON_CHANGE]) ||
	       g_str_equal(kind, kind_names[HV_EVENT_LIFECYCLE]);
}

static int run_event(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct event_options options = { 0 };
	g_autofree char *kind = NULL, *timeout = NULL;
	const GOptionEntry entries[] = {
		{ "event", 'e', 0, G_OPTION_ARG_STRING, &options.kind,
		  "wait only for balloon-change or lifecycle (default: all)", "KIND" },
		{ "loop", 'l', 0, G_OPTION_ARG_NONE, &options.loop, "go on after the first event",
		  NULL },
		{ "timeout", 't', 0, G_OPTION_ARG_STRING, &timeout, "end after S seconds", "S" },
		{ "timestamp", 0, 0, G_OPTION_ARG_NONE, &options.timestamp,
		  "print when each event came", NULL },
		{ "list", 0, 0, G_OPTION_ARG_NONE, &options.list, "list the kinds of events",
		  NULL },
		{ NULL }
	};
	GAsyncQueue *queue;
	GPtrArray *guests;
	g_auto(GStrv) args = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, -1, &args, &code))
		return code;
	kind = options.kind;
	if (options.list) {
		printf("%s\n%s\n", kind_names[HV_EVENT_BALLOON_CHANGE],
		       kind_names[HV_EVENT_LIFECYCLE]);
		return EXIT_DONE;
	}
	if (!is_event_kind(kind))
		return cli_usage(ctx, verb,
				 "unknown event '%s': use balloon-change, lifecycle or all", kind);
	if (!verb_parse_number(ctx, verb, "timeout", timeout, 1, 1000000, &options.timeout_s,
			       &code))
		return code;
	/* Guests and queue are never freed: the threads may still use them. */
	guests = query_guests(ctx, args, false, false, &code);
	if (!guests)
		return code;
	queue = g_async_queue_new();
	return print_events(ctx, queue, start_watchers(ctx, guests, queue), &options);
}

const struct verb verb_event = {
	.name = "event",
	.args = "[GUEST...]",
	.summary = "show balloon and lifecycle events as they happen",
	.details = "Waits for an event of the named guests, or of all that are running now, and "
		   "prints it; with --loop,\n"
		   "prints all that follow, too. QEMU sends at most one balloon-change per second. "
		   "A QEMU monitor\n"
		   "serves one client at a time, so nothing else can use a QMP guest's monitor "
		   "meanwhile.",
	.examples = "  aerostat event alpha --event balloon-change --timeout 60\n"
		    "  aerostat event --loop --timestamp\n"
		    "  aerostat event --loop --json >>events.jsonl\n",
	.run = run_event,
};
