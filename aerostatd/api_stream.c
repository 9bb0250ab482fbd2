/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers without an end: events and recordings.
 *
 * Theory of operation
 * -------------------
 * A stream is a message whose body libsoup writes chunk by chunk.  What was passed to libsoup and
 * is not written yet is the stream's backlog.  A client with a backlog above API_BACKLOG_MAX is
 * disconnected, because the daemon would have to keep it all.  The events that are replayed at
 * the start do not count: they are bounded by EVENTS_KEPT.
 *
 * libsoup does not watch a connection that it has nothing to write to, so a client that
 * disconnects is noticed here, by the hang-up of its socket.
 *
 * A stream is freed once: when its message has finished, for whatever reason, or with the API.
 */
#include "aerostatd/api_private.h"

#include <inttypes.h>
#include <string.h>

#include "aerostatd/report.h"

struct api_stream {
	struct api_streams *streams;
	struct manager *manager;
	SoupServerMessage *msg;
	GSocket *socket;
	GSource *hangup;
	uid_t uid;		 /* of the client */
	uint64_t backlog, limit; /* bytes that wait, and how many may */
	guint listener;		 /* of events; 0: none */
	guint keep_alive;	 /* GSource; 0: none */
	bool recording;
};

static void stream_free(struct api_stream *stream)
{
	stream->streams->open = g_list_remove(stream->streams->open, stream);
	g_signal_handlers_disconnect_by_data(stream->msg, stream);
	if (stream->listener)
		events_unlisten(manager_get_status(stream->manager)->events, stream->listener);
	if (stream->recording) {
		stream->recording = false;
		manager_record(stream->manager, NULL, NULL, NULL);
	}
	if (stream->keep_alive)
		g_source_remove(stream->keep_alive);
	g_source_destroy(stream->hangup);
	g_source_unref(stream->hangup);
	g_object_unref(stream->socket);
	g_object_unref(stream->msg);
	g_free(stream);
}

static void on_stream_finished(SoupServerMessage *msg, void *data)
{
	(void)msg;
	stream_free(data);
}

static void on_stream_written(SoupServerMessage *msg, guint size, void *data)
{
	struct api_stream *stream = data;

	(void)msg;
	stream->backlog -= MIN(stream->backlog, size);
}

/* The client has disconnected.  libsoup notices by the next write, which fails. */
static gboolean on_stream_hangup(GSocket *socket, GIOCondition condition, void *data)
{
	struct api_stream *stream = data;

	(void)condition;
	g_socket_shutdown(socket, TRUE, TRUE, NULL);
	soup_message_body_append(soup_server_message_get_response_body(stream->msg),
				 SOUP_MEMORY_STATIC, "\n", 1);
	soup_server_message_unpause(stream->msg);
	return G_SOURCE_REMOVE;
}

static uint64_t count_stream(const struct api_stream *stream)
{
	(void)stream;
	return 1;
}

static uint64_t get_stream_backlog(const struct api_stream *stream)
{
	return stream->backlog;
}

static uint64_t sum_user_streams(const struct api_streams *streams, uid_t uid,
				 uint64_t (*measure)(const struct api_stream *stream))
{
	uint64_t sum = 0;

	for (const GList *link = streams->open; link; link = link->next) {
		const struct api_stream *stream = link->data;

		if (stream->uid == uid)
			sum += measure(stream);
	}
	return sum;
}

static bool is_backlog_full(const struct api_stream *stream)
{
	if (stream->limit == UINT64_MAX)
		return false;
	return stream->backlog > stream->limit ||
	       (stream->backlog > API_BACKLOG_MIN &&
		sum_user_streams(stream->streams, stream->uid, get_stream_backlog) >
			API_USER_BACKLOG_MAX);
}

/* Passes @text to libsoup, or disconnects a client that does not read. */
static void stream_write(struct api_stream *stream, const char *text, size_t length)
{
	if (is_backlog_full(stream)) {
		g_socket_shutdown(stream->socket, TRUE, TRUE, NULL);
		return;
	}
	stream->backlog += length;
	soup_message_body_append(soup_server_message_get_response_body(stream->msg),
				 SOUP_MEMORY_COPY, text, length);
	soup_server_message_unpause(stream->msg);
}

/* NULL when there are too many; the request was answered then. */
static struct api_stream *stream_new(struct api_request *request)
{
	struct api_streams *streams = request->streams;
	uid_t uid = request->client->peer.uid;
	struct api_stream *stream;

	if (sum_user_streams(streams, uid, count_stream) >= API_STREAMS_MAX) {
		api_answer_error(request->msg, SOUP_STATUS_SERVICE_UNAVAILABLE, "refused",
				 "user %u has %d streams open, which is the limit; close one first",
				 uid, API_STREAMS_MAX);
		return NULL;
	}
	stream = g_new0(struct api_stream, 1);
	stream->uid = uid;
	stream->streams = streams;
	stream->manager = request->manager;
	stream->msg = g_object_ref(request->msg);
	stream->socket = g_object_ref(request->client->socket);
	stream->limit = API_BACKLOG_MAX;
	stream->hangup = g_socket_create_source(stream->socket, G_IO_HUP, NULL);
	g_source_set_callback(stream->hangup, G_SOURCE_FUNC(on_stream_hangup), stream, NULL);
	g_signal_connect(stream->msg, "finished", G_CALLBACK(on_stream_finished), stream);
	g_signal_connect(stream->msg, "wrote-body-data", G_CALLBACK(on_stream_written), stream);
	streams->open = g_list_prepend(streams->open, stream);
	return stream;
}

/* Sends the headers.  From here on the answer has no deadline. */
static void stream_begin(struct api_stream *stream, struct api_client *client, const char *type)
{
	SoupMessageHeaders *headers = soup_server_message_get_response_headers(stream->msg);
	bool old = soup_server_message_get_http_version(stream->msg) == SOUP_HTTP_1_0;

	api_client_lift_deadline(client);
	soup_message_headers_set_content_type(headers, type, NULL);
	soup_message_headers_set_encoding(headers, old ? SOUP_ENCODING_EOF : SOUP_ENCODING_CHUNKED);
	soup_message_body_set_accumulate(soup_server_message_get_response_body(stream->msg), FALSE);
	soup_server_message_set_status(stream->msg, SOUP_STATUS_OK, NULL);
	g_source_attach(stream->hangup, NULL);
}

static void stream_event(const struct event *event, void *data)
{
	json_t *object = report_event(event);
	char *json = json_dumps(object, JSON_COMPACT);
	g_autofree char *text = g_strdup_printf("id: %" PRIu64 "\nevent: %s\ndata: %s\n\n",
						event->number, event_kind_name(event->kind), json);

	stream_write(data, text, strlen(text));
	free(json);
	json_decref(object);
}

/* A comment, so that proxies do not close an idle connection. */
static gboolean stream_keep_alive(void *data)
{
	stream_write(data, ":\n\n", 3);
	return G_SOURCE_CONTINUE;
}

static void note_last_number(const struct event *event, void *data)
{
	*(uint64_t *)data = event->number;
}

static void stream_replay(struct api_stream *stream, uint64_t after)
{
	const struct events *events = manager_get_status(stream->manager)->events;
	uint64_t last = 0;

	events_replay(events, 0, note_last_number, &last);
	/* A number not reached yet is from before a restart: every event is new to the client. */
	stream->limit = UINT64_MAX;
	events_replay(events, after > last ? 0 : after, stream_event, stream);
	stream->limit = stream->backlog + API_BACKLOG_MAX;
}

/*
 * Reads after which event the client wants to continue; @is_given is whether it said so.  A
 * browser that reconnects sends the header along with its first URL, so the header wins.  False
 * when the number is wrong; the request was answered then.
 */
static bool read_first_event(struct api_request *request, bool *is_given, uint64_t *after)
{
	const char *name = "Last-Event-ID";
	const char *value = soup_message_headers_get_one(
		soup_server_message_get_request_headers(request->msg), name);

	if (!value && request->query) {
		name = "after";
		value = g_hash_table_lookup(request->query, name);
	}
	*is_given = value;
	if (!value || api_parse_number(value, after))
		return true;
	api_answer_error(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid",
			 "'%s' must be the number of an event, not '%.40s'", name, value);
	return false;
}

void api_stream_events(struct api_request *request)
{
	struct events *events = manager_get_status(request->manager)->events;
	struct api_stream *stream;
	bool is_given;
	uint64_t after;

	if (!read_first_event(request, &is_given, &after))
		return;
	stream = stream_new(request);
	if (!stream)
		return;
	stream_begin(stream, request->client, "text/event-stream");
	stream_write(stream, ":\n\n", 3);
	if (is_given)
		stream_replay(stream, after);
	stream->listener = events_listen(events, stream_event, stream);
	stream->keep_alive =
		g_timeout_add(request->streams->keep_alive_ms, stream_keep_alive, stream);
}

/* @text NULL: the recording has ended, by itself or because the stream is about to be freed. */
static void stream_recording_line(const char *text, gsize length, void *data)
{
	struct api_stream *stream = data;

	if (text) {
		stream_write(stream, text, length);
	} else if (stream->recording) {
		stream->recording = false;
		soup_message_body_complete(soup_server_message_get_response_body(stream->msg));
		soup_server_message_unpause(stream->msg);
	}
}

void api_stream_recording(struct api_request *request)
{
	struct api_stream *stream = stream_new(request);
	g_autoptr(GError) error = NULL;

	if (!stream)
		return;
	if (!manager_record(request->manager, stream_recording_line, stream, &error)) {
		stream_free(stream);
		api_answer_gerror(request->msg, error);
		return;
	}
	stream->recording = true;
	stream_begin(stream, request->client, "application/x-ndjson");
}

void api_streams_end(struct api_streams *streams)
{
	while (streams->open)
		stream_free(streams->open->data);
}
