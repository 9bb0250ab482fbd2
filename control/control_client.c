/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control_state.h"

static void free_gone_clients(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = control->clients.slots[i];

		if (!client || !client->gone)
			continue;
		close(client->source.fd);
		free(client);
		control->clients.slots[i] = NULL;
	}
}

static void reaper_due(struct loop_timer *timer)
{
	free_gone_clients(
		(struct control *)((char *)timer - offsetof(struct control, clients.reaper)));
}

void control_clients_init(struct control *control)
{
	control->clients.reaper = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = reaper_due };
	loop_add_timer(control->loop, &control->clients.reaper);
}

void control_clients_free(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients.slots[i])
			control_client_disconnect(control->clients.slots[i]);
	free_gone_clients(control);
	loop_remove_timer(control->loop, &control->clients.reaper);
}

/* The slot of the oldest client that has not negotiated; -1 when all have. */
static int find_silent_client(const struct control_clients *clients)
{
	int oldest = -1;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = clients->slots[i];

		if (!client->negotiated &&
		    (oldest < 0 || client->number < clients->slots[oldest]->number))
			oldest = i;
	}
	return oldest;
}

/* An empty slot, or that of a client that has to leave; -1: there is none. */
static int find_slot(struct control *control)
{
	int slot = 0;

	while (slot < CONTROL_CLIENTS_MAX && control->clients.slots[slot])
		slot++;
	if (slot < CONTROL_CLIENTS_MAX)
		return slot;
	slot = find_silent_client(&control->clients);
	if (slot < 0)
		return -1;
	control_client_disconnect(control->clients.slots[slot]);
	free_gone_clients(control);
	return slot;
}

int control_client_add(struct control *control, int fd,
		       void (*ready)(struct loop_source *source, uint32_t events),
		       struct control_client **client)
{
	int slot = find_slot(control);

	if (slot < 0)
		return -ENOSPC;
	*client = calloc(1, sizeof(**client));
	if (!*client)
		return -ENOMEM;
	(*client)->control = control;
	(*client)->number = control->clients.added++;
	(*client)->source = (struct loop_source){ .fd = fd, .ready = ready };
	if (loop_add(control->loop, &(*client)->source, EPOLLIN)) {
		free(*client);
		return -ENOMEM;
	}
	control->clients.slots[slot] = *client;
	return 0;
}

struct control_client *control_client_for_events(struct control *control, unsigned int slot)
{
	struct control_client *client = control->clients.slots[slot];

	return client && client->negotiated && !client->gone ? client : NULL;
}

void control_client_disconnect(struct control_client *client)
{
	if (client->gone)
		return;
	client->gone = true;
	loop_remove(client->control->loop, &client->source);
	client->control->clients.reaper.due_ns = 0;
}

void control_client_flush(struct control_client *client)
{
	while (client->out_sent < client->out_length) {
		ssize_t n =
			send(client->source.fd, client->out + client->out_sent,
			     client->out_length - client->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			client->out_sent += (size_t)n;
		} else if (errno == EAGAIN) {
			loop_change(client->control->loop, &client->source, EPOLLIN | EPOLLOUT);
			return;
		} else if (errno != EINTR) {
			control_client_disconnect(client);
			return;
		}
	}
	client->out_sent = client->out_length = 0;
}

void control_message_begin(struct control_client *client, struct json_writer *out)
{
	size_t waiting = client->out_length - client->out_sent;

	memmove(client->out, client->out + client->out_sent, waiting);
	client->out_sent = 0;
	client->out_length = waiting;
	json_writer_init(out, client->out + waiting, sizeof(client->out) - waiting);
}

void control_message_end(struct control_client *client, struct json_writer *out)
{
	json_write_space(out, "\r\n");
	if (out->full) {
		control_client_disconnect(client);
		return;
	}
	client->out_length += out->length;
	control_client_flush(client);
}
