/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers without an end: events, and a recording.
 *
 * Theory of operation
 * -------------------
 * A stream is a message whose body libsoup writes chunk by chunk; what is handed to libsoup and
 * not yet written is its backlog.  A client that lets more than API_BACKLOG_MAX wait is cut
 * off, because the daemon would keep it all.  What is replayed at the start does not count: it
 * is bounded by what is kept.
 *
 * libsoup does not look at a connection that it has nothing to write to, so a client that goes
 * away is seen here, by the hang-up of its socket.
 *
 * A stream ends once: when its message has ended (whoever ended it), or with the API.
 */
#include "aerostatd/api_private.h"

#include <inttypes.h>
#include <string.h>

struct api_stream {
	struct api *api;
	SoupServerMessage *msg;
	GSocket *socket;
	GSource *hangup;
	uint64_t backlog, limit;
	guint listener; /* of events; 0: none */
	guint keep_alive;
	bool recording;
};

static void stream_free(struct api_stream *stream)
{
	struct api *api = stream->api;

	api->streams = g_list_remove(api->streams, stream);
	g_signal_handlers_disconnect_by_data(stream->msg, stream);
	if (stream->listener)
		events_unlisten(manager_status(api->manager)->events, stream->listener);
	if (stream->recording) {
		stream->recording = false;
		manager_record(api->manager, NULL, NULL, NULL);
	}
	if (stream->keep_alive)
		g_source_remove(stream->keep_alive);
	g_source_destroy(stream->hangup);
	g_source_unref(stream->hangup);
	g_object_unref(stream->socket);
	g_object_unref(stream->msg);
	g_free(stream);
}

static void on_finished(SoupServerMessage *msg, void *data)
{
	(void)msg;
	stream_free(data);
}

static void on_written(SoupServerMessage *msg, guint size, void *data)
{
	struct api_stream *stream = data;

	(void)msg;
	stream->backlog -= MIN(stream->backlog, size);
}

/* The client is gone: libsoup learns of it by the next write, which fails. */
static gboolean on_hangup(GSocket *socket, GIOCondition condition, void *data)
{
	struct api_stream *stream = data;

	(void)condition;
	g_socket_shutdown(socket, TRUE, TRUE, NULL);
	soup_message_body_append(soup_server_message_get_response_body(stream->msg),
				 SOUP_MEMORY_STATIC, "\n", 1);
	soup_server_message_unpause(stream->msg);
	return G_SOURCE_REMOVE;
}

/* Hands @text to libsoup, or ends the stream of a client that does not read. */
static void stream_write(struct api_stream *stream, const char *text, size_t length)
{
	if (stream->backlog > stream->limit) {
		g_socket_shutdown(stream->socket, TRUE, TRUE, NULL);
		return;
	}
	stream->backlog += length;
	soup_message_body_append(soup_server_message_get_response_body(stream->msg),
				 SOUP_MEMORY_COPY, text, length);
	soup_server_message_unpause(stream->msg);
}

/* NULL after the request was answered: there are too many. */
static struct api_stream *stream_new(struct api_request *request)
{
	struct api *api = request->api;
	struct api_stream *stream;

	if (g_list_length(api->streams) >= API_STREAMS_MAX) {
		api_fail(request->msg, SOUP_STATUS_SERVICE_UNAVAILABLE, "refused",
			 "%d streams are open, which is the most there can be", API_STREAMS_MAX);
		return NULL;
	}
	stream = g_new0(struct api_stream, 1);
	stream->api = api;
	stream->msg = g_object_ref(request->msg);
	stream->socket = g_object_ref(request->client->socket);
	stream->limit = API_BACKLOG_MAX;
	stream->hangup = g_socket_create_source(stream->socket, G_IO_HUP, NULL);
	g_source_set_callback(stream->hangup, G_SOURCE_FUNC(on_hangup), stream, NULL);
	g_signal_connect(stream->msg, "finished", G_CALLBACK(on_finished), stream);
	g_signal_connect(stream->msg, "wrote-body-data", G_CALLBACK(on_written), stream);
	api->streams = g_list_prepend(api->streams, stream);
	return stream;
}

/* From here on the answer goes out, and takes as long as it takes. */
static void stream_begin(struct api_stream *stream, struct api_client *client, const char *type)
{
	SoupMessageHeaders *headers = soup_server_message_get_response_headers(stream->msg);
	bool old = soup_server_message_get_http_version(stream->msg) == SOUP_HTTP_1_0;

	if (client->deadline)
		g_source_remove(client->deadline);
	client->deadline = 0;
	soup_message_headers_set_content_type(headers, type, NULL);
	soup_message_headers_set_encoding(headers, old ? SOUP_ENCODING_EOF : SOUP_ENCODING_CHUNKED);
	soup_message_body_set_accumulate(soup_server_message_get_response_body(stream->msg), FALSE);
	soup_server_message_set_status(stream->msg, SOUP_STATUS_OK, NULL);
	g_source_attach(stream->hangup, NULL);
}

static void on_event(const struct event *event, void *data)
{
	json_t *object = report_event(event);
	char *json = json_dumps(object, JSON_COMPACT);
	g_autofree char *text = g_strdup_printf("id: %" PRIu64 "\nevent: %s\ndata: %s\n\n",
						event->number, event_kind_name(event->kind), json);

	stream_write(data, text, strlen(text));
	free(json);
	json_decref(object);
}

/* A comment, which keeps what is between us and the client from giving up. */
static gboolean keep_alive(void *data)
{
	stream_write(data, ":\n\n", 3);
	return G_SOURCE_CONTINUE;
}

static void note_number(const struct event *event, void *data)
{
	*(uint64_t *)data = event->number;
}

static void stream_replay(struct api_stream *stream, uint64_t after)
{
	const struct events *events = manager_status(stream->api->manager)->events;
	uint64_t last = 0;

	events_replay(events, 0, note_number, &last);
	/* A number that was not reached yet is of a daemon before this one: all of ours are new. */
	stream->limit = UINT64_MAX;
	events_replay(events, after > last ? 0 : after, on_event, stream);
	stream->limit = stream->backlog + API_BACKLOG_MAX;
}

/*
 * Where to go on from.  A browser that comes back sends the header and still has the address
 * that it began with, so the header counts.  False after the request was answered.
 */
static bool read_after(struct api_request *request, const char **word, uint64_t *after)
{
	*word = soup_message_headers_get_one(soup_server_message_get_request_headers(request->msg),
					     "Last-Event-ID");
	if (!*word && request->query)
		*word = g_hash_table_lookup(request->query, "after");
	if (!*word || api_parse_number(*word, after))
		return true;
	api_fail(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid",
		 "'after' must be the number of an event, not '%.40s'", *word);
	return false;
}

void api_stream_events(struct api_request *request)
{
	struct events *events = manager_status(request->api->manager)->events;
	struct api_stream *stream;
	const char *word;
	uint64_t after;

	if (!read_after(request, &word, &after))
		return;
	stream = stream_new(request);
	if (!stream)
		return;
	stream_begin(stream, request->client, "text/event-stream");
	stream_write(stream, ":\n\n", 3);
	if (word)
		stream_replay(stream, after);
	stream->listener = events_listen(events, on_event, stream);
	stream->keep_alive = g_timeout_add(request->api->keep_alive_ms, keep_alive, stream);
}

/* NULL: the recording has ended, by itself or because the stream is about to be freed. */
static void on_line(const char *text, gsize length, void *data)
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
	if (!manager_record(request->api->manager, on_line, stream, &error)) {
		stream_free(stream);
		api_fail_with(request->msg, error);
		return;
	}
	stream->recording = true;
	stream_begin(stream, request->client, "application/x-ndjson");
}

void api_stream_end_all(struct api *api)
{
	while (api->streams)
		stream_free(api->streams->data);
}
