/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat-qemu: the <emulator> of a guest that has our balloon device.
 *
 * Theory of operation
 * -------------------
 * libvirt runs this program as it would run QEMU, by a link whose path ends in
 * the real one's (hypervisor/adopt.h), and it becomes that: the same process,
 * the same words, so that libvirt's signals, cgroups and logs are QEMU's own.
 * Before, if the words name a device of ours, it makes the socket for QEMU and
 * starts the supervisor, which starts the device (supervise.c).  The supervisor is no
 * child of QEMU's, which would not wait for it.
 *
 * When libvirt asks an emulator for its capabilities there is no device, and
 * this does nothing but find the real one.  All that it needs to know therefore
 * stands in its own path and in the domain's XML.
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
#include "hypervisor/adopt.h"
#include "hypervisor/hypervisor.h"

#define FREE_MS 10000 /* for what served this guest's last QEMU to be gone */

static bool set_errno_error(GError **error, const char *what)
{
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "cannot %s: %s", what, g_strerror(errno));
	return false;
}

/* In the supervisor-to-be: only its own descriptors are left, at their places. */
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
	g_auto(GStrv) words = NULL;

	g_strv_builder_add_many(argv, "aerostat-qemu", SUPERVISE_OPTION, guest->name, guest->uuid,
				guest->uri, guest->socket, guest->control, NULL);
	g_strv_builder_addv(argv, (const char **)guest->device);
	words = g_strv_builder_end(argv);
	if (place_supervisor_fds(fds))
		execv("/proc/self/exe", words);
	perror("aerostat-qemu: cannot start the supervisor");
	if (write(SUPERVISE_READY, "!", 1) < 0)
		perror("aerostat-qemu");
	_exit(1);
}

/* A process that is nobody's child. */
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
		return set_errno_error(error, "make a process");
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return true;
}

/* The supervisor has closed this when it is there; it says nothing unless it cannot be. */
static bool wait_for_supervisor(int fd, GError **error)
{
	char byte;
	ssize_t length;

	do
		length = read(fd, &byte, sizeof(byte));
	while (length < 0 && errno == EINTR);
	if (length == 0)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "its supervisor did not start");
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

/* That it can be run; only how it fares will show whether it works. */
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
			    "another process listens on %s: end it, or the guest that it serves",
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

/* Starts what serves the device that the words name. */
static bool start_guest_device(const struct qemu_args *words, GError **error)
{
	g_autofree char *control = adopt_format_control(words->socket);
	const char *uri = g_getenv(ADOPT_ENV_URI);
	const char *line = g_getenv(ADOPT_ENV_DEVICE);
	g_auto(GStrv) device = NULL;
	struct supervised guest = {
		.name = words->name,
		.uuid = words->uuid,
		.uri = uri ? uri : "",
		.socket = words->socket,
		.control = control,
	};

	if (!line) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "the domain's XML has no <qemu:env name='%s'>; put it right with "
			    "aerostat unadopt and aerostat adopt",
			    ADOPT_ENV_DEVICE);
		return false;
	}
	if (!g_shell_parse_argv(line, NULL, &device, error))
		return false;
	guest.device = device;
	return check_device_program(device[0], error) && open_socket_and_supervise(&guest, error);
}

static int run_helper_process(char **argv)
{
	bool settle = !strcmp(argv[1], SETTINGS_OPTION);
	char **words = argv + 2;
	const struct supervised guest = {
		.name = words[SUPERVISE_ARG_NAME],
		.uuid = words[SUPERVISE_ARG_UUID],
		.uri = words[SUPERVISE_ARG_URI],
		.socket = words[SUPERVISE_ARG_SOCKET],
		.control = words[SUPERVISE_ARG_CONTROL],
		.device = words + SUPERVISE_ARGS,
	};
	g_autofree char *sockets = g_path_get_dirname(guest.control);
	g_autofree char *runtime = g_path_get_dirname(sockets);

	/* libvirt has none in QEMU's environment, and a session's daemon is found there. */
	if (settle)
		g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
	return settle ? supervise_initial_settings(&guest) : supervise_guest(&guest);
}

static int explain_usage(const char *self)
{
	fprintf(stderr,
		"aerostat-qemu: libvirt runs this as the emulator of guests that aerostat adopt "
		"has changed, by a link that names the real emulator; '%s' is none\n",
		self);
	return 1;
}

int main(int argc, char **argv)
{
	const char *emulator = argc > 0 ? adopt_parse_link(argv[0]) : NULL;
	g_auto(qemu_args) words = { 0 };
	g_autoptr(GError) error = NULL;

	if (argc >= 2 + SUPERVISE_ARGS &&
	    (!strcmp(argv[1], SUPERVISE_OPTION) || !strcmp(argv[1], SETTINGS_OPTION)))
		return run_helper_process(argv);
	if (!emulator)
		return explain_usage(argc > 0 ? argv[0] : "");
	qemu_args_parse(argv, &words);
	if (words.socket && !start_guest_device(&words, &error)) {
		fprintf(stderr, "aerostat-qemu: %s: %s\n", words.name, error->message);
		return 1;
	}
	argv[0] = (char *)emulator;
	execv(emulator, argv);
	fprintf(stderr, "aerostat-qemu: cannot run the emulator %s: %s\n", emulator,
		g_strerror(errno));
	return 1;
}
