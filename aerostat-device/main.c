/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat-device: a virtio balloon device in a process of its own.
 *
 * Theory of operation
 * -------------------
 * main() reads the command line and serves one guest (serve_guest()).  The process
 * gives up all that it does not need, in three stages (sandbox.h):
 *
 *	drop_privileges()	other identity, capabilities, new privileges, core dumps
 *	(then it opens its sockets)
 *	leave_namespaces()	files, processes, network and IPC
 *	(then it creates the device)
 *	filter_system_calls()	all system calls except some forty
 *
 * After that it reports that it is ready and runs its event loop (io/loop.h) until
 * a signal, the control socket's quit, or the end of its VMM.  Nothing has to be
 * undone for the guest then: ballooned pages that wait for their release keep
 * their content, and released pages read as zero, which is what a balloon promises.
 *
 * The files, each of which calls only those above it in this list:
 *
 * options.c, options_help.c	the command line
 * systemd.c			socket activation and readiness notification
 * waiter.c			the process that stays outside the PID namespace
 * sandbox.c			the three stages
 * sandbox_filter.c		the last of them
 * sigbus.c			guest memory that the VMM takes away
 * sockets.c			the sockets for the VMM and for control
 * vmm.c			the connection of the VMM
 * process.c			the device, and what it needs from the process
 * main.c			the order in which all this is done
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat-device/options.h"
#include "aerostat-device/process.h"
#include "aerostat-device/sandbox.h"
#include "aerostat-device/systemd.h"
#include "common/standard_streams.h"

/* Exit codes; --help and aerostat-device(1) list them. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

/* One descriptor for each region of RAM, one for each client; the rest is for interrupts, and for
 * messages that are being received. */
#define DESCRIPTORS_NEEDED (MEMORY_REGIONS_MAX + CONTROL_CLIENTS_MAX + 64)

#define SANDBOX_REMEDY "; use --sandbox=off to run without it"

/* Stage 1. */
static bool drop_privileges(struct process *process)
{
	const struct device_options *options = process->options;
	const char *what = "";
	int error = sandbox_raise_descriptor_limit(DESCRIPTORS_NEEDED);

	if (error)
		log_line(&process->log, LOG_LEVEL_WARNING,
			 "the limit of open files (ulimit -n) is below %d: a guest whose memory is "
			 "in "
			 "many regions may not be served",
			 DESCRIPTORS_NEEDED);
	if (!options->sandbox && !options->user)
		return true;
	error = sandbox_drop_privileges(options->user, &what);
	if (!error)
		return true;
	log_line(&process->log, LOG_LEVEL_ERROR, "cannot %s: %s%s", what, strerror(-error),
		 options->user ? "; --user needs root and an existing user" : SANDBOX_REMEDY);
	return false;
}

/*
 * Stage 2.  Many containers do not allow namespaces; stage 3 forbids the same once more.  Where
 * they are allowed, this returns in a child process (waiter.h).
 */
static void leave_namespaces(struct process *process, int *notify_fd)
{
	int error;

	if (!process->options->sandbox)
		return;
	if (!sandbox_is_complete())
		log_line(&process->log, LOG_LEVEL_DEBUG,
			 "built with sanitizers or coverage: most of the sandbox is off");
	error = sandbox_leave_namespaces(notify_fd);
	if (error)
		log_line(&process->log, LOG_LEVEL_WARNING,
			 "cannot leave all namespaces: %s; continuing with the rest of the sandbox",
			 strerror(-error));
}

/* Stage 3. */
static bool filter_system_calls(struct process *process)
{
	int error = process->options->sandbox ? sandbox_filter_system_calls() : 0;

	if (!error)
		return true;
	log_line(&process->log, LOG_LEVEL_ERROR, "cannot filter system calls: %s" SANDBOX_REMEDY,
		 strerror(-error));
	return false;
}

static int serve_guest(const struct device_options *options)
{
	struct process process;
	int code = EXIT_FAILED;
	/* Opened now, since the sandbox forbids sockets later. */
	int notify_fd = systemd_open_notify_socket();

	process_init(&process, options);
	if (drop_privileges(&process) && process_open_sockets(&process)) {
		leave_namespaces(&process, &notify_fd);
		/* By now this may be another process; the command measures the one it reaches. */
		sockets_claim(&process.sockets);
		if (process_create_device(&process) && process_accept_vmm(&process) &&
		    filter_system_calls(&process)) {
			log_line(&process.log, LOG_LEVEL_DEBUG, "ready");
			systemd_notify_ready(notify_fd);
			code = process_run_loop(&process) ? EXIT_DONE : EXIT_FAILED;
		}
	}
	process_free(&process);
	return code;
}

static int print_usage_error(const char *message)
{
	fprintf(stderr, "error: %s\n", message);
	return EXIT_USAGE;
}

/* The exit code after printing to standard output, which may have failed. */
static int finish_output(void)
{
	int lost = standard_streams_finish();

	if (lost)
		fprintf(stderr, "error: cannot write the output: %s\n", strerror(-lost));
	return lost ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct device_options options;

	standard_streams_open();
	if (!device_options_parse(&options, argc, argv))
		return print_usage_error(options.complaint);
	switch (options.action) {
	case ACTION_HELP:
		device_options_help(stdout);
		return finish_output();
	case ACTION_VERSION:
		puts("aerostat-device " AEROSTAT_VERSION);
		return finish_output();
	case ACTION_CAPABILITIES:
		device_options_capabilities(stdout);
		return finish_output();
	case ACTION_SERVE:
		break;
	}
	systemd_find_sockets(&options);
	if (!options.socket_path && options.fd < 0)
		return print_usage_error("no socket for the VMM: use --socket-path=PATH or --fd=N; "
					 "--help shows examples");
	return serve_guest(&options);
}
