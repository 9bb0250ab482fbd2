/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * The supervisor listens for QEMU, which connects when it starts and whenever the
 * device is plugged in again.  For each connection it starts a device, which
 * inherits the connection and a listening control socket.
 *
 * Any process of QEMU's user can connect, so the peer's credentials are checked first.
 * QEMU's pid cannot have belonged to another process while QEMU was running, which
 * the pidfd shows; so the pid needs no further check.  Another process's connection
 * is closed, and the device does not notice it.
 *
 * A device ends when its connection closes, that is when it is unplugged or QEMU
 * ends, or the supervisor ends it when a new connection arrives.  A device that
 * fails before that has crashed.  QEMU cannot connect to another device without a
 * replug, and does not survive a closed connection.  So the supervisor keeps the
 * connection and answers in the device's place (stub_device.c) until the device is
 * replaced (aerostat adopt --replug).  The control socket exists only while there
 * is a device.
 *
 * When QEMU ends, the device notices that its connection is closed and ends, or is
 * killed after a while, and the supervisor removes the socket files.
 *
 * The guest's initial settings (its size, and its statistics period) come from
 * libvirt.  A child process asks for them, because libvirt answers only once QEMU
 * has started, which needs the device, and because this process should stay small.
 */
#include "aerostat-qemu/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aerostat-qemu/guest_socket.h"
#include "aerostat-qemu/stub_device.h"
#include "hypervisor/domain_xml.h"

#define DEVICE_SOCKET 3	 /* the device's descriptors: QEMU's connection */
#define DEVICE_CONTROL 4 /* and the listening control socket */
#define DEVICE_FDS_END 5
#define END_MS 2000 /* for the device to end by itself, and then after SIGTERM */
#define SETTINGS_MS 120000
#define SETTINGS_POLL_MS 200

enum watched { WATCH_QEMU, WATCH_SOCKET, WATCH_DEVICE, WATCH_STUB, WATCH_SETTINGS, WATCHED };

struct child {
	GPid pid; /* 0: none */
	int pidfd;
};

struct supervisor {
	const struct supervised *guest;
	pid_t qemu;
	pid_t stranger; /* the last process that was refused: each is logged once */
	struct child device;
	struct child settings;
	/* QEMU's connection.  Only the device reads from it while there is one. */
	struct stub_device stub;
};

void supervise_log(const struct supervised *guest, const char *format, ...)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%FT%T");
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "%s.%06dZ aerostat-qemu: %s: %s\n", time, g_date_time_get_microsecond(now),
		guest->name, text);
}

/* ---- children ---- */

/* What the device inherits as DEVICE_SOCKET and DEVICE_CONTROL. */
struct child_fds {
	int socket, control;
};

/* Runs in the child, between fork and exec. */
static void place_child_fds(gpointer data)
{
	const struct child_fds *fds = data;
	int first = fds ? DEVICE_FDS_END : DEVICE_SOCKET;

	if (fds) {
		/* First above both targets, which may be open. */
		int socket = fcntl(fds->socket, F_DUPFD, DEVICE_FDS_END);
		int control = fcntl(fds->control, F_DUPFD, DEVICE_FDS_END);

		dup2(socket, DEVICE_SOCKET);
		dup2(control, DEVICE_CONTROL);
	}
	close_range((unsigned int)first, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* Takes over @argv.  @fds may be NULL. */
static bool child_spawn(struct child *child, GStrv argv, struct child_fds *fds, GError **error)
{
	bool ok = g_spawn_async(NULL, argv, NULL,
				G_SPAWN_LEAVE_DESCRIPTORS_OPEN | G_SPAWN_DO_NOT_REAP_CHILD |
					G_SPAWN_SEARCH_PATH,
				place_child_fds, fds, &child->pid, error);

	g_strfreev(argv);
	if (!ok) {
		child->pid = 0;
		return false;
	}
	child->pidfd = pidfd_open(child->pid, 0);
	return true;
}

/* Waits for the child to end; returns its status as waitpid() does. */
static int child_reap(struct child *child)
{
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(child->pidfd);
	*child = (struct child){ 0 };
	return status;
}

static bool child_wait(const struct child *child, int ms)
{
	struct pollfd wait = { .fd = child->pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&wait, 1, ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

static void child_end(struct child *child, int grace_ms)
{
	if (!child->pid)
		return;
	if (!child_wait(child, grace_ms)) {
		kill(child->pid, SIGTERM);
		if (!child_wait(child, END_MS))
			kill(child->pid, SIGKILL);
	}
	child_reap(child);
}

/* ---- the device ---- */

static bool spawn_device(struct supervisor *s, GError **error)
{
	const struct supervised *guest = s->guest;
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *socket = g_strdup_printf("--fd=%d", DEVICE_SOCKET);
	g_autofree char *control = g_strdup_printf("--control-fd=%d", DEVICE_CONTROL);
	g_autofree char *name = g_strconcat("--name=", guest->name, NULL);
	struct child_fds fds = { s->stub.fd, guest_socket_open(guest->control, error) };
	bool ok;

	if (fds.control < 0)
		return false;
	g_strv_builder_addv(argv, (const char **)guest->device);
	g_strv_builder_add_many(argv, socket, control, name, NULL);
	ok = child_spawn(&s->device, g_strv_builder_end(argv), &fds, error);
	close(fds.control);
	return ok;
}

static void drop_qemu_connection(struct supervisor *s)
{
	if (s->stub.fd >= 0)
		close(s->stub.fd);
	s->stub = (struct stub_device){ .fd = -1 };
}

/* QEMU's pid by its pidfd; -1 if it has ended. */
static pid_t read_qemu_pid(void)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fdinfo/%d", SUPERVISE_QEMU);
	g_autofree char *text = NULL;
	const char *line;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return -1;
	line = strstr(text, "\nPid:");
	return line ? (pid_t)strtol(line + strlen("\nPid:"), NULL, 10) : -1;
}

static bool is_qemu_connection(struct supervisor *s, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.pid == s->qemu)
		return true;
	if (peer.pid != s->stranger)
		supervise_log(s->guest,
			      "refused process %d, which is not the guest's QEMU (%d), on %s",
			      (int)peer.pid, (int)s->qemu, s->guest->socket);
	s->stranger = peer.pid;
	return false;
}

/*
 * Somebody has connected; QEMU does when the device was plugged in.  QEMU has only one device of
 * ours, so one that is still running has been unplugged.  End it without waiting
 * for it: QEMU may close its connection only after the new one is answered.
 */
static void accept_connection(struct supervisor *s)
{
	g_autoptr(GError) error = NULL;
	int fd = accept4(SUPERVISE_SOCKET, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (!is_qemu_connection(s, fd)) {
		close(fd);
		return;
	}
	child_end(&s->device, 0);
	drop_qemu_connection(s);
	s->stub = (struct stub_device){ .fd = fd };
	if (spawn_device(s, &error))
		return;
	supervise_log(s->guest, "cannot start the balloon device: %s", error->message);
	unlink(s->guest->control);
	drop_qemu_connection(s);
}

/* Describes a crash; NULL for a normal end. */
static char *describe_crash(int status)
{
	if (WIFSIGNALED(status))
		return g_strdup_printf("was killed by signal %d (%s)", WTERMSIG(status),
				       strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		return g_strdup_printf("failed with status %d", WEXITSTATUS(status));
	return NULL;
}

static void handle_device_end(struct supervisor *s)
{
	const struct supervised *guest = s->guest;
	GPid pid = s->device.pid;
	g_autofree char *crash = describe_crash(child_reap(&s->device));

	unlink(guest->control);
	if (crash) {
		supervise_log(guest,
			      "aerostat-device (pid %d) %s: the guest's balloon is dead; plug in "
			      "a new one: aerostat adopt --replug %s",
			      (int)pid, crash, guest->name);
		return;
	}
	supervise_log(guest, "aerostat-device (pid %d) has ended", (int)pid);
	drop_qemu_connection(s);
}

/* ---- the loop ---- */

static void start_settings_child(struct supervisor *s)
{
	const struct supervised *guest = s->guest;
	const char *argv[] = { "/proc/self/exe", SETTINGS_OPTION, guest->name,	  guest->uuid,
			       guest->uri,	 guest->socket,	  guest->control, NULL };
	g_autoptr(GError) error = NULL;

	if (!*guest->uri)
		return;
	if (!child_spawn(&s->settings, g_strdupv((char **)argv), NULL, &error))
		supervise_log(guest, "%s", error->message);
}

static struct pollfd make_child_pollfd(const struct child *child)
{
	return (struct pollfd){ .fd = child->pid ? child->pidfd : -1, .events = POLLIN };
}

/* Returns when QEMU has ended. */
static void run_supervisor_loop(struct supervisor *s)
{
	for (;;) {
		struct pollfd fds[WATCHED] = {
			[WATCH_QEMU] = { .fd = SUPERVISE_QEMU, .events = POLLIN },
			[WATCH_SOCKET] = { .fd = SUPERVISE_SOCKET, .events = POLLIN },
			[WATCH_DEVICE] = make_child_pollfd(&s->device),
			[WATCH_STUB] = { .fd = s->device.pid ? -1 : s->stub.fd, .events = POLLIN },
			[WATCH_SETTINGS] = make_child_pollfd(&s->settings),
		};

		if (poll(fds, WATCHED, -1) < 0)
			continue;
		if (fds[WATCH_QEMU].revents)
			return;
		if (fds[WATCH_SETTINGS].revents)
			child_reap(&s->settings);
		if (fds[WATCH_DEVICE].revents)
			handle_device_end(s);
		else if (fds[WATCH_SOCKET].revents)
			accept_connection(s);
		else if (fds[WATCH_STUB].revents && !stub_device_serve(&s->stub))
			drop_qemu_connection(s);
	}
}

int supervise_guest(const struct supervised *guest)
{
	struct supervisor s = { .guest = guest, .qemu = read_qemu_pid(), .stub = { .fd = -1 } };

	if (write(SUPERVISE_READY, "", 1) < 0)
		supervise_log(guest, "cannot report that it is ready: %s", g_strerror(errno));
	close(SUPERVISE_READY);
	start_settings_child(&s);
	run_supervisor_loop(&s);
	drop_qemu_connection(&s);
	child_end(&s.settings, 0);
	child_end(&s.device, END_MS);
	unlink(guest->control);
	unlink(guest->socket);
	return 0;
}

/* ---- initial settings ---- */

static bool apply_initial_size(const struct supervised *guest, hv_guest *hv, uint64_t max_bytes,
			       uint64_t bytes, GError **error)
{
	if (bytes == HV_UNSET || bytes >= max_bytes)
		return true;
	if (!hv_guest_balloon_set(hv, hv_deadline_ms(SETTINGS_MS), bytes, HV_SCOPE_LIVE, error))
		return false;
	supervise_log(guest,
		      "starts with %" G_GUINT64_FORMAT " KiB, as libvirt's currentMemory says",
		      bytes / 1024);
	return true;
}

/* Returns true when all settings are applied. */
static bool try_initial_settings(const struct supervised *guest, hv_guest *hv, GError **error)
{
	int64_t deadline = hv_deadline_ms(SETTINGS_MS);
	g_autofree char *text = NULL;
	g_auto(domain_xml) domain = { 0 };
	g_auto(hv_info) info = { 0 };

	/* First this: it fails until the guest is running and has a device. */
	if (!hv_guest_info(hv, deadline, &info, error))
		return false;
	text = hv_guest_xml_get(hv, deadline, HV_SCOPE_CONFIG, error);
	if (!text || !domain_xml_parse(text, &domain, error) ||
	    !apply_initial_size(guest, hv, info.max_bytes, domain.current_bytes, error))
		return false;
	return !domain.stats_period_s ||
	       hv_guest_stats_period_set(hv, deadline, domain.stats_period_s, HV_SCOPE_LIVE, error);
}

int apply_initial_settings(const struct supervised *guest)
{
	g_autoptr(hv_guest) hv = hv_libvirt_open(guest->uri, guest->uuid);
	int64_t end = hv_deadline_ms(SETTINGS_MS);

	for (;;) {
		g_autoptr(GError) error = NULL;

		if (try_initial_settings(guest, hv, &error))
			return 0;
		if (g_get_monotonic_time() >= end) {
			supervise_log(guest, "starts with all of its memory: %s", error->message);
			return 1;
		}
		poll(NULL, 0, SETTINGS_POLL_MS);
	}
}
