/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clients of the control socket, and what is sent to them.
 *
 * Theory of operation
 * -------------------
 * Each client has one buffer for the message that it is sending and one for what
 * is sent to it, both of fixed size.  Nothing ever waits for a client: one that
 * does not read its answers first loses events, and then its connection.
 *
 * A client that is found to be gone is only marked.  A timer frees it in the next
 * round of the loop, because the client's own command may still be running.
 */
#ifndef AEROSTAT_CONTROL_CONTROL_CLIENT_H
#define AEROSTAT_CONTROL_CONTROL_CLIENT_H

#include "control/control.h"
#include "control/control_frame.h"
#include "io/json_writer.h"

#define CONTROL_OUT_MAX 262144 /* bytes that may wait for a client; more disconnect it */

struct control_client {
	struct control *control;
	struct loop_source source;
	bool negotiated; /* has sent qmp_capabilities */
	bool gone;	 /* not watched any more, will be freed */
	uint64_t number; /* counts the clients: the lowest is the oldest */
	struct control_frame frame;
	size_t out_sent, out_length;
	char out[CONTROL_OUT_MAX];
};

struct control_clients {
	struct control_client *slots[CONTROL_CLIENTS_MAX];
	uint64_t added;
	struct loop_timer reaper;
};

/* Prepares @control for clients. */
void control_clients_init(struct control *control);
/* Disconnects and frees all clients. */
void control_clients_free(struct control *control);

/*
 * control_client_add - add a client
 * @fd: its connection, owned by the client on success
 * @ready: called when the client has sent something or can receive more
 * @client: set on success
 *
 * When there are CONTROL_CLIENTS_MAX already, it takes the place of the oldest that
 * has not negotiated: clients that only connect keep no other out.  Not to be called from
 * within a client's command.
 *
 * Returns 0, -ENOSPC when all have negotiated, or -ENOMEM.
 */
int control_client_add(struct control *control, int fd,
		       void (*ready)(struct loop_source *source, uint32_t events),
		       struct control_client **client);
/* The client in slot @slot if it may receive events, that is, has negotiated; else NULL. */
struct control_client *control_client_for_events(struct control *control, unsigned int slot);
/* Stops serving @client; it is freed in a later round of the loop. */
void control_client_disconnect(struct control_client *client);
/* Sends what the socket takes without blocking, and watches for room if that is not all. */
void control_client_flush(struct control_client *client);

/* Begins a message to @client: write it to @out, then call control_message_end(). */
void control_message_begin(struct control_client *client, struct json_writer *out);
/* Ends the message and sends it.  If it did not fit, disconnects the client. */
void control_message_end(struct control_client *client, struct json_writer *out);

#endif
