/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Everything is opened first: sockets, the loop, the device, the log.  Then
 * the process shuts itself in (sandbox.h), says that it is ready, and runs its
 * loop until a signal, the order to quit, or the end of its VMM.  Nothing has
 * to be undone for the guest then: pages that wait for their release keep
 * their content, and those that are released read as zero, which is what the
 * balloon promises.
 *
 * One VMM is served at a time.  Who connects and leaves without having brought
 * any memory was no VMM, and does not end the process.
 *
 * The files of the sockets stay when the process ends, for it cannot reach them
 * any more; the next one that listens there replaces them (listener.h).
 */
#include "aerostat-device/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aerostat-device/sandbox.h"
#include "aerostat-device/sigbus.h"
#include "aerostat-device/systemd.h"
#include "control/control.h"
#include "io/listener.h"
#include "io/log.h"

#define NS_PER_S UINT64_C(1000000000)
/* A region of RAM holds one each; the rest is interrupts, and messages on their way. */
#define DESCRIPTORS (MEMORY_REGIONS_MAX + CONTROL_CLIENTS_MAX + 64)

#define PROCESS_OF(pointer, member)                                                                \
	((struct process *)((char *)(pointer)-offsetof(struct process, member)))

struct process {
	const struct device_options *options;
	struct log log;
	struct loop *loop;
	struct balloon *balloon;
	struct control *control;
	struct transport *transport; /* NULL: no VMM */
	struct listener listener;
	struct loop_source signals;
	struct loop_timer closing, audit;
	int vmm_fd, control_fd;
	bool connected; /* vmm_fd is a connection and not a place to listen */
	bool served;	/* this VMM brought memory */
	unsigned int replacements_told;
};

/*
 * The VMM
 */

static void log_warning(void *data, const char *line)
{
	struct process *process = data;

	log_line(&process->log, LOG_LEVEL_WARNING, "%s", line);
}

static void vmm_closed(void *data, const char *why)
{
	struct process *process = data;

	log_line(&process->log, LOG_LEVEL_INFO, "the VMM has left: %s", why);
	process->closing.due_ns = 0;
}

static void close_vmm(struct process *process)
{
	if (!process->transport)
		return;
	process->transport->ops->close(process->transport);
	process->transport = NULL;
	if (process->control)
		control_set_vmm_connected(process->control, false);
}

static void closing_due(struct loop_timer *timer)
{
	struct process *process = PROCESS_OF(timer, closing);
	bool was_vmm = process->served || process->connected;

	close_vmm(process);
	if (process->connected || (was_vmm && !process->options->keep))
		loop_quit(process->loop);
	else
		log_line(&process->log, LOG_LEVEL_INFO, "waiting for a VMM");
}

static bool open_vmm(struct process *process, int fd)
{
	const struct transport_context context = {
		.loop = process->loop,
		.balloon = process->balloon,
		.msix = process->options->msix,
		.log = log_warning,
		.closed = vmm_closed,
		.data = process,
	};

	process->served = false;
	process->transport = process->options->protocol->open(&context, fd);
	if (!process->transport) {
		log_line(&process->log, LOG_LEVEL_ERROR, "no memory to serve the VMM");
		return false;
	}
	log_line(&process->log, LOG_LEVEL_INFO, "a VMM has connected");
	if (process->control)
		control_set_vmm_connected(process->control, true);
	return true;
}

static void vmm_accepted(struct listener *listener, int fd)
{
	struct process *process = PROCESS_OF(listener, listener);

	if (process->transport)
		log_line(&process->log, LOG_LEVEL_WARNING,
			 "a second VMM was turned away: one process serves one guest");
	else if (open_vmm(process, fd))
		return;
	close(fd);
}

/*
 * The device's surroundings (struct balloon_host)
 */

static void notify_queue(void *data, unsigned int queue)
{
	struct process *process = data;

	if (process->transport)
		process->transport->ops->notify_queue(process->transport, queue);
}

static void notify_config(void *data)
{
	struct process *process = data;

	if (process->transport)
		process->transport->ops->notify_config(process->transport);
}

static void tell_audit(struct process *process)
{
	struct balloon_audit audit = balloon_audit_result(process->balloon);

	log_line(&process->log, audit.resident_pages ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
		 "audit: of %" PRIu64 " pages in the balloon the guest touched %" PRIu64
		 "; %" PRIu64 " were released again",
		 audit.checked_pages, audit.resident_pages, audit.released_pages);
}

static void relay_event(void *data, enum balloon_event event)
{
	struct process *process = data;

	if (event == BALLOON_EVENT_AUDIT)
		tell_audit(process);
	if (process->control)
		control_report_event(process->control, event);
}

static uint64_t tell_time(void *data)
{
	(void)data;
	return loop_now_ns();
}

/*
 * The loop's other work
 */

static void look_after_memory(struct process *process)
{
	unsigned int replacements = sigbus_count();

	if (balloon_memory(process->balloon)->count)
		process->served = true;
	if (replacements == process->replacements_told)
		return;
	process->replacements_told = replacements;
	log_line(&process->log, LOG_LEVEL_WARNING,
		 "the VMM took guest memory away while it was in use; zeros are in its place");
}

static uint64_t work(void *data)
{
	struct process *process = data;
	uint64_t wait_ns = balloon_work(process->balloon);

	look_after_memory(process);
	return wait_ns;
}

static void audit_due(struct loop_timer *timer)
{
	struct process *process = PROCESS_OF(timer, audit);

	balloon_audit_start(process->balloon);
	timer->due_ns = loop_now_ns() + process->options->audit_interval_s * NS_PER_S;
}

static void signal_came(struct loop_source *source, uint32_t events)
{
	struct process *process = PROCESS_OF(source, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_line(&process->log, LOG_LEVEL_INFO, "ended by signal %u", info.ssi_signo);
	loop_quit(process->loop);
}

static void quit_ordered(void *data)
{
	struct process *process = data;

	log_line(&process->log, LOG_LEVEL_INFO, "ended by the control socket");
	loop_quit(process->loop);
}

/*
 * Setting up; each step says itself what went wrong
 */

static bool fail(struct process *process, const char *what, int error, const char *remedy)
{
	log_line(&process->log, LOG_LEVEL_ERROR, "%s: %s%s", what, strerror(-error), remedy);
	return false;
}

/* 1 it listens, 0 it is connected, -1 it is no stream socket. */
static int is_listening(int fd)
{
	int listening = 0, type = 0;
	socklen_t length = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) || type != SOCK_STREAM)
		return -1;
	length = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) ? -1 : listening;
}

static bool bind_at(struct process *process, const char *path, int *fd)
{
	*fd = listener_bind(path);
	if (*fd >= 0)
		return true;
	log_line(&process->log, LOG_LEVEL_ERROR, "cannot listen at %s: %s", path,
		 listener_bind_error(*fd));
	return false;
}

static bool open_vmm_socket(struct process *process)
{
	int listening;

	if (process->options->socket_path)
		return bind_at(process, process->options->socket_path, &process->vmm_fd);
	listening = is_listening(process->vmm_fd);
	if (listening < 0) {
		log_line(&process->log, LOG_LEVEL_ERROR,
			 "descriptor %d is no stream socket; --fd wants one that listens or is "
			 "connected to a VMM",
			 process->vmm_fd);
		return false;
	}
	process->connected = !listening;
	fcntl(process->vmm_fd, F_SETFD, FD_CLOEXEC);
	return true;
}

static bool open_control_socket(struct process *process)
{
	if (process->options->control_path)
		return bind_at(process, process->options->control_path, &process->control_fd);
	if (process->control_fd < 0)
		return true;
	if (is_listening(process->control_fd) != 1) {
		log_line(&process->log, LOG_LEVEL_ERROR,
			 "descriptor %d does not listen; --control-fd wants a socket that does",
			 process->control_fd);
		return false;
	}
	fcntl(process->control_fd, F_SETFD, FD_CLOEXEC);
	return true;
}

static bool open_device(struct process *process)
{
	const struct device_options *options = process->options;
	const struct balloon_options device = {
		.features = options->features,
		.max_bytes = options->max_bytes,
		.target_bytes = options->target_bytes,
		.release_delay_ns = options->release_delay_ns,
		.populate = options->populate,
		.audit_release = options->audit == AUDIT_RELEASE,
	};
	const struct balloon_host host = {
		.notify_queue = notify_queue,
		.notify_config = notify_config,
		.event = relay_event,
		.log = log_warning,
		.now_ns = tell_time,
		.data = process,
	};
	int error;

	process->loop = loop_new();
	process->balloon = process->loop ? balloon_new(&device, &host) : NULL;
	if (!process->balloon)
		return fail(process, "cannot make the device", -ENOMEM, "");
	error = sigbus_install(balloon_memory(process->balloon));
	if (error)
		return fail(process, "cannot watch for SIGBUS", error, "");
	loop_set_work(process->loop, work, process);
	return true;
}

static bool open_control(struct process *process)
{
	const struct device_options *options = process->options;
	const struct control_options control = {
		.name = options->name,
		.transport = options->protocol->name,
		.deflate_on_oom = options->features & BALLOON_BIT(BALLOON_F_DEFLATE_ON_OOM),
		.free_page_reporting = options->features & BALLOON_BIT(BALLOON_F_PAGE_REPORTING),
		.quit = quit_ordered,
		.data = process,
	};

	if (process->control_fd < 0)
		return true;
	process->control =
		control_new(process->loop, process->balloon, process->control_fd, &control);
	return process->control || fail(process, "cannot serve the control socket", -errno, "");
}

static bool open_signals(struct process *process)
{
	sigset_t ends;
	int error = 0;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	process->signals.fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	process->signals.ready = signal_came;
	if (process->signals.fd < 0)
		error = -errno;
	if (!error)
		error = loop_add(process->loop, &process->signals, EPOLLIN);
	return !error || fail(process, "cannot watch for signals", error, "");
}

static bool start_serving(struct process *process)
{
	int error;

	loop_add_timer(process->loop, &process->closing);
	loop_add_timer(process->loop, &process->audit);
	if (process->options->audit != AUDIT_OFF)
		process->audit.due_ns =
			loop_now_ns() + process->options->audit_interval_s * NS_PER_S;
	if (process->connected)
		return open_vmm(process, process->vmm_fd);
	error = listener_start(&process->listener, process->loop, process->vmm_fd, vmm_accepted);
	return !error || fail(process, "cannot wait for the VMM", error, "");
}

#define WITHOUT_SANDBOX "; --sandbox=off does without"

static bool shut_in_first(struct process *process)
{
	const struct device_options *options = process->options;
	const char *what = "";
	int error = sandbox_allow_descriptors(DESCRIPTORS);

	if (error)
		log_line(&process->log, LOG_LEVEL_WARNING,
			 "only few descriptors are allowed (ulimit -n), %d are wanted: a VMM with "
			 "much scattered memory may not be served",
			 DESCRIPTORS);
	if (!options->sandbox && !options->user)
		return true;
	error = sandbox_begin(options->user, &what);
	return !error ||
	       fail(process, what, error,
		    options->user ? "; --user needs root and a user that exists" : WITHOUT_SANDBOX);
}

static bool shut_in(struct process *process)
{
	int error;

	if (!process->options->sandbox)
		return true;
	if (!sandbox_is_whole())
		log_line(&process->log, LOG_LEVEL_DEBUG,
			 "built for tests: most of the sandbox is left out");
	error = sandbox_leave_world();
	if (error)
		log_line(&process->log, LOG_LEVEL_DEBUG, "no namespaces of its own: %s",
			 strerror(-error));
	error = sandbox_filter_calls();
	return !error || fail(process, "cannot filter system calls", error, WITHOUT_SANDBOX);
}

static bool set_up(struct process *process)
{
	return shut_in_first(process) && open_vmm_socket(process) && open_control_socket(process) &&
	       open_device(process) && open_control(process) && open_signals(process) &&
	       start_serving(process);
}

static void tear_down(struct process *process)
{
	close_vmm(process);
	if (process->loop)
		listener_stop(&process->listener);
	control_free(process->control);
	process->control = NULL;
	sigbus_uninstall();
	if (process->balloon)
		balloon_free(process->balloon);
	if (process->signals.fd >= 0)
		close(process->signals.fd);
	loop_free(process->loop);
}

enum device_exit process_run(const struct device_options *options)
{
	struct process process = {
		.options = options,
		.vmm_fd = options->fd,
		.control_fd = options->control_fd,
		.signals = { .fd = -1 },
		.closing = { .due_ns = LOOP_NEVER, .due = closing_due },
		.audit = { .due_ns = LOOP_NEVER, .due = audit_due },
	};
	enum device_exit code = DEVICE_FAILED;
	int error, notify;

	log_init(&process.log, STDERR_FILENO, options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	notify = systemd_notify_open();
	if (set_up(&process) && shut_in(&process)) {
		log_line(&process.log, LOG_LEVEL_DEBUG, "ready");
		systemd_notify_ready(notify);
		error = loop_run(process.loop);
		if (!error)
			code = DEVICE_DONE;
		else
			fail(&process, "the loop failed", error, "");
	}
	tear_down(&process);
	return code;
}
