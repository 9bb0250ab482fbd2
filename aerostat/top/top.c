/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat top: guests and host, live on the whole terminal.
 *
 * Theory of operation: one loop.  It asks the daemon once per interval, has the answers drawn
 * (top_view.h), shows the picture, and waits for keys and signals until the next interval.  Signals
 * arrive through a signalfd that it polls beside the terminal, so none is missed between two polls.
 * If the daemon does not answer, the last picture stays and the daemon is asked again in the next
 * interval; a request takes at most REQUEST_MS, during which keys wait.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "aerostat/top/top_parts.h"
#include "aerostat/top/top_terminal.h"
#include "aerostat/verbs.h"
#include "api_client/client.h"

#define REQUEST_MS 1000
#define MESSAGE_US (8 * G_USEC_PER_SEC)
#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0
#define NAME_MAX_CHARS 20 /* so that a message has room for the rest */

struct top {
	struct daemon_client *daemon;
	struct daemon_status *status; /* the last answer */
	struct daemon_guest *detail;  /* the last answer about a guest; NULL: none */
	GPtrArray *order;	      /* of the status's guests */
	struct top_choice choice;
	int64_t interval_us, next_us; /* monotonic */
	int64_t lost_us;	      /* since the epoch; 0: the last request was answered */
	char *lost_reason;
	char *message; /* what a key did */
	bool message_bad;
	int64_t message_until_us; /* monotonic */
	struct top_terminal *terminal;
	int signals; /* signalfd */
};

static void set_message(struct top *top, bool bad, char *message)
{
	g_free(top->message);
	top->message = message;
	top->message_bad = bad;
	top->message_until_us = g_get_monotonic_time() + MESSAGE_US;
}

static guint count_list_rows(void)
{
	return top_view_rows(top_terminal_width(), top_terminal_height());
}

static void update_order(struct top *top)
{
	g_clear_pointer(&top->order, g_ptr_array_unref);
	top->order = top_sort_guests(top->status, top->choice.sort);
	top_settle_choice(&top->choice, top->order, count_list_rows());
}

/* What the daemon finds the guest by: not its name if others have it. */
static const char *request_word(const struct daemon_guest *guest)
{
	return strcmp(guest->label, guest->name) ? guest->word : guest->name;
}

/* Asks about the selected guest; without an answer there is no detail, not that of another. */
static void fetch_detail(struct top *top)
{
	const struct daemon_guest *guest = top_selected_guest(&top->choice, top->order);

	g_clear_pointer(&top->detail, daemon_free_guest);
	if (guest)
		top->detail = daemon_get_guest(top->daemon, request_word(guest), NULL);
}

static void refresh_answers(struct top *top)
{
	g_autoptr(GError) error = NULL;
	struct daemon_status *status = daemon_get_status(top->daemon, &error);

	g_clear_pointer(&top->lost_reason, g_free);
	if (status) {
		daemon_free_status(top->status);
		top->status = status;
		top->lost_us = 0;
		update_order(top);
		fetch_detail(top);
	} else {
		top->lost_us = top->lost_us ? top->lost_us : g_get_real_time();
		top->lost_reason = g_strdup(error->message);
	}
	top->next_us = g_get_monotonic_time() + top->interval_us;
}

static char *shorten_name(const char *name)
{
	g_autofree char *start = NULL;

	if (g_utf8_strlen(name, -1) <= NAME_MAX_CHARS)
		return g_strdup(name);
	start = g_utf8_substring(name, 0, NAME_MAX_CHARS - 2);
	return g_strconcat(start, "..", NULL);
}

/* Sets the mode of the selected guest; @done: what a message says then. */
static void set_selected_mode(struct top *top, enum daemon_mode mode, const char *done)
{
	const struct daemon_guest *guest = top_selected_guest(&top->choice, top->order);
	g_autofree char *name = shorten_name(guest->name);
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) changed =
		daemon_set_mode(top->daemon, request_word(guest), mode, HV_UNSET, false, &error);

	if (changed)
		set_message(top, false, g_strdup_printf("%s %s", name, done));
	else
		set_message(top, true,
			    g_strdup_printf("%s was not changed: %s", name, error->message));
	refresh_answers(top);
}

static void hold_selected(struct top *top)
{
	char size[SIZE_TEXT_MAX];
	g_autofree char *done = NULL;

	top_write_size(top_selected_guest(&top->choice, top->order)->actual_bytes, size);
	done = g_strdup_printf("is held at %s; press a to undo", size);
	set_selected_mode(top, DAEMON_MODE_HELD, done);
}

static void show_picture(struct top *top)
{
	bool has_message = top->message && g_get_monotonic_time() < top->message_until_us;
	const struct top_view view = {
		.status = top->status,
		.detail = top->detail,
		.order = top->order,
		.choice = &top->choice,
		.now_us = g_get_real_time(),
		.lost_us = top->lost_us,
		.message = has_message ? top->message : top->lost_reason,
		.message_bad = has_message ? top->message_bad : true,
		.width = top_terminal_width(),
		.height = top_terminal_height(),
		.utf8 = top_terminal_has_utf8(),
	};
	g_autofree struct top_cells *cells = top_view_draw(&view);

	top_terminal_show(top->terminal, cells);
}

/* Handles all keys that were pressed; false when one of them quits. */
static bool handle_keys(struct top *top)
{
	int key;

	while ((key = top_terminal_key())) {
		top->message_until_us = 0;
		switch (top_handle_key(&top->choice, top->order, count_list_rows(), key)) {
		case TOP_ACT_QUIT:
			return false;
		case TOP_ACT_HOLD:
			hold_selected(top);
			break;
		case TOP_ACT_AUTO:
			set_selected_mode(top, DAEMON_MODE_AUTO,
					  "is in the mode of the configuration again");
			break;
		case TOP_ACT_OBSERVE:
			set_selected_mode(top, DAEMON_MODE_OBSERVE,
					  "is only observed; press a to undo");
			break;
		case TOP_ACT_NONE:
			break;
		}
		update_order(top);
	}
	if (!top->lost_us && (!top->detail || top->detail->id != top->choice.id))
		fetch_detail(top);
	return true;
}

/* False when a signal asks to end. */
static bool handle_signals(struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			return false;
		top_terminal_resize();
		update_order(top);
	}
	return true;
}

/* Waits for keys and signals until the next interval; false to end. */
static bool wait_for_input(struct top *top)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { top->signals, POLLIN, 0 } };
	int64_t left_us = MAX(top->next_us - g_get_monotonic_time(), 0);

	if (poll(fds, G_N_ELEMENTS(fds), (int)((left_us + 999) / 1000)) < 0)
		return errno == EINTR; /* ncurses has signal handlers of its own */
	if (fds[1].revents && !handle_signals(top))
		return false;
	if (fds[0].revents & POLLIN)
		return handle_keys(top);
	return !fds[0].revents; /* otherwise the terminal has gone */
}

static int watch_on_terminal(struct context *ctx, const struct verb *verb, struct top *top)
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
		return cli_fail_with(ctx, EXIT_REFUSED, "cannot wait for signals: %s",
				     g_strerror(errno));
	top->terminal = top_terminal_open();
	if (!top->terminal)
		return cli_usage(ctx, verb,
				 "terminal type '%s' cannot be drawn on: set TERM to that of the "
				 "terminal, or use aerostat status",
				 g_getenv("TERM") ? g_getenv("TERM") : "");
	do {
		if (g_get_monotonic_time() >= top->next_us)
			refresh_answers(top);
		show_picture(top);
	} while (wait_for_input(top));
	top_terminal_close(top->terminal);
	return EXIT_DONE;
}

static void clear_top(struct top *top)
{
	if (top->signals >= 0)
		close(top->signals);
	g_clear_pointer(&top->order, g_ptr_array_unref);
	daemon_free_guest(top->detail);
	daemon_free_status(top->status);
	g_free(top->lost_reason);
	g_free(top->message);
	daemon_client_free(top->daemon);
}

static int run_top(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_autofree char *socket = NULL;
	double interval_s = 1;
	const GOptionEntry entries[] = { { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval_s,
					   "ask every S seconds (1)", "S" },
					 { NULL } };
	GOptionContext *options = verb_options_new(verb, entries);
	g_auto(GStrv) words = NULL;
	g_autoptr(GError) error = NULL;
	struct top top = { .signals = -1 };
	int code;

	g_option_context_add_group(options, daemon_option_group(&socket));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 0, 0, &words, &code))
		return code;
	if (!(interval_s >= INTERVAL_MIN_S && interval_s <= INTERVAL_MAX_S))
		return cli_usage(ctx, verb,
				 "interval '%g' is not a number of seconds from %g to %g",
				 interval_s, INTERVAL_MIN_S, INTERVAL_MAX_S);
	if (ctx->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return cli_usage(ctx, verb,
				 "top needs a terminal; for scripts there is aerostat status%s",
				 ctx->json ? " --json" : "");
	top.interval_us = (int64_t)(interval_s * G_USEC_PER_SEC);
	top.daemon = daemon_client_new(socket, REQUEST_MS);
	/* An error before the screen is taken over is an ordinary one. */
	top.status = daemon_get_status(top.daemon, &error);
	code = top.status ? watch_on_terminal(ctx, verb, &top) : cli_fail(ctx, error);
	clear_top(&top);
	return code;
}

const struct verb verb_top = {
	.name = "top",
	.args = "",
	.summary = "watch host and guests live, on the whole terminal",
	.details =
		"Each guest is a bar over its maximum: what it has, then its balloon, with marks "
		"for what it needs\n"
		"(N), wants (W) and is set to (T). Yellow means short of memory, red critically "
		"so. Keys: arrows, or\n"
		"j and k, select a guest; h holds it at its present size, o only observes it, a "
		"undoes both; s\n"
		"changes the order; ? shows help; q quits. For scripts there is aerostat status.",
	.examples = "  aerostat top\n"
		    "  aerostat top --interval 0.5\n",
	.run = run_top,
};
