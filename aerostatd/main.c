/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostatd: options, signals, and the order in which its parts start and stop. */
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "aerostatd/api.h"
#include "aerostatd/guardian.h"
#include "aerostatd/log.h"
#include "aerostatd/state_file.h"
#include "common/plain_text.h"
#include "common/standard_streams.h"
#include "hypervisor/shortage.h"

/* A guardian that restores guests, or a daemon that stops, holds the lock no longer than this. */
#define LOCK_WAIT_MS 15000
#define LOCK_SLICE_MS 50 /* between two looks whether it is to end */
/* With fewer descriptors than this there is a warning.  The daemon itself needs about 12. */
#define LIMIT_LOW 64

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	char *config, *folder, *socket;
	char **uris, **globs;
	gboolean verbose, check, restore, guard, version;
};

struct daemon {
	GMainLoop *loop;
	struct manager *manager;
	struct api *api;
	struct guardian *guardian;
	bool ending;
	int code;
};

static bool has_empty_entry(char **list)
{
	return list && g_strv_contains((const char *const *)list, "");
}

/* The option that was given without a value, as by --folder="$UNSET"; NULL: none. */
static const char *find_empty_option(const struct options *options)
{
	const struct {
		const char *name;
		bool is_empty;
	} rows[] = {
		{ "--config", !g_strcmp0(options->config, "") },
		{ "--connect", has_empty_entry(options->uris) },
		{ "--qmp", has_empty_entry(options->globs) },
		{ "--folder", !g_strcmp0(options->folder, "") },
		{ "--socket", !g_strcmp0(options->socket, "") },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].is_empty)
			return rows[i].name;
	return NULL;
}

static bool parse_options(struct options *options, int argc, char **argv, int *code)
{
	const GOptionEntry entries[] = {
		{ "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
		  "read this configuration file instead of " CONFIG_PATH, "FILE" },
		{ "connect", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &options->uris,
		  "manage the guests of this libvirt, instead of those that the file names",
		  "URI" },
		{ "qmp", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->globs,
		  "manage the guests behind these QEMU monitor sockets, likewise", "GLOB" },
		{ "folder", 0, 0, G_OPTION_ARG_FILENAME, &options->folder,
		  "keep the state file and lock here; /run/aerostat for root", "DIR" },
		{ "socket", 0, 0, G_OPTION_ARG_FILENAME, &options->socket,
		  "listen on this socket; aerostatd.sock in the folder", "PATH" },
		{ "check", 0, 0, G_OPTION_ARG_NONE, &options->check,
		  "check the configuration and exit", NULL },
		{ "restore", 0, 0, G_OPTION_ARG_NONE, &options->restore,
		  "restore the guests that a dead daemon left behind, and exit", NULL },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose, "log more", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version,
		  "print the version and exit", NULL },
		{ "guard", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &options->guard, NULL,
		  NULL },
		{ NULL }
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("- move memory between the running guests of a host");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(
		context,
		"To see what it does and why, run aerostat status or aerostat explain GUEST.\n"
		"See aerostatd(8) and aerostat.conf(5).");
	*code = EXIT_USAGE;
	if (!g_option_context_parse(context, &argc, &argv, &error))
		fprintf(stderr, "error: %s; see aerostatd --help\n", error->message);
	else if (argc > 1)
		fprintf(stderr, "error: unexpected argument '%s'; see aerostatd --help\n", argv[1]);
	else if (find_empty_option(options))
		fprintf(stderr,
			"error: %s has an empty value; give it one, or leave the option out\n",
			find_empty_option(options));
	else
		return true;
	return false;
}

static void complete_options(struct options *options)
{
	if (!options->folder)
		options->folder =
			geteuid() ? g_build_filename(g_get_user_runtime_dir(), "aerostat", NULL)
				  : g_strdup("/run/aerostat");
	if (!options->socket)
		options->socket = g_build_filename(options->folder, "aerostatd.sock", NULL);
}

static void clear_options(struct options *options)
{
	g_free(options->config);
	g_free(options->folder);
	g_free(options->socket);
	g_strfreev(options->uris);
	g_strfreev(options->globs);
}

static int report_failure(const GError *error)
{
	g_autofree char *plain = plain_text(error->message);

	fprintf(stderr, "error: %s\n", plain);
	return EXIT_FAILED;
}

/* @code, or a failure if what was printed could not be written. */
static int report_lost_output(int code)
{
	int lost = standard_streams_finish();

	if (lost)
		fprintf(stderr, "error: cannot write the output: %s\n", g_strerror(-lost));
	return lost && code == EXIT_OK ? EXIT_FAILED : code;
}

static int check_config(const struct options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = config_load(options->config, &error);
	g_autofree char *path = NULL;

	if (!config)
		return report_failure(error);
	path = plain_text(config->path);
	printf("%s is valid: policy %s, %u guest groups\n", path, config->policy->name,
	       config->guests->len);
	return EXIT_OK;
}

/*
 * Signals that end the daemon, and SIGHUP, are blocked until its loop handles them: before, they
 * would end it as if it had crashed.
 */
static void set_daemon_signals_blocked(bool blocked)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

static bool is_end_requested(void)
{
	sigset_t pending;

	return !sigpending(&pending) &&
	       (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

/* -1 with an error, or without one if it is to end. */
static int wait_for_lock(const struct options *options, GError **error)
{
	int64_t deadline = hv_deadline_ms(LOCK_WAIT_MS);

	for (bool waited = false;; waited = true) {
		g_autoptr(GError) why = NULL;
		int lock = state_folder_lock(options->folder, LOCK_SLICE_MS, &why);
		if (lock >= 0)
			return lock;
		if (is_end_requested()) {
			manager_log(LOG_INFO, "stopped before it could start: %s", why->message);
			return -1;
		}
		if (!g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_AGAIN) ||
		    g_get_monotonic_time() >= deadline) {
			g_propagate_error(error, g_steal_pointer(&why));
			return -1;
		}
		if (!waited)
			manager_log(LOG_INFO, "waiting for its end: %s", why->message);
	}
}

static int restore_and_report(const struct options *options)
{
	g_autoptr(GError) error = NULL;
	int lock;
	unsigned int missing;

	set_daemon_signals_blocked(true);
	lock = wait_for_lock(options, &error);
	set_daemon_signals_blocked(lock < 0);
	if (lock < 0)
		return error ? report_failure(error) : EXIT_FAILED;
	missing = guardian_restore(options->folder, &error);
	close(lock);
	if (error)
		return report_failure(error);
	return missing ? EXIT_FAILED : EXIT_OK;
}

/*
 * The daemon
 */

static void on_stopped(unsigned int missing, void *data)
{
	struct daemon *daemon = data;

	if (missing) {
		manager_log(LOG_ERR, "guests not restored: %u; aerostatd --restore tries again",
			    missing);
		daemon->code = EXIT_FAILED;
	}
	g_main_loop_quit(daemon->loop);
}

static gboolean on_stop_signal(gpointer data)
{
	struct daemon *daemon = data;

	if (daemon->ending)
		return G_SOURCE_CONTINUE;
	daemon->ending = true;
	manager_log(LOG_INFO, "stopping: restoring the guests");
	g_clear_pointer(&daemon->api, api_stop);
	manager_stop(daemon->manager, on_stopped, daemon);
	return G_SOURCE_CONTINUE;
}

static gboolean on_reload_signal(gpointer data)
{
	struct daemon *daemon = data;
	g_autoptr(GError) error = NULL;

	if (daemon->ending)
		return G_SOURCE_CONTINUE;
	if (!manager_reload(daemon->manager, &error))
		manager_log(LOG_ERR, "the configuration in force stays: %s", error->message);
	return G_SOURCE_CONTINUE;
}

/* What tests set to make the policy's time pass faster; wrong values count as none. */
static unsigned int read_policy_clock(void)
{
	const char *text = g_getenv("AEROSTATD_POLICY_CLOCK");
	guint64 clock;

	return text && g_ascii_string_to_unsigned(text, 10, 1, 100, &clock, NULL)
		       ? (unsigned int)clock
		       : 1;
}

static bool start_daemon(struct daemon *daemon, const struct options *options, GError **error)
{
	const struct hv_sources sources = { options->uris, options->globs };
	const struct manager_options manager = {
		.config_path = options->config,
		.sources = options->uris || options->globs ? &sources : NULL,
		.folder = options->folder,
		.proc = "/proc",
		.policy_clock = read_policy_clock(),
	};

	daemon->guardian = guardian_start("/proc/self/exe", options->folder, error);
	if (!daemon->guardian)
		return false;
	daemon->manager = manager_new(&manager, error);
	if (!daemon->manager)
		return false;
	daemon->api = api_start(daemon->manager, options->socket, error);
	return daemon->api;
}

static void run_daemon(struct daemon *daemon, const struct options *options)
{
	guint signals[] = {
		g_unix_signal_add(SIGTERM, on_stop_signal, daemon),
		g_unix_signal_add(SIGINT, on_stop_signal, daemon),
		g_unix_signal_add(SIGHUP, on_reload_signal, daemon),
	};

	set_daemon_signals_blocked(false);
	manager_log(LOG_INFO, "aerostatd " AEROSTAT_VERSION " listening on %s", options->socket);
	daemon->loop = g_main_loop_new(NULL, FALSE);
	g_main_loop_run(daemon->loop);
	g_main_loop_unref(daemon->loop);
	for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
		g_source_remove(signals[i]);
}

static void warn_of_low_limit(unsigned long limit)
{
	if (limit < LIMIT_LOW)
		manager_log(
			LOG_WARNING,
			"at most %lu files may be open, so few guests can be reached at a time; "
			"raise the limit to %d or more (ulimit -n, or LimitNOFILE= of its unit)",
			limit, LIMIT_LOW);
}

/* @limit: how many files may be open */
static int run_until_stopped(const struct options *options, unsigned long limit)
{
	g_autoptr(GError) error = NULL;
	struct daemon daemon = { .code = EXIT_OK };
	int lock;

	set_daemon_signals_blocked(true);
	lock = wait_for_lock(options, &error);
	if (lock < 0)
		return error ? report_failure(error) : EXIT_OK;
	signal(SIGPIPE, SIG_IGN);
	warn_of_low_limit(limit);
	if (start_daemon(&daemon, options, &error))
		run_daemon(&daemon, options);
	else
		daemon.code = report_failure(error);
	g_clear_pointer(&daemon.api, api_stop);
	g_clear_pointer(&daemon.manager, manager_free);
	g_clear_pointer(&daemon.guardian, guardian_dismiss);
	close(lock);
	return daemon.code;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	unsigned long limit;
	int code;

	standard_streams_open();
	setlocale(LC_ALL, "");
	/* A file beyond the limit of sizes (ulimit -f) fails as on a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	/* Without memory the process ends, as with GLib, and its guardian restores the guests: a
	 * request or an answer that could only be made in part would be worse. */
	shortage_ends_process();
	if (parse_options(&options, argc, argv, &code)) {
		complete_options(&options);
		manager_log_verbose(options.verbose);
		limit = shortage_raise_limit();
		if (options.version)
			code = puts("aerostatd " AEROSTAT_VERSION) < 0;
		else if (options.check)
			code = check_config(&options);
		else if (options.restore)
			code = restore_and_report(&options);
		else if (options.guard)
			code = guardian_main(options.folder);
		else
			code = run_until_stopped(&options, limit);
	}
	clear_options(&options);
	return report_lost_output(code);
}
