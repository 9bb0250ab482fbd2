/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections: accepting a client, greeting it, receiving its requests. */
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control_error.h"
#include "control/control_request.h"
#include "control/control_state.h"

/* Small, so that a client that sends many commands at once does not delay the device. */
#define READ_CHUNK 4096

static void handle_frame(struct control_client *client, enum control_frame_result result)
{
	const struct control_frame *frame = &client->frame;

	switch (result) {
	case CONTROL_FRAME_MESSAGE:
		control_answer_request(client, frame->text, frame->length);
		break;
	case CONTROL_FRAME_GARBAGE:
		control_send_error(client, "JSON parse error, expecting an object");
		break;
	case CONTROL_FRAME_TOO_DEEP:
		control_send_error(client, "JSON parse error, nested too deeply");
		break;
	case CONTROL_FRAME_TOO_LONG:
		control_send_error(client, "a message over 64 KiB; closing the connection");
		control_client_disconnect(client);
		break;
	case CONTROL_FRAME_MORE:
		break;
	}
}

static void receive_requests(struct control_client *client)
{
	char chunk[READ_CHUNK];
	ssize_t n = recv(client->source.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	size_t taken = 0, used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		control_client_disconnect(client);
		return;
	}
	while (taken < (size_t)n && !client->gone) {
		enum control_frame_result result =
			control_frame_feed(&client->frame, chunk + taken, (size_t)n - taken, &used);

		taken += used;
		handle_frame(client, result);
	}
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct control_client *client =
		(struct control_client *)((char *)source - offsetof(struct control_client, source));

	if (events & EPOLLOUT) {
		control_client_flush(client);
		if (!client->gone && client->out_length == 0)
			loop_change(client->control->loop, source, EPOLLIN);
	}
	if (!client->gone && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive_requests(client);
}

static void send_greeting(struct control_client *client)
{
	struct json_writer out;

	control_message_begin(client, &out);
	json_write_open(&out, NULL, '{');
	json_write_open(&out, "QMP", '{');
	control_write_version(&out, "version");
	json_write_open(&out, "capabilities", '[');
	json_write_close(&out, ']');
	json_write_close(&out, '}');
	json_write_close(&out, '}');
	control_message_end(client, &out);
}

/* Sends an error to a connection that has no client, and closes it. */
static void turn_away_client(int fd, const char *why)
{
	char text[256];
	struct json_writer out;

	json_writer_init(&out, text, sizeof(text));
	json_write_open(&out, NULL, '{');
	control_write_error(&out, "GenericError", why);
	json_write_close(&out, '}');
	json_write_space(&out, "\r\n");
	/* It fits into the buffer of a new socket, or the client has left. */
	(void)!send(fd, text, out.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void client_accepted(struct listener *listener, int fd)
{
	struct control *control =
		(struct control *)((char *)listener - offsetof(struct control, listener));
	struct control_client *client;
	int error = control_client_add(control, fd, client_ready, &client);

	_Static_assert(CONTROL_CLIENTS_MAX == 16, "as the message says");
	if (!error)
		send_greeting(client);
	else if (error == -ENOSPC)
		turn_away_client(fd, "16 clients are connected, which is the limit; close one of "
				     "them");
	else
		turn_away_client(fd, "no memory for another client");
}

struct control *control_new(struct loop *loop, struct balloon *balloon, int fd,
			    const struct control_options *options)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return NULL;
	/* Otherwise the first request would open /dev/urandom, which the sandbox forbids. */
	json_object_seed(0);
	control->loop = loop;
	control->balloon = balloon;
	control->options = *options;
	error = listener_start(&control->listener, loop, fd, client_accepted);
	if (error) {
		free(control);
		errno = -error;
		return NULL;
	}
	control_clients_init(control);
	control_events_init(control);
	control_sampling_init(control);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	listener_stop(&control->listener);
	control_clients_free(control);
	control_events_free(control);
	control_sampling_free(control);
	free(control);
}
