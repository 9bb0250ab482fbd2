/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accepts connections, limits what is read from them, and starts and stops the rest of the API.
 *
 * Theory of operation
 * -------------------
 * libsoup reads and writes HTTP, but connections are accepted here: libsoup's own listener stops
 * for good once accept() fails, as it does when descriptors run out, and has no limits.  A
 * connection carries one request.
 *
 * Readers, writers and the socket's group follow the configuration: the API listens for the
 * manager's EVENT_RELOAD.
 */
#include "aerostatd/api_private.h"

#include "aerostatd/log.h"

/* After an error of accept() it is tried again after so many seconds. */
#define RESUME_S 1
/* Errors of accept() are logged again after so long without one. */
#define PAUSE_LOG_US (60 * G_USEC_PER_SEC)

static void pause_accepting(struct api *api, const GError *error);

static gboolean accept_connection(GSocket *listener, GIOCondition condition, void *data)
{
	struct api *api = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GSocket) socket = g_socket_accept(listener, NULL, &error);

	(void)condition;
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES) &&
	    api_clients_use_reserve(&api->clients)) {
		g_clear_error(&error);
		socket = g_socket_accept(listener, NULL, &error);
	}
	if (socket)
		api_clients_add(&api->clients, api->server, socket);
	else if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
		pause_accepting(api, error);
	return api->accepting ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void start_accepting(struct api *api)
{
	api->accepting = g_socket_create_source(api->socket.listener, G_IO_IN, NULL);
	g_source_set_callback(api->accepting, G_SOURCE_FUNC(accept_connection), api, NULL);
	g_source_attach(api->accepting, NULL);
}

static gboolean resume_accepting(void *data)
{
	struct api *api = data;

	api->resume = 0;
	api_clients_fill_reserve(&api->clients);
	start_accepting(api);
	return G_SOURCE_REMOVE;
}

/* A connection that cannot be accepted would wake the loop again and again. */
static void pause_accepting(struct api *api, const GError *error)
{
	int64_t now_us = g_get_monotonic_time();

	if (!api->paused_us || now_us - api->paused_us >= PAUSE_LOG_US)
		manager_log(LOG_WARNING, "%s; trying again every %d s", error->message, RESUME_S);
	api->paused_us = now_us;
	g_clear_pointer(&api->accepting, g_source_unref);
	api->resume = g_timeout_add_seconds(RESUME_S, resume_accepting, api);
}

/* Reads the rest of a body that is too large, without keeping it. */
static void refuse_large_body(SoupServerMessage *msg)
{
	SoupMessageBody *body = soup_server_message_get_request_body(msg);

	soup_message_body_set_accumulate(body, FALSE);
	soup_message_body_truncate(body);
	api_answer_error(msg, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "invalid",
			 "the body is larger than %d bytes, which is the limit", API_BODY_MAX);
}

static void on_request_headers(SoupServerMessage *msg, void *data)
{
	SoupMessageHeaders *request = soup_server_message_get_request_headers(msg);
	SoupMessageHeaders *answer = soup_server_message_get_response_headers(msg);

	(void)data;
	soup_message_headers_replace(answer, "Connection", "close");
	soup_message_headers_replace(answer, "Cache-Control", "no-store");
	/* libsoup would serve any number of overlapping parts of any answer. */
	soup_message_headers_remove(request, "Range");
	if (soup_message_headers_get_content_length(request) > API_BODY_MAX)
		refuse_large_body(msg);
}

static void on_request_chunk(SoupServerMessage *msg, GBytes *chunk, void *data)
{
	SoupMessageBody *body = soup_server_message_get_request_body(msg);

	(void)chunk;
	(void)data;
	if (!soup_server_message_get_status(msg) && body->length > API_BODY_MAX)
		refuse_large_body(msg);
}

static void on_request_started(SoupServer *server, SoupServerMessage *msg, void *data)
{
	(void)server;
	g_signal_connect(msg, "got-headers", G_CALLBACK(on_request_headers), data);
	g_signal_connect(msg, "got-chunk", G_CALLBACK(on_request_chunk), data);
}

static void on_request_read(SoupServer *server, SoupServerMessage *msg, const char *path,
			    GHashTable *query, void *data)
{
	struct api *api = data;
	struct api_request request = {
		.manager = api->manager,
		.rights = &api->rights,
		.streams = &api->streams,
		.client = api_client_of(msg),
		.msg = msg,
		.query = query,
	};

	(void)server;
	(void)path;
	if (request.client)
		api_route_request(&request);
	else
		api_answer_error(msg, SOUP_STATUS_FORBIDDEN, "denied",
				 "the user who sent this request is not known");
}

static void follow_reload(const struct event *event, void *data)
{
	struct api *api = data;
	const struct config *config = manager_get_status(api->manager)->config;
	g_autoptr(GError) error = NULL;

	if (event->kind != EVENT_RELOAD)
		return;
	api_rights_load(&api->rights, config);
	if (!api_socket_set_group(&api->socket, config->group, &error))
		manager_log(LOG_WARNING, "%s; the socket keeps its group", error->message);
}

struct api *api_start(struct manager *manager, const char *path, GError **error)
{
	const struct manager_status *status = manager_get_status(manager);
	struct api *api = g_new0(struct api, 1);

	api->manager = manager;
	api->clients.request_ms = API_REQUEST_MS;
	api->clients.reserve = -1;
	api_clients_fill_reserve(&api->clients);
	api->streams.keep_alive_ms = API_KEEP_ALIVE_MS;
	api->server = soup_server_new("raw-paths", TRUE, NULL);
	if (!api_socket_open(&api->socket, path, status->config->group, error)) {
		api_stop(api);
		return NULL;
	}
	api_rights_load(&api->rights, status->config);
	api->reload_listener = events_listen(status->events, follow_reload, api);
	soup_server_add_handler(api->server, NULL, on_request_read, api, NULL);
	g_signal_connect(api->server, "request-started", G_CALLBACK(on_request_started), api);
	start_accepting(api);
	return api;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	if (api->reload_listener)
		events_unlisten(manager_get_status(api->manager)->events, api->reload_listener);
	g_clear_handle_id(&api->resume, g_source_remove);
	if (api->accepting)
		g_source_destroy(api->accepting);
	g_clear_pointer(&api->accepting, g_source_unref);
	api_streams_end(&api->streams);
	api_socket_close(&api->socket);
	soup_server_disconnect(api->server);
	api_clients_clear(&api->clients);
	g_object_unref(api->server);
	api_rights_clear(&api->rights);
	g_free(api);
}
