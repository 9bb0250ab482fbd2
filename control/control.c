/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of the control socket, and what they are told unasked.
 *
 * Theory of operation
 * -------------------
 * Each client has a buffer for the message that is coming in and one for what
 * is going out, both of fixed size.  A client that does not read loses events
 * first and its connection then; nothing ever waits for it.
 *
 * An event is a mark that something changed, not a message: it is written when
 * its turn comes, with the values of then, at once or a second after the last
 * of its kind.  So the last one always tells how things ended, and the calls
 * that cause events, which come from deep within the device, send nothing.
 *
 * Clients are freed by a timer, never where they are found to be gone, because
 * their own command may be running.
 */
#include "control/control_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Few, so that a client with many commands does not hold up the device. */
#define READ_CHUNK 4096

#define CONTROL_OF(pointer, member)                                                                \
	((struct control *)((char *)(pointer)-offsetof(struct control, member)))

/*
 * Going out
 */

static void let_go(struct control_client *client)
{
	if (client->gone)
		return;
	client->gone = true;
	loop_remove(client->control->loop, &client->source);
	client->control->reaper.due_ns = 0;
}

static void reap(struct loop_timer *timer)
{
	struct control *control = CONTROL_OF(timer, reaper);

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = control->clients[i];

		if (!client || !client->gone)
			continue;
		close(client->source.fd);
		free(client);
		control->clients[i] = NULL;
	}
}

/* Sends what the socket takes, and has the loop tell when it takes more. */
static void flush(struct control_client *client)
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
			let_go(client);
			return;
		}
	}
	client->out_sent = client->out_length = 0;
}

void control_message(struct control_client *client, struct json_out *out)
{
	size_t waiting = client->out_length - client->out_sent;

	memmove(client->out, client->out + client->out_sent, waiting);
	client->out_sent = 0;
	client->out_length = waiting;
	json_out_start(out, client->out + waiting, sizeof(client->out) - waiting);
}

void control_message_end(struct control_client *client, struct json_out *out)
{
	out_raw(out, "\r\n");
	if (out->full) {
		let_go(client);
		return;
	}
	client->out_length += out->length;
	flush(client);
}

/*
 * Events
 */

static void actual_data(const struct control *control, struct json_out *out)
{
	struct balloon_info info;

	balloon_info(control->balloon, &info);
	out_u64(out, "actual", info.actual_bytes);
}

static void driver_data(const struct control *control, struct json_out *out)
{
	out_bool(out, "ready", balloon_is_driver_ok(control->balloon));
}

static void hints_data(const struct control *control, struct json_out *out)
{
	out_string(out, "state", control_hinting_name(control));
}

static void vmm_data(const struct control *control, struct json_out *out)
{
	out_bool(out, "connected", control->vmm_connected);
}

const struct control_event_row control_events[CONTROL_EVENT_KINDS] = {
	[CONTROL_BALLOON_CHANGE] = { "BALLOON_CHANGE", "the guest's size changed", actual_data },
	[CONTROL_X_AUDIT] = { "X_AUDIT", "an audit ended, with its result", control_out_audit },
	[CONTROL_X_DRIVER] = { "X_DRIVER", "the driver became ready, or the device was reset",
			       driver_data },
	[CONTROL_X_HINTS] = { "X_HINTS", "a round of free page hinting ended", hints_data },
	[CONTROL_X_VMM] = { "X_VMM", "the VMM came or went", vmm_data },
};

static void send_event(struct control_client *client, const struct control_event_row *row)
{
	struct timespec now;
	struct json_out out;

	if (client->out_length - client->out_sent > CONTROL_OUT_MAX / 2)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	control_message(client, &out);
	out_open(&out, NULL, '{');
	out_open(&out, "timestamp", '{');
	out_u64(&out, "seconds", (uint64_t)now.tv_sec);
	out_u64(&out, "microseconds", (uint64_t)now.tv_nsec / 1000);
	out_close(&out, '}');
	out_string(&out, "event", row->name);
	out_open(&out, "data", '{');
	row->data(client->control, &out);
	out_close(&out, '}');
	out_close(&out, '}');
	control_message_end(client, &out);
}

static bool listens(const struct control_client *client)
{
	return client && client->ready && !client->gone;
}

static void set_event_timer(struct control *control)
{
	uint64_t due_ns = LOOP_NEVER;

	for (int i = 0; i < CONTROL_EVENT_KINDS; i++)
		if (control->events[i].pending && control->events[i].next_ns < due_ns)
			due_ns = control->events[i].next_ns;
	control->event_timer.due_ns = due_ns;
}

static void send_events(struct loop_timer *timer)
{
	struct control *control = CONTROL_OF(timer, event_timer);
	uint64_t now_ns = loop_now_ns();

	for (int i = 0; i < CONTROL_EVENT_KINDS; i++) {
		struct control_event_state *event = &control->events[i];

		if (!event->pending || event->next_ns > now_ns)
			continue;
		event->pending = false;
		event->next_ns = now_ns + CONTROL_EVENT_PAUSE_NS;
		for (int j = 0; j < CONTROL_CLIENTS_MAX; j++)
			if (listens(control->clients[j]))
				send_event(control->clients[j], &control_events[i]);
	}
	set_event_timer(control);
}

static void mark_event(struct control *control, enum control_event_kind kind)
{
	bool heard = false;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		heard |= listens(control->clients[i]);
	/* With nobody to hear it there is nothing to wake up for. */
	control->events[kind].pending = heard;
	set_event_timer(control);
}

void control_event(struct control *control, enum balloon_event event)
{
	switch (event) {
	case BALLOON_EVENT_ACTUAL:
		mark_event(control, CONTROL_BALLOON_CHANGE);
		break;
	case BALLOON_EVENT_STATS:
		control_note_sample(control);
		break;
	case BALLOON_EVENT_AUDIT:
		mark_event(control, CONTROL_X_AUDIT);
		break;
	case BALLOON_EVENT_HINTS:
		mark_event(control, CONTROL_X_HINTS);
		break;
	case BALLOON_EVENT_DRIVER:
		mark_event(control, CONTROL_X_DRIVER);
		break;
	}
}

void control_vmm(struct control *control, bool connected)
{
	control->vmm_connected = connected;
	mark_event(control, CONTROL_X_VMM);
}

/*
 * Coming in
 */

static void take(struct control_client *client, enum control_frame_result result)
{
	const struct control_frame *frame = &client->frame;

	switch (result) {
	case CONTROL_FRAME_MESSAGE:
		control_answer(client, frame->text, frame->length);
		break;
	case CONTROL_FRAME_GARBAGE:
		control_answer_error(client, "JSON parse error, expecting an object");
		break;
	case CONTROL_FRAME_TOO_DEEP:
		control_answer_error(client, "JSON parse error, nested too deeply");
		break;
	case CONTROL_FRAME_TOO_LONG:
		control_answer_error(client, "a message over 64 KiB; the connection is closed");
		let_go(client);
		break;
	case CONTROL_FRAME_MORE:
		break;
	}
}

static void receive(struct control_client *client)
{
	char chunk[READ_CHUNK];
	ssize_t n = recv(client->source.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	size_t taken = 0, used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		let_go(client);
		return;
	}
	while (taken < (size_t)n && !client->gone) {
		enum control_frame_result result =
			control_frame_feed(&client->frame, chunk + taken, (size_t)n - taken, &used);

		taken += used;
		take(client, result);
	}
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct control_client *client =
		(struct control_client *)((char *)source - offsetof(struct control_client, source));

	if (events & EPOLLOUT) {
		flush(client);
		if (!client->gone && client->out_length == 0)
			loop_change(client->control->loop, source, EPOLLIN);
	}
	if (!client->gone && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(client);
}

static void greet(struct control_client *client)
{
	struct json_out out;

	control_message(client, &out);
	out_open(&out, NULL, '{');
	out_open(&out, "QMP", '{');
	control_out_version(&out, "version");
	out_open(&out, "capabilities", '[');
	out_close(&out, ']');
	out_close(&out, '}');
	out_close(&out, '}');
	control_message_end(client, &out);
}

static void turn_away(int fd, const char *why)
{
	char text[256];
	struct json_out out;

	json_out_start(&out, text, sizeof(text));
	out_open(&out, NULL, '{');
	out_open(&out, "error", '{');
	out_string(&out, "class", "GenericError");
	out_string(&out, "desc", why);
	out_close(&out, '}');
	out_close(&out, '}');
	out_raw(&out, "\r\n");
	/* If it does not fit into a fresh socket there is no telling. */
	(void)!send(fd, text, out.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static struct control_client **free_place(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (!control->clients[i])
			return &control->clients[i];
	return NULL;
}

static void client_accepted(struct listener *listener, int fd)
{
	struct control *control = CONTROL_OF(listener, listener);
	struct control_client **place = free_place(control);
	struct control_client *client;

	if (!place) {
		turn_away(fd, "16 clients are connected, which is the most; close one of them");
		return;
	}
	client = calloc(1, sizeof(*client));
	if (client) {
		client->control = control;
		client->source = (struct loop_source){ .fd = fd, .ready = client_ready };
	}
	if (!client || loop_add(control->loop, &client->source, EPOLLIN)) {
		free(client);
		turn_away(fd, "no memory for another client");
		return;
	}
	*place = client;
	greet(client);
}

/*
 * The whole
 */

struct control *control_new(struct loop *loop, struct balloon *balloon, int fd,
			    const struct control_options *options)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return NULL;
	/* Else the first request would open /dev/urandom, which the sandbox forbids. */
	json_object_seed(0);
	control->loop = loop;
	control->balloon = balloon;
	control->options = *options;
	control->reaper = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = reap };
	control->event_timer = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = send_events };
	control->poll_timer = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = control_poll_due };
	error = listener_start(&control->listener, loop, fd, client_accepted);
	if (error) {
		free(control);
		errno = -error;
		return NULL;
	}
	loop_add_timer(loop, &control->reaper);
	loop_add_timer(loop, &control->event_timer);
	loop_add_timer(loop, &control->poll_timer);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i])
			let_go(control->clients[i]);
	reap(&control->reaper);
	listener_stop(&control->listener);
	loop_remove_timer(control->loop, &control->reaper);
	loop_remove_timer(control->loop, &control->event_timer);
	loop_remove_timer(control->loop, &control->poll_timer);
	free(control);
}
