/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat top: guests and host, live on the whole terminal.
 *
 * Theory of operation: one loop.  It asks the daemon once an interval, has the picture made
 * of the answers (top_view.h), shows it, and waits for keys or signals until the next time.
 * Signals come as one more descriptor to wait for, so none falls between two looks.  A
 * daemon that does not answer leaves the last picture as it was, and is asked again each
 * interval; a request may take REQUEST_MS, for that long at most keys wait.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "aerostat/daemon.h"
#include "aerostat/top/top_parts.h"
#include "aerostat/top/top_terminal.h"
#include "aerostat/verbs.h"

#define REQUEST_MS 1000
#define MESSAGE_US (8 * G_USEC_PER_SEC)
#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0
#define NAME_MAX_CHARS 20

struct top {
	struct daemon *daemon;
	json_t *status, *detail; /* the last answers; detail may be NULL */
	GPtrArray *order;
	struct top_choice choice;
	int64_t interval_us, next_us; /* monotonic */
	int64_t lost_us;	      /* real time; 0: the last request was answered */
	char *trouble;		      /* why not */
	char *message;		      /* what a key did */
	bool message_bad;
	int64_t message_until_us; /* monotonic */
	struct top_terminal *terminal;
	int signals; /* signalfd */
};

static void tell(struct top *top, bool bad, char *message)
{
	g_free(top->message);
	top->message = message;
	top->message_bad = bad;
	top->message_until_us = g_get_monotonic_time() + MESSAGE_US;
}

static guint rows(void)
{
	return top_view_rows(top_terminal_width(), top_terminal_height());
}

static void settle(struct top *top)
{
	g_clear_pointer(&top->order, g_ptr_array_unref);
	top->order = top_order(top->status, top->choice.sort);
	top_settle(&top->choice, top->order, rows());
}

/* "/v1/guests/NAME", by the address where several guests have the name. */
static char *path_of(const struct top *top, const json_t *guest, const char *rest)
{
	const char *name = top_text(guest, "name");
	g_autofree char *escaped = NULL;
	guint namesakes = 0;

	for (guint i = 0; i < top->order->len; i++)
		namesakes += !strcmp(top_text(top->order->pdata[i], "name"), name);
	escaped = g_uri_escape_string(namesakes > 1 || !*name ? top_text(guest, "address") : name,
				      NULL, FALSE);
	return g_strdup_printf("/v1/guests/%s%s", escaped, rest);
}

/* The guest selected, with its history; what is there of another one is dropped. */
static void ask_detail(struct top *top)
{
	const json_t *guest = top_selected(&top->choice, top->order);
	g_autofree char *path = guest ? path_of(top, guest, "") : NULL;

	g_clear_pointer(&top->detail, json_decref);
	if (guest)
		top->detail = daemon_call(top->daemon, "GET", path, NULL, REQUEST_MS, NULL);
}

static bool ask_status(struct top *top, GError **error)
{
	json_t *status = daemon_call(top->daemon, "GET", "/v1/status", NULL, REQUEST_MS, error);

	if (!status)
		return false;
	json_decref(top->status);
	top->status = status;
	return true;
}

static void refresh_all(struct top *top)
{
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&top->trouble, g_free);
	if (ask_status(top, &error)) {
		top->lost_us = 0;
		settle(top);
		ask_detail(top);
	} else {
		top->lost_us = top->lost_us ? top->lost_us : g_get_real_time();
		top->trouble = g_strdup(error->message);
	}
	top->next_us = g_get_monotonic_time() + top->interval_us;
}

/* So much of a name that a message has room for what it says of it. */
static char *short_name(const json_t *guest)
{
	const char *name = top_text(guest, "name");
	g_autofree char *beginning = NULL;

	if (g_utf8_strlen(name, -1) <= NAME_MAX_CHARS)
		return g_strdup(name);
	beginning = g_utf8_substring(name, 0, NAME_MAX_CHARS - 2);
	return g_strconcat(beginning, "..", NULL);
}

/* A key's wish for the guest selected. */
static void set_mode(struct top *top, const char *mode, const char *done)
{
	const json_t *guest = top_selected(&top->choice, top->order);
	g_autofree char *path = path_of(top, guest, "/mode");
	g_autofree char *name = short_name(guest);
	g_autoptr(GError) error = NULL;
	json_t *answer = daemon_call(top->daemon, "PUT", path, json_pack("{s:s}", "mode", mode),
				     REQUEST_MS, &error);

	if (answer)
		tell(top, false, g_strdup_printf("%s %s", name, done));
	else
		tell(top, true, g_strdup_printf("%s stays as it is: %s", name, error->message));
	json_decref(answer);
	refresh_all(top);
}

static void hold(struct top *top)
{
	char size[SIZE_TEXT_MAX];
	g_autofree char *done = NULL;

	top_size_text(top_bytes(top_selected(&top->choice, top->order), "actual_bytes"), size);
	done = g_strdup_printf("is held at %s; a takes that back", size);
	set_mode(top, "held", done);
}

static void show(struct top *top)
{
	bool spoken = top->message && g_get_monotonic_time() < top->message_until_us;
	const struct top_view view = {
		.status = top->status,
		.detail = top->detail,
		.order = top->order,
		.choice = &top->choice,
		.now_us = g_get_real_time(),
		.lost_us = top->lost_us,
		.message = spoken ? top->message : top->trouble,
		.message_bad = spoken ? top->message_bad : true,
		.width = top_terminal_width(),
		.height = top_terminal_height(),
		.utf8 = top_terminal_has_utf8(),
	};
	g_autofree struct top_cells *cells = top_view_draw(&view);

	top_terminal_show(top->terminal, cells);
}

/* All keys that were pressed, then what they ask for; false to end. */
static bool take_keys(struct top *top)
{
	int key;

	while ((key = top_terminal_key())) {
		top->message_until_us = 0;
		switch (top_key(&top->choice, top->order, rows(), key)) {
		case TOP_ACT_QUIT:
			return false;
		case TOP_ACT_HOLD:
			hold(top);
			break;
		case TOP_ACT_AUTO:
			set_mode(top, "auto", "is what the file says again");
			break;
		case TOP_ACT_OBSERVE:
			set_mode(top, "observe", "is only looked at; a takes that back");
			break;
		case TOP_ACT_NONE:
			break;
		}
		settle(top);
	}
	if (!top->lost_us && (!top->detail || top_id(top->detail) != top->choice.id))
		ask_detail(top);
	return true;
}

/* False when a signal asks to end. */
static bool take_signals(struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			return false;
		top_terminal_resize();
		settle(top);
	}
	return true;
}

/* Until the next round, or something to do; false to end. */
static bool wait_for_person(struct top *top)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { top->signals, POLLIN, 0 } };
	int64_t left_us = MAX(top->next_us - g_get_monotonic_time(), 0);

	if (poll(fds, G_N_ELEMENTS(fds), (int)((left_us + 999) / 1000)) < 0)
		return errno == EINTR; /* the terminal's library has handlers of its own */
	if (fds[1].revents && !take_signals(top))
		return false;
	if (fds[0].revents & POLLIN)
		return take_keys(top);
	return !fds[0].revents; /* else the terminal has gone */
}

static void watch(struct top *top)
{
	do {
		if (g_get_monotonic_time() >= top->next_us)
			refresh_all(top);
		show(top);
	} while (wait_for_person(top));
}

static int show_on_terminal(struct context *ctx, const struct verb *verb, struct top *top)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGWINCH);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	top->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (top->signals < 0)
		return cli_fail_with(ctx, EXIT_REFUSED, "signals cannot be waited for: %s",
				     g_strerror(errno));
	top->terminal = top_terminal_take();
	if (!top->terminal)
		return cli_usage(ctx, verb,
				 "terminal type '%s' cannot be drawn on: set TERM to that of the "
				 "terminal, or use aerostat status",
				 g_getenv("TERM") ? g_getenv("TERM") : "");
	watch(top);
	top_terminal_free(top->terminal);
	return EXIT_DONE;
}

static void top_clear(struct top *top)
{
	if (top->signals >= 0)
		close(top->signals);
	g_clear_pointer(&top->order, g_ptr_array_unref);
	json_decref(top->detail);
	json_decref(top->status);
	g_free(top->trouble);
	g_free(top->message);
	daemon_free(top->daemon);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL;
	double interval_s = 1;
	const GOptionEntry entries[] = { SOCKET_ENTRY(socket),
					 { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval_s,
					   "ask every S seconds; default 1", "S" },
					 { NULL } };
	g_auto(GStrv) words = NULL;
	g_autoptr(GError) error = NULL;
	struct top top = { .signals = -1 };
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 0, &words, &code))
		return code;
	if (!(interval_s >= INTERVAL_MIN_S && interval_s <= INTERVAL_MAX_S))
		return cli_usage(ctx, verb,
				 "interval '%g' is not a number of seconds from %g to %g",
				 interval_s, INTERVAL_MIN_S, INTERVAL_MAX_S);
	if (ctx->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return cli_usage(ctx, verb,
				 "top draws on a terminal; for scripts there is aerostat status%s",
				 ctx->json ? " --json" : "");
	top.interval_us = (int64_t)(interval_s * G_USEC_PER_SEC);
	top.daemon = daemon_new(socket);
	code = ask_status(&top, &error) ? show_on_terminal(ctx, verb, &top) : cli_fail(ctx, error);
	top_clear(&top);
	return code;
}

const struct verb verb_top = {
	.name = "top",
	.args = "",
	.summary = "watch host and guests live, on the whole terminal",
	.details = "Each guest is a bar over its maximum: what it has, then its balloon, with "
		   "marks for what it\n"
		   "needs (N), wants (W) and is set to (T); yellow is short of memory, red "
		   "critically so. Keys:\n"
		   "arrows or j and k select, h holds the guest at its present size, a takes that "
		   "back, o only\n"
		   "observes it, s sorts, ? helps, q quits. For scripts there is aerostat status.",
	.examples = "  aerostat top\n"
		    "  aerostat top --interval 0.5\n",
	.run = run,
};
