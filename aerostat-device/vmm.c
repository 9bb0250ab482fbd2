/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/vmm.h"

#include <string.h>
#include <unistd.h>

static void log_transport_warning(void *data, const char *line)
{
	struct vmm *vmm = data;

	log_line(vmm->log, LOG_LEVEL_WARNING, "%s", line);
}

static void connection_closed(void *data, const char *why)
{
	struct vmm *vmm = data;

	log_line(vmm->log, LOG_LEVEL_INFO, "the VMM's connection has ended: %s", why);
	vmm->closing.due_ns = 0;
}

static void close_connection(struct vmm *vmm)
{
	if (!vmm->transport)
		return;
	vmm->transport->ops->close(vmm->transport);
	vmm->transport = NULL;
	if (vmm->control)
		control_set_vmm_connected(vmm->control, false);
}

static void closing_due(struct loop_timer *timer)
{
	struct vmm *vmm = (struct vmm *)((char *)timer - offsetof(struct vmm, closing));

	close_connection(vmm);
	if (vmm->inherited || (vmm->shared_memory && !vmm->options->keep))
		loop_quit(vmm->loop);
	else
		log_line(vmm->log, LOG_LEVEL_INFO, "waiting for a VMM");
}

static bool open_connection(struct vmm *vmm, int fd)
{
	const struct transport_context context = {
		.loop = vmm->loop,
		.balloon = vmm->balloon,
		.msix = vmm->options->msix,
		.log = log_transport_warning,
		.closed = connection_closed,
		.data = vmm,
	};

	vmm->shared_memory = false;
	vmm->transport = vmm->options->protocol->open(&context, fd);
	if (!vmm->transport) {
		log_line(vmm->log, LOG_LEVEL_ERROR, "cannot serve the VMM: out of memory");
		return false;
	}
	log_line(vmm->log, LOG_LEVEL_INFO, "a VMM has connected");
	if (vmm->control)
		control_set_vmm_connected(vmm->control, true);
	return true;
}

static void vmm_connected(struct listener *listener, int fd)
{
	struct vmm *vmm = (struct vmm *)((char *)listener - offsetof(struct vmm, listener));

	if (vmm->transport && !vmm->transport->heard) {
		log_line(vmm->log, LOG_LEVEL_WARNING,
			 "closed a connection that had sent nothing, in favour of a newer one");
		close_connection(vmm);
	}
	if (vmm->transport)
		log_line(vmm->log, LOG_LEVEL_WARNING,
			 "refused the connection of a second VMM: one process serves one guest");
	else if (open_connection(vmm, fd))
		return;
	close(fd);
}

bool vmm_accept(struct vmm *vmm, int fd, bool connected)
{
	int error;

	vmm->closing = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = closing_due };
	loop_add_timer(vmm->loop, &vmm->closing);
	vmm->inherited = connected;
	if (connected)
		return open_connection(vmm, fd);
	error = listener_start(&vmm->listener, vmm->loop, fd, vmm_connected);
	if (error)
		log_line(vmm->log, LOG_LEVEL_ERROR, "cannot wait for the VMM: %s",
			 strerror(-error));
	return !error;
}

void vmm_notify_queue(struct vmm *vmm, unsigned int queue)
{
	if (vmm->transport)
		vmm->transport->ops->notify_queue(vmm->transport, queue);
}

void vmm_notify_config(struct vmm *vmm)
{
	if (vmm->transport)
		vmm->transport->ops->notify_config(vmm->transport);
}

void vmm_note_memory(struct vmm *vmm)
{
	vmm->shared_memory = true;
}

void vmm_close(struct vmm *vmm)
{
	close_connection(vmm);
	listener_stop(&vmm->listener);
}
