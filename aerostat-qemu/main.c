/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat-qemu: the <emulator> of a guest that has aerostat's balloon device.
 *
 * Theory of operation
 * -------------------
 * libvirt runs this program as it would run QEMU, through a link whose path ends in
 * the real emulator's path (hypervisor/adopt.h).  The program then executes the
 * real QEMU in the same process and with the same arguments, so that libvirt's
 * signals, cgroups and logs apply to QEMU.  Before that, if the arguments include a
 * device of aerostat's, it opens the socket for QEMU and starts the supervisor
 * (supervise.c), which starts the device.  The supervisor is not a child of QEMU,
 * which would not reap it.
 *
 * When libvirt probes an emulator's capabilities there is no device, and the
 * program only executes the real QEMU.  Therefore it needs no configuration but its
 * own path and the domain's XML.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aerostat-qemu/guest_socket.h"
#include "aerostat-qemu/qemu_args.h"
#include "aerostat-qemu/supervise.h"
#include "common/standard_streams.h"
#include "hypervisor/adopt.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/shortage.h"

#define FREE_MS 10000 /* for the supervisor of the guest's previous QEMU to end */

static bool set_errno_error(GError **error, const char *what)
{
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "cannot %s: %s", what, g_strerror(errno));
	return false;
}

/* In the supervisor, before exec: moves @fds to their numbers and closes all others. */
static bool place_supervisor_fds(int *fds)
{
	for (int i = 0; i < SUPERVISE_FDS_END - SUPERVISE_SOCKET; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD, SUPERVISE_FDS_END);
		if (fds[i] < 0)
			return false;
	}
	for (int i = 0; i < SUPERVISE_FDS_END - SUPERVISE_SOCKET; i++)
		if (dup2(fds[i], SUPERVISE_SOCKET + i) < 0)
			return false;
	return close_range(SUPERVISE_FDS_END, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

static void become_supervisor(const struct supervised *guest, int *fds)
{
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_auto(GStrv) args = NULL;

	g_strv_builder_add_many(argv, "aerostat-qemu", SUPERVISE_OPTION, guest->name, guest->uuid,
				guest->uri, guest->socket, guest->control, NULL);
	g_strv_builder_addv(argv, (const char **)guest->device);
	args = g_strv_builder_end(argv);
	if (place_supervisor_fds(fds))
		execv("/proc/self/exe", args);
	perror("aerostat-qemu: cannot start the supervisor");
	_exit(1);
}

/* Starts the supervisor as a child of init, by forking twice. */
static bool fork_supervisor(const struct supervised *guest, int *fds, GError **error)
{
	pid_t between = fork();

	if (between == 0) {
		setsid();
		if (fork() == 0)
			become_supervisor(guest, fds);
		_exit(0);
	}
	if (between < 0)
		return set_errno_error(error, "create a process");
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return true;
}

/* The supervisor writes a byte into the pipe @fd once it is ready.  If it has ended, or never was,
   the pipe ends without. */
static bool wait_for_supervisor(int fd, GError **error)
{
	char byte;
	ssize_t length;

	do
		length = read(fd, &byte, sizeof(byte));
	while (length < 0 && errno == EINTR);
	if (length == 1)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED,
		    "the supervisor of its balloon device did not start");
	return false;
}

static bool start_supervisor(const struct supervised *guest, int socket, GError **error)
{
	int qemu = pidfd_open(getpid(), 0); /* this process, and later the real QEMU */
	int ready[2] = { -1, -1 };
	bool ok;

	if (qemu < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		ok = set_errno_error(error, "watch QEMU");
	} else {
		ok = fork_supervisor(guest, (int[]){ socket, qemu, ready[1] }, error);
		close(ready[1]);
		ok = ok && wait_for_supervisor(ready[0], error);
		close(ready[0]);
	}
	if (qemu >= 0)
		close(qemu);
	return ok;
}

/* Checks that it is executable; whether it works is seen only when it runs. */
static bool check_device_program(const char *program, GError **error)
{
	if (access(program, X_OK) == 0)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "cannot run the balloon device %s: %s",
		    program, g_strerror(errno));
	return false;
}

static bool open_socket_and_supervise(const struct supervised *guest, GError **error)
{
	int socket;
	bool ok;

	if (!guest_socket_wait_free(guest->socket, hv_deadline_ms(FREE_MS))) {
		g_set_error(error, HV_ERROR, HV_ERROR_BUSY,
			    "another process listens on %s; end it, or the guest that it serves",
			    guest->socket);
		return false;
	}
	socket = guest_socket_open(guest->socket, error);
	if (socket < 0)
		return false;
	ok = start_supervisor(guest, socket, error);
	if (!ok)
		unlink(guest->socket);
	close(socket);
	return ok;
}

/* Starts the supervisor for the device in @args. */
static bool start_guest_device(const struct qemu_args *args, GError **error)
{
	g_autofree char *control = adopt_format_control(args->socket);
	const char *uri = g_getenv(ADOPT_ENV_URI);
	const char *line = g_getenv(ADOPT_ENV_DEVICE);
	g_auto(GStrv) device = NULL;
	struct supervised guest = {
		.name = args->name,
		.uuid = args->uuid,
		.uri = uri ? uri : "",
		.socket = args->socket,
		.control = control,
	};

	if (!line) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "the domain's XML has no <qemu:env name='%s'>; run aerostat unadopt "
			    "and aerostat adopt again",
			    ADOPT_ENV_DEVICE);
		return false;
	}
	if (!g_shell_parse_argv(line, NULL, &device, error))
		return false;
	guest.device = device;
	return check_device_program(device[0], error) && open_socket_and_supervise(&guest, error);
}

/* Runs as the supervisor, or as its child that applies the initial settings. */
static int run_helper_process(char **argv)
{
	bool initial_settings = !strcmp(argv[1], SETTINGS_OPTION);
	char **args = argv + 2;
	const struct supervised guest = {
		.name = args[SUPERVISE_ARG_NAME],
		.uuid = args[SUPERVISE_ARG_UUID],
		.uri = args[SUPERVISE_ARG_URI],
		.socket = args[SUPERVISE_ARG_SOCKET],
		.control = args[SUPERVISE_ARG_CONTROL],
		.device = args + SUPERVISE_ARGS,
	};
	g_autofree char *sockets = g_path_get_dirname(guest.control);
	g_autofree char *runtime = g_path_get_dirname(sockets);

	/* A session's libvirtd is found there, but libvirt removes it from QEMU's environment. */
	if (initial_settings)
		g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
	return initial_settings ? apply_initial_settings(&guest) : supervise_guest(&guest);
}

static int explain_usage(const char *self)
{
	fprintf(stderr,
		"aerostat-qemu: libvirt runs this as the emulator of guests changed by aerostat "
		"adopt, through a link that names the real emulator; '%s' is not such a link\n",
		self);
	return 1;
}

int main(int argc, char **argv)
{
	const char *emulator = argc > 0 ? adopt_parse_link(argv[0]) : NULL;
	g_auto(qemu_args) args = { 0 };
	g_autoptr(GError) error = NULL;

	standard_streams_open();
	/* An argument that could not be read for want of memory would be one of no device. */
	shortage_ends_process();
	if (argc >= 2 + SUPERVISE_ARGS &&
	    (!strcmp(argv[1], SUPERVISE_OPTION) || !strcmp(argv[1], SETTINGS_OPTION)))
		return run_helper_process(argv);
	if (!emulator)
		return explain_usage(argc > 0 ? argv[0] : "");
	qemu_args_parse(argv, &args);
	if (args.socket && !start_guest_device(&args, &error)) {
		fprintf(stderr, "aerostat-qemu: %s: %s\n", args.name, error->message);
		return 1;
	}
	argv[0] = (char *)emulator;
	execv(emulator, argv);
	fprintf(stderr, "aerostat-qemu: cannot run the emulator %s: %s\n", emulator,
		g_strerror(errno));
	return 1;
}
