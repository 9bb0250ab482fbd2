/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "aerostat-device/sigbus.h"

#define NS_PER_S UINT64_C(1000000000)

static bool log_setup_error(struct process *process, const char *what, int error)
{
	log_line(&process->log, LOG_LEVEL_ERROR, "%s: %s", what, strerror(-error));
	return false;
}

/*
 * What the balloon needs from outside (struct balloon_host)
 */

static void host_notify_queue(void *data, unsigned int queue)
{
	struct process *process = data;

	vmm_notify_queue(&process->vmm, queue);
}

static void host_notify_config(void *data)
{
	struct process *process = data;

	vmm_notify_config(&process->vmm);
}

static void host_event(void *data, enum balloon_event event)
{
	struct process *process = data;

	if (event == BALLOON_EVENT_AUDIT) {
		struct balloon_audit audit = balloon_audit_result(process->balloon);

		log_line(&process->log, audit.resident_pages ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
			 "audit: the guest uses %" PRIu64 " of %" PRIu64
			 " pages that are in the balloon; %" PRIu64 " were released again",
			 audit.resident_pages, audit.checked_pages, audit.released_pages);
	}
	if (process->control)
		control_report_event(process->control, event);
}

static void host_log(void *data, const char *line)
{
	struct process *process = data;

	log_line(&process->log, LOG_LEVEL_WARNING, "%s", line);
}

static uint64_t host_now_ns(void *data)
{
	(void)data;
	return loop_now_ns();
}

/*
 * Callbacks of the loop
 */

/* The loop's background work. */
static uint64_t do_device_work(void *data)
{
	struct process *process = data;
	uint64_t wait_ns = balloon_work(process->balloon);
	unsigned int sigbus = sigbus_count();

	if (balloon_memory(process->balloon)->count)
		vmm_note_memory(&process->vmm);
	if (sigbus != process->sigbus_logged) {
		process->sigbus_logged = sigbus;
		log_line(&process->log, LOG_LEVEL_WARNING,
			 "the VMM took away guest memory that is in use; it reads as zero now");
	}
	return wait_ns;
}

static void start_next_audit(struct loop_timer *timer)
{
	struct process *process =
		(struct process *)((char *)timer - offsetof(struct process, audit));

	balloon_audit_start(process->balloon);
	timer->due_ns = loop_now_ns() + process->options->audit_interval_s * NS_PER_S;
}

static void signal_received(struct loop_source *source, uint32_t events)
{
	struct process *process =
		(struct process *)((char *)source - offsetof(struct process, signals));
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_line(&process->log, LOG_LEVEL_INFO, "stopping on signal %u", info.ssi_signo);
	loop_quit(process->loop);
}

static void quit_received(void *data)
{
	struct process *process = data;

	log_line(&process->log, LOG_LEVEL_INFO, "stopping on the command quit");
	loop_quit(process->loop);
}

/*
 * Setting up, in the order in which main.c does it
 */

void process_init(struct process *process, const struct device_options *options)
{
	*process = (struct process){
		.options = options,
		.signals = { .fd = -1 },
		.audit = { .due_ns = LOOP_NEVER, .due = start_next_audit },
	};
	log_init(&process->log, STDERR_FILENO, options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
}

bool process_open_sockets(struct process *process)
{
	return sockets_open(&process->sockets, process->options, &process->log);
}

static bool create_balloon(struct process *process)
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
		.notify_queue = host_notify_queue,
		.notify_config = host_notify_config,
		.event = host_event,
		.log = host_log,
		.now_ns = host_now_ns,
		.data = process,
	};
	int error;

	process->loop = loop_new();
	process->balloon = process->loop ? balloon_new(&device, &host) : NULL;
	if (!process->balloon)
		return log_setup_error(process, "cannot create the device", -ENOMEM);
	error = sigbus_install(balloon_memory(process->balloon));
	if (error)
		return log_setup_error(process, "cannot handle SIGBUS", error);
	loop_set_work(process->loop, do_device_work, process);
	return true;
}

static bool create_control(struct process *process)
{
	const struct device_options *options = process->options;
	const struct control_options control = {
		.name = options->name,
		.transport = options->protocol->name,
		.deflate_on_oom = options->features & BALLOON_BIT(BALLOON_F_DEFLATE_ON_OOM),
		.free_page_reporting = options->features & BALLOON_BIT(BALLOON_F_PAGE_REPORTING),
		.quit = quit_received,
		.data = process,
	};

	if (process->sockets.control_fd < 0)
		return true;
	process->control =
		control_new(process->loop, process->balloon, process->sockets.control_fd, &control);
	return process->control ||
	       log_setup_error(process, "cannot serve the control socket", -errno);
}

static bool watch_signals(struct process *process)
{
	sigset_t ending;
	int error = 0;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	process->signals.fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
	process->signals.ready = signal_received;
	if (process->signals.fd < 0)
		error = -errno;
	if (!error)
		error = loop_add(process->loop, &process->signals, EPOLLIN);
	return !error || log_setup_error(process, "cannot watch for signals", error);
}

bool process_create_device(struct process *process)
{
	return create_balloon(process) && create_control(process) && watch_signals(process);
}

bool process_accept_vmm(struct process *process)
{
	process->vmm = (struct vmm){
		.options = process->options,
		.log = &process->log,
		.loop = process->loop,
		.balloon = process->balloon,
		.control = process->control,
	};
	loop_add_timer(process->loop, &process->audit);
	if (process->options->audit != AUDIT_OFF)
		process->audit.due_ns =
			loop_now_ns() + process->options->audit_interval_s * NS_PER_S;
	return vmm_accept(&process->vmm, process->sockets.vmm_fd, process->sockets.vmm_connected);
}

bool process_run_loop(struct process *process)
{
	int error = loop_run(process->loop);

	return !error || log_setup_error(process, "the event loop failed", error);
}

void process_free(struct process *process)
{
	vmm_close(&process->vmm);
	control_free(process->control);
	process->control = NULL;
	sigbus_uninstall();
	if (process->balloon)
		balloon_free(process->balloon);
	if (process->signals.fd >= 0)
		close(process->signals.fd);
	loop_free(process->loop);
}
