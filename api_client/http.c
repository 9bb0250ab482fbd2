/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP over a Unix socket, by libsoup.
 *
 * Theory of operation
 * -------------------
 * Callers want to block until an answer is there, but libsoup's blocking calls have no deadline
 * and do not end on Ctrl-C.  So each request is asynchronous, in a main context of its own (the
 * default one may be libvirt's), which is iterated here until the request is over.  A timer and
 * the signals end a request in the same way: they record why, and cancel it.
 *
 * Any program may listen on the socket.  So answers and lines are bounded in length, and a text is
 * reported as the daemon's only if it has the form of the daemon's errors.
 */
#include "api_client/http.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <grp.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_client/answers.h"

#define ANSWER_MAX (64 * 1024 * 1024)
#define CHUNK 65536
#define CONNECT_MS 5000 /* within which a stream has to begin */
#define RETRY_MS 20	/* until the next attempt to connect where the queue is full */

struct http_peer {
	char *path;
	unsigned int timeout_ms;
	GMainContext *context;
	SoupSession *session;
};

enum ended { ENDED_NOT, ENDED_LATE, ENDED_BY_SIGNAL };

/* One request under way. */
struct request {
	struct http_peer *peer;
	SoupMessage *message;
	GInputStream *body;
	GCancellable *cancellable;
	GAsyncResult *result; /* of the operation that is waited for */
	GSource *timer;
	enum ended ended; /* why it was cancelled */
};

struct http_peer *http_peer_new(const char *socket_path, unsigned int timeout_ms)
{
	struct http_peer *peer = g_new0(struct http_peer, 1);
	g_autoptr(GSocketAddress) address = g_unix_socket_address_new(socket_path);

	peer->path = g_strdup(socket_path);
	peer->timeout_ms = timeout_ms;
	peer->context = g_main_context_new();
	g_main_context_push_thread_default(peer->context);
	peer->session =
		soup_session_new_with_options("remote-connectable", address, "proxy-resolver", NULL,
					      "user-agent", "aerostat/" AEROSTAT_VERSION, NULL);
	g_main_context_pop_thread_default(peer->context);
	return peer;
}

void http_peer_free(struct http_peer *peer)
{
	if (!peer)
		return;
	g_main_context_push_thread_default(peer->context);
	soup_session_abort(peer->session);
	g_object_unref(peer->session);
	while (g_main_context_iteration(peer->context, FALSE))
		;
	g_main_context_pop_thread_default(peer->context);
	g_main_context_unref(peer->context);
	g_free(peer->path);
	g_free(peer);
}

static gboolean on_request_late(gpointer data)
{
	struct request *request = data;

	request->ended = ENDED_LATE;
	g_cancellable_cancel(request->cancellable);
	return G_SOURCE_REMOVE;
}

static gboolean on_request_signal(gpointer data)
{
	struct request *request = data;

	request->ended = ENDED_BY_SIGNAL;
	g_cancellable_cancel(request->cancellable);
	return G_SOURCE_CONTINUE;
}

static void on_request_result(GObject *object, GAsyncResult *result, gpointer data)
{
	struct request *request = data;

	(void)object;
	request->result = g_object_ref(result);
}

static GAsyncResult *wait_request_result(struct request *request)
{
	while (!request->result)
		g_main_context_iteration(request->peer->context, TRUE);
	return g_steal_pointer(&request->result);
}

static void stop_request_timer(struct request *request)
{
	if (!request->timer)
		return;
	g_source_destroy(request->timer);
	g_clear_pointer(&request->timer, g_source_unref);
}

/* Ends the request at @deadline, in place of an earlier timer's. */
static void start_request_timer(struct request *request, int64_t deadline)
{
	stop_request_timer(request);
	request->timer = g_timeout_source_new(0);
	g_source_set_ready_time(request->timer, deadline);
	g_source_set_callback(request->timer, on_request_late, request, NULL);
	g_source_attach(request->timer, request->peer->context);
}

static int64_t deadline_after_ms(unsigned int timeout_ms)
{
	return g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
}

static void set_denied_error(const struct http_peer *peer, GError **error)
{
	struct stat status;
	const struct group *group = stat(peer->path, &status) ? NULL : getgrgid(status.st_gid);

	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_DENIED,
		    "no permission to use the socket %s of aerostatd; run as root%s%s", peer->path,
		    group ? ", or as a member of the group " : "", group ? group->gr_name : "");
}

static void set_absent_error(const struct http_peer *peer, GError **error)
{
	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_ABSENT,
		    "aerostatd is not running (%s %s); start it with systemctl start aerostatd, or "
		    "aerostatd -c URI",
		    access(peer->path, F_OK) ? "no socket" : "nothing listens on", peer->path);
}

/* Translates @reason, of GIO or libsoup, into an error of ours. */
static void set_lost_error(const struct request *request, const GError *reason, GError **error)
{
	const struct http_peer *peer = request->peer;

	if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
	    g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
		set_absent_error(peer, error);
	else if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
		set_denied_error(peer, error);
	else if (request->ended == ENDED_LATE)
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
			    "aerostatd on %s does not answer; see its log", peer->path);
	else
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
			    "lost aerostatd on %s before its answer was complete: %s", peer->path,
			    reason->message);
}

static void set_foreign_error(const struct http_peer *peer, const char *what, GError **error)
{
	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
		    "what listens on %s is not aerostatd: %s", peer->path, what);
}

static bool try_request(struct request *request, GError **error)
{
	g_autoptr(GAsyncResult) result = NULL;

	soup_session_send_async(request->peer->session, request->message, G_PRIORITY_DEFAULT,
				request->cancellable, on_request_result, request);
	result = wait_request_result(request);
	request->body = soup_session_send_finish(request->peer->session, result, error);
	return request->body != NULL;
}

static gboolean on_retry(gpointer data)
{
	*(bool *)data = true;
	return G_SOURCE_REMOVE;
}

/* False if the request was ended meanwhile. */
static bool wait_retry(struct request *request)
{
	GSource *source = g_timeout_source_new(RETRY_MS);
	bool is_due = false;

	g_source_set_callback(source, on_retry, &is_due, NULL);
	g_source_attach(source, request->peer->context);
	while (!is_due && request->ended == ENDED_NOT)
		g_main_context_iteration(request->peer->context, TRUE);
	g_source_destroy(source);
	g_source_unref(source);
	return request->ended == ENDED_NOT;
}

/*
 * Sends it, and waits until the answer begins.  While many others connect, the daemon's queue may
 * be full, which GIO does not wait for.  Nothing was sent then.
 */
static bool send_request(struct request *request, GError **error)
{
	g_autoptr(GError) reason = NULL;

	while (!try_request(request, &reason)) {
		if (!g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ||
		    !wait_retry(request)) {
			set_lost_error(request, reason, error);
			return false;
		}
		g_clear_error(&reason);
	}
	return true;
}

/* The next bytes of the answer; none at its end, NULL with an error. */
static GBytes *read_answer_bytes(struct request *request, GError **error)
{
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GError) reason = NULL;
	GBytes *bytes;

	g_input_stream_read_bytes_async(request->body, CHUNK, G_PRIORITY_DEFAULT,
					request->cancellable, on_request_result, request);
	result = wait_request_result(request);
	bytes = g_input_stream_read_bytes_finish(request->body, result, &reason);
	if (!bytes)
		set_lost_error(request, reason, error);
	return bytes;
}

static bool read_answer_text(struct request *request, GByteArray *text, GError **error)
{
	for (;;) {
		g_autoptr(GBytes) bytes = read_answer_bytes(request, error);
		gsize length;
		const void *data;

		if (!bytes)
			return false;
		data = g_bytes_get_data(bytes, &length);
		if (!length)
			return true;
		if (text->len + length > ANSWER_MAX) {
			set_foreign_error(request->peer, "its answer does not end", error);
			return false;
		}
		g_byte_array_append(text, data, (guint)length);
	}
}

static enum daemon_error error_of_status(guint status, const char *code)
{
	if (status == SOUP_STATUS_FORBIDDEN)
		return DAEMON_ERROR_DENIED;
	if (g_str_equal(code, "not-found") || g_str_equal(code, "ambiguous"))
		return DAEMON_ERROR_NOT_FOUND;
	return status == SOUP_STATUS_BAD_REQUEST ? DAEMON_ERROR_INVALID : DAEMON_ERROR_REFUSED;
}

/* The reference to @answer, which may be NULL, is taken. */
static void set_refused_error(const struct request *request, json_t *answer, GError **error)
{
	guint status = soup_message_get_status(request->message);
	g_autoptr(daemon_failure) failure = daemon_parse_failure(answer);

	if (*failure->message)
		g_set_error_literal(error, DAEMON_ERROR, error_of_status(status, failure->code),
				    failure->message);
	else
		g_set_error(error, DAEMON_ERROR, error_of_status(status, ""),
			    "aerostatd on %s answered %u (%s) without a reason",
			    request->peer->path, status,
			    soup_message_get_reason_phrase(request->message));
}

/* Reads the whole answer; its JSON, as http_call() returns it. */
static json_t *read_answer(struct request *request, GError **error)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	json_t *answer;

	if (!read_answer_text(request, text, error))
		return NULL;
	answer = json_loadb((const char *)text->data, text->len, 0, NULL);
	if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(request->message))) {
		set_refused_error(request, answer, error);
		return NULL;
	}
	if (!answer && !text->len)
		return json_null();
	if (json_is_object(answer))
		return answer;
	json_decref(answer);
	set_foreign_error(request->peer, "its answer is not a JSON object", error);
	return NULL;
}

static void set_request_body(SoupMessage *message, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	g_autoptr(GBytes) bytes = g_bytes_new_with_free_func(text, strlen(text), free, text);

	soup_message_set_request_body_from_bytes(message, "application/json", bytes);
}

/* False if no socket can have the peer's path.  The reference to @body is taken. */
static bool open_request(struct request *request, struct http_peer *peer, const char *method,
			 const char *path, json_t *body, GError **error)
{
	g_autofree char *uri = g_strconcat("http://localhost", path, NULL);

	*request = (struct request){ .peer = peer };
	if (strlen(peer->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		json_decref(body);
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_INVALID,
			    "socket path '%s' is longer than 107 bytes", peer->path);
		return false;
	}
	g_main_context_push_thread_default(peer->context);
	request->cancellable = g_cancellable_new();
	request->message = soup_message_new(method, uri);
	soup_message_set_flags(request->message, SOUP_MESSAGE_NO_REDIRECT);
	if (body)
		set_request_body(request->message, body);
	json_decref(body);
	return true;
}

static void close_request(struct request *request)
{
	stop_request_timer(request);
	g_clear_object(&request->body);
	g_clear_object(&request->message);
	g_clear_object(&request->cancellable);
	g_main_context_pop_thread_default(request->peer->context);
}

json_t *http_call(struct http_peer *peer, const char *method, const char *path, json_t *body,
		  GError **error)
{
	struct request request;
	json_t *answer = NULL;

	if (!open_request(&request, peer, method, path, body, error))
		return NULL;
	start_request_timer(&request, deadline_after_ms(peer->timeout_ms));
	if (send_request(&request, error))
		answer = read_answer(&request, error);
	close_request(&request);
	return answer;
}

struct lines {
	GByteArray *rest; /* a line whose end has not come yet */
	bool (*line)(const char *text, void *data);
	void *data;
};

/* Passes on each whole line; false when no more are wanted. */
static bool pass_lines(struct lines *lines)
{
	guint8 *start = lines->rest->data;
	guint8 *end;
	bool more = true;

	while (more && (end = memchr(start, '\n',
				     (size_t)(lines->rest->data + lines->rest->len - start)))) {
		*end = '\0';
		more = lines->line((const char *)start, lines->data);
		start = end + 1;
	}
	if (start != lines->rest->data)
		g_byte_array_remove_range(lines->rest, 0, (guint)(start - lines->rest->data));
	return more;
}

/* Until no more lines are wanted (true), or none can come (false). */
static bool read_lines(struct request *request, struct lines *lines, GError **error)
{
	for (;;) {
		g_autoptr(GBytes) bytes = read_answer_bytes(request, error);
		gsize length;
		const void *data;

		if (!bytes)
			return false;
		data = g_bytes_get_data(bytes, &length);
		if (!length || lines->rest->len + length > ANSWER_MAX) {
			g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST, "aerostatd on %s %s",
				    request->peer->path,
				    length ? "sends a line that does not end" : "ended its answer");
			return false;
		}
		g_byte_array_append(lines->rest, data, (guint)length);
		if (!pass_lines(lines))
			return true;
	}
}

static GSource *attach_signal_source(struct request *request, int signal_number)
{
	GSource *source = g_unix_signal_source_new(signal_number);

	g_source_set_callback(source, on_request_signal, request, NULL);
	g_source_attach(source, request->peer->context);
	return source;
}

static void detach_source(GSource *source)
{
	g_source_destroy(source);
	g_source_unref(source);
}

static bool read_stream(struct request *request, struct lines *lines, int64_t end_us,
			GError **error)
{
	start_request_timer(request, MIN(end_us, deadline_after_ms(CONNECT_MS)));
	if (!send_request(request, error))
		return request->ended == ENDED_BY_SIGNAL;
	if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(request->message))) {
		json_decref(read_answer(request, error));
		return false;
	}
	start_request_timer(request, end_us);
	/* Once the stream has begun, ending it here is not a failure. */
	return read_lines(request, lines, error) || request->ended != ENDED_NOT;
}

bool http_stream(struct http_peer *peer, const char *method, const char *path, int64_t end_us,
		 bool (*line)(const char *text, void *data), void *data, GError **error)
{
	g_autoptr(GByteArray) rest = g_byte_array_new();
	struct lines lines = { .rest = rest, .line = line, .data = data };
	g_autoptr(GError) reason = NULL;
	GSource *interrupted, *terminated;
	struct request request;
	bool ok;

	if (!open_request(&request, peer, method, path, NULL, error))
		return false;
	interrupted = attach_signal_source(&request, SIGINT);
	terminated = attach_signal_source(&request, SIGTERM);
	ok = read_stream(&request, &lines, end_us, &reason);
	detach_source(interrupted);
	detach_source(terminated);
	close_request(&request);
	if (!ok)
		g_propagate_error(error, g_steal_pointer(&reason));
	return ok;
}
