/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostatd: options, signals, and the parts in the order in which they begin and end. */
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "aerostatd/api.h"
#include "aerostatd/guardian.h"
#include "aerostatd/keep.h"
#include "aerostatd/log.h"

/* A guardian that puts guests back, or a daemon that ends, holds the folder for so long at most. */
#define LOCK_WAIT_MS 15000

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

static bool parse(struct options *options, int argc, char **argv, int *code)
{
	const GOptionEntry entries[] = {
		{ "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
		  "the configuration file, in place of " CONFIG_PATH, "FILE" },
		{ "connect", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &options->uris,
		  "look for guests of this libvirt, in place of those of the file", "URI" },
		{ "qmp", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->globs,
		  "look for guests behind these monitor sockets, the same", "GLOB" },
		{ "folder", 0, 0, G_OPTION_ARG_FILENAME, &options->folder,
		  "where to keep what must outlive it; /run/aerostat for root", "DIR" },
		{ "socket", 0, 0, G_OPTION_ARG_FILENAME, &options->socket,
		  "where to listen; aerostatd.sock in the folder", "PATH" },
		{ "check", 0, 0, G_OPTION_ARG_NONE, &options->check,
		  "only read the configuration and say whether it is good", NULL },
		{ "restore", 0, 0, G_OPTION_ARG_NONE, &options->restore,
		  "only put back the guests that a daemon that is gone has left", NULL },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose, "log more", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "say the version", NULL },
		{ "guard", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &options->guard, NULL,
		  NULL },
		{ NULL }
	};
	g_autoptr(GOptionContext) context = g_option_context_new(
		"- gives RAM to running virtual machines and takes it back, by itself");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(
		context, "What it did and why: aerostat status, aerostat explain GUEST.\n"
			 "See aerostatd(8) and aerostat.conf(5).");
	*code = EXIT_USAGE;
	if (!g_option_context_parse(context, &argc, &argv, &error))
		fprintf(stderr, "error: %s; see aerostatd --help\n", error->message);
	else if (argc > 1)
		fprintf(stderr, "error: unknown word '%s'; see aerostatd --help\n", argv[1]);
	else
		return true;
	return false;
}

static void options_complete(struct options *options)
{
	if (!options->folder)
		options->folder =
			geteuid() ? g_build_filename(g_get_user_runtime_dir(), "aerostat", NULL)
				  : g_strdup("/run/aerostat");
	if (!options->socket)
		options->socket = g_build_filename(options->folder, "aerostatd.sock", NULL);
}

static void options_clear(struct options *options)
{
	g_free(options->config);
	g_free(options->folder);
	g_free(options->socket);
	g_strfreev(options->uris);
	g_strfreev(options->globs);
}

static int fail(const GError *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	return EXIT_FAILED;
}

static int check(const struct options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = config_load(options->config, &error);

	if (!config)
		return fail(error);
	printf("%s is good: policy %s, %u groups of guests\n", config->path, config->policy->name,
	       config->guests->len);
	return EXIT_OK;
}

static int restore(const struct options *options)
{
	g_autoptr(GError) error = NULL;
	int lock = keep_lock(options->folder, LOCK_WAIT_MS, &error);
	unsigned int missing;

	if (lock < 0)
		return fail(error);
	missing = guardian_restore(options->folder, &error);
	close(lock);
	if (error)
		return fail(error);
	return missing ? EXIT_FAILED : EXIT_OK;
}

/*
 * The daemon
 */

static void on_stopped(unsigned int missing, void *data)
{
	struct daemon *daemon = data;

	if (missing) {
		manager_log(LOG_ERR,
			    "%u guests could not be put back; aerostatd --restore tries again",
			    missing);
		daemon->code = EXIT_FAILED;
	}
	g_main_loop_quit(daemon->loop);
}

static gboolean on_end(gpointer data)
{
	struct daemon *daemon = data;

	if (daemon->ending)
		return G_SOURCE_CONTINUE;
	daemon->ending = true;
	manager_log(LOG_INFO, "ending: guests are put back");
	g_clear_pointer(&daemon->api, api_stop);
	manager_stop(daemon->manager, on_stopped, daemon);
	return G_SOURCE_CONTINUE;
}

static gboolean on_reload(gpointer data)
{
	struct daemon *daemon = data;
	g_autoptr(GError) error = NULL;

	if (daemon->ending)
		return G_SOURCE_CONTINUE;
	if (!manager_reload(daemon->manager, &error))
		manager_log(LOG_ERR, "the configuration stays as it was: %s", error->message);
	return G_SOURCE_CONTINUE;
}

static bool start(struct daemon *daemon, const struct options *options, GError **error)
{
	const struct hv_sources sources = { options->uris, options->globs };
	const struct manager_options manager = {
		.config_path = options->config,
		.sources = options->uris || options->globs ? &sources : NULL,
		.folder = options->folder,
		.proc = "/proc",
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

static void run(struct daemon *daemon, const struct options *options)
{
	guint signals[] = {
		g_unix_signal_add(SIGTERM, on_end, daemon),
		g_unix_signal_add(SIGINT, on_end, daemon),
		g_unix_signal_add(SIGHUP, on_reload, daemon),
	};

	manager_log(LOG_INFO, "aerostatd " AEROSTAT_VERSION " listens at %s", options->socket);
	daemon->loop = g_main_loop_new(NULL, FALSE);
	g_main_loop_run(daemon->loop);
	g_main_loop_unref(daemon->loop);
	for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
		g_source_remove(signals[i]);
}

static int serve(const struct options *options)
{
	g_autoptr(GError) error = NULL;
	struct daemon daemon = { .code = EXIT_OK };
	int lock = keep_lock(options->folder, LOCK_WAIT_MS, &error);

	if (lock < 0)
		return fail(error);
	signal(SIGPIPE, SIG_IGN);
	if (start(&daemon, options, &error))
		run(&daemon, options);
	else
		daemon.code = fail(error);
	g_clear_pointer(&daemon.api, api_stop);
	g_clear_pointer(&daemon.manager, manager_free);
	g_clear_pointer(&daemon.guardian, guardian_dismiss);
	close(lock);
	return daemon.code;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	int code;

	setlocale(LC_ALL, "");
	if (parse(&options, argc, argv, &code)) {
		options_complete(&options);
		manager_log_verbose(options.verbose);
		if (options.version)
			code = printf("aerostatd %s\n", AEROSTAT_VERSION) < 0;
		else if (options.check)
			code = check(&options);
		else if (options.restore)
			code = restore(&options);
		else if (options.guard)
			code = guardian_main(options.folder);
		else
			code = serve(&options);
	}
	options_clear(&options);
	return code;
}
