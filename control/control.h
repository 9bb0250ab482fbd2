/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: a server for a subset of QMP, so that tools that control
 * QEMU's balloon control this one, too.  aerostat-device(1) lists the commands.
 *
 * The files, each of which calls only those above it in this list:
 *
 * control_frame.c	finds where messages end in the stream that a client sends
 * control_client.c	the clients, and what is sent to them
 * control_error.c	errors in QMP's form
 * control_qom.c	commands of the object tree; statistics and their polling
 * control_x.c		commands that QEMU does not have
 * control_events.c	events: what changed, reported at most once per second
 * control_commands.c	the table of commands, and QMP's basic commands
 * control_request.c	checks a request and runs its command
 * control.c		connections: accept, greet, receive
 */
#ifndef AEROSTAT_CONTROL_CONTROL_H
#define AEROSTAT_CONTROL_CONTROL_H

#include "device/balloon.h"
#include "io/loop.h"

#define CONTROL_CLIENTS_MAX 16

struct control_options {
	const char *name;			  /* the guest's, for query-name; may be NULL */
	const char *transport;			  /* "vfio-user", … */
	bool deflate_on_oom, free_page_reporting; /* whether the device offers them */
	/* A client has sent quit. */
	void (*quit)(void *data);
	void *data; /* passed to quit() */
};

struct control;

/*
 * control_new - serve the control socket
 * @loop, @balloon: must live until control_free()
 * @fd: a listening socket, which the server owns on success
 * @options: copied; the strings must live until control_free()
 *
 * Everything happens in callbacks of @loop.  Returns NULL with errno set.
 */
struct control *control_new(struct loop *loop, struct balloon *balloon, int fd,
			    const struct control_options *options);
/* Disconnects all clients and closes the socket; @control may be NULL. */
void control_free(struct control *control);
/* Reports an event of the balloon to the clients.  Sends nothing from within: events are sent from
 * the loop, so this may be called from struct balloon_host's event(). */
void control_report_event(struct control *control, enum balloon_event event);
/* Reports that the VMM has connected or disconnected, for query-status and X_VMM. */
void control_set_vmm_connected(struct control *control, bool connected);

#endif
