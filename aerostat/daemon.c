/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP over a Unix socket, by libsoup.
 *
 * Theory of operation
 * -------------------
 * Callers want answers in a row; libsoup's calls that block know no deadline and no Ctrl-C.
 * So each request is asynchronous in a main context of its own (the default one may be
 * libvirt's), which is run here until the request is over.  A timer and signals end it by
 * one way: they say why, and cancel.
 *
 * Who listens may be anybody: answers are bounded in length, as are lines, and text is taken for
 * the daemon's only if it has the form of its errors.
 */
#include "aerostat/daemon.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <grp.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "aerostat/aerostatd.sock"
#define ANSWER_MAX (64 * 1024 * 1024)
#define CHUNK 65536
#define CONNECT_MS 5000 /* a stream begins within that time */

G_DEFINE_QUARK(daemon - error - quark, daemon_error)

struct daemon {
	char *path;
	GMainContext *context;
	SoupSession *session;
};

enum ended { ENDED_NOT, ENDED_LATE, ENDED_BY_PERSON };

/* One request under way. */
struct request {
	struct daemon *daemon;
	SoupMessage *message;
	GInputStream *body;
	GCancellable *cancellable;
	GAsyncResult *result; /* of the step that is waited for */
	GSource *timer;
	enum ended ended; /* why it was cancelled */
};

char *daemon_socket_path(void)
{
	const char *said = g_getenv("AEROSTAT_SOCKET");
	g_autofree char *own = g_build_filename(g_get_user_runtime_dir(), SOCKET_NAME, NULL);

	if (said && *said)
		return g_strdup(said);
	/* A person without a daemon of his own may be in the group of the host's. */
	if (geteuid() == 0 || (access(own, F_OK) && !access("/run/" SOCKET_NAME, F_OK)))
		return g_strdup("/run/" SOCKET_NAME);
	return g_steal_pointer(&own);
}

struct daemon *daemon_new(const char *path)
{
	struct daemon *daemon = g_new0(struct daemon, 1);
	g_autoptr(GSocketAddress) address = NULL;

	daemon->path = path ? g_strdup(path) : daemon_socket_path();
	daemon->context = g_main_context_new();
	address = g_unix_socket_address_new(daemon->path);
	g_main_context_push_thread_default(daemon->context);
	daemon->session =
		soup_session_new_with_options("remote-connectable", address, "proxy-resolver", NULL,
					      "user-agent", "aerostat/" AEROSTAT_VERSION, NULL);
	g_main_context_pop_thread_default(daemon->context);
	return daemon;
}

void daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return;
	g_main_context_push_thread_default(daemon->context);
	soup_session_abort(daemon->session);
	g_object_unref(daemon->session);
	while (g_main_context_iteration(daemon->context, FALSE))
		;
	g_main_context_pop_thread_default(daemon->context);
	g_main_context_unref(daemon->context);
	g_free(daemon->path);
	g_free(daemon);
}

static gboolean on_late(gpointer data)
{
	struct request *request = data;

	request->ended = ENDED_LATE;
	g_cancellable_cancel(request->cancellable);
	return G_SOURCE_REMOVE;
}

static gboolean on_signal(gpointer data)
{
	struct request *request = data;

	request->ended = ENDED_BY_PERSON;
	g_cancellable_cancel(request->cancellable);
	return G_SOURCE_CONTINUE;
}

static void on_result(GObject *object, GAsyncResult *result, gpointer data)
{
	struct request *request = data;

	(void)object;
	request->result = g_object_ref(result);
}

static GAsyncResult *wait_result(struct request *request)
{
	while (!request->result)
		g_main_context_iteration(request->daemon->context, TRUE);
	return g_steal_pointer(&request->result);
}

static void stop_timer(struct request *request)
{
	if (!request->timer)
		return;
	g_source_destroy(request->timer);
	g_clear_pointer(&request->timer, g_source_unref);
}

/* Ends the request at @deadline; another one before is forgotten. */
static void start_timer(struct request *request, int64_t deadline)
{
	stop_timer(request);
	request->timer = g_timeout_source_new(0);
	g_source_set_ready_time(request->timer, deadline);
	g_source_set_callback(request->timer, on_late, request, NULL);
	g_source_attach(request->timer, request->daemon->context);
}

static void set_denied(const struct daemon *daemon, GError **error)
{
	struct stat status;
	const struct group *group = stat(daemon->path, &status) ? NULL : getgrgid(status.st_gid);

	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_DENIED,
		    "you may not use the socket %s of aerostatd; be root%s%s", daemon->path,
		    group ? ", or a member of the group " : "", group ? group->gr_name : "");
}

static void set_absent(const struct daemon *daemon, GError **error)
{
	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_ABSENT,
		    "aerostatd does not run (%s %s); start it: systemctl start aerostatd, or "
		    "aerostatd -c URI",
		    access(daemon->path, F_OK) ? "no socket" : "nobody listens at", daemon->path);
}

/* What @reason, of GIO or libsoup, means to a person. */
static void set_lost(const struct request *request, const GError *reason, GError **error)
{
	const struct daemon *daemon = request->daemon;

	if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
	    g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
		set_absent(daemon, error);
	else if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
		set_denied(daemon, error);
	else if (request->ended == ENDED_LATE)
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
			    "aerostatd at %s does not answer; see its log", daemon->path);
	else
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
			    "lost aerostatd at %s in the middle of its answer: %s", daemon->path,
			    reason->message);
}

/* Sends it, and waits until the answer begins. */
static bool request_send(struct request *request, GError **error)
{
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GError) reason = NULL;

	soup_session_send_async(request->daemon->session, request->message, G_PRIORITY_DEFAULT,
				request->cancellable, on_result, request);
	result = wait_result(request);
	request->body = soup_session_send_finish(request->daemon->session, result, &reason);
	if (!request->body)
		set_lost(request, reason, error);
	return request->body != NULL;
}

/* The next bytes of the answer; empty at its end, NULL with an error. */
static GBytes *request_read(struct request *request, GError **error)
{
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GError) reason = NULL;
	GBytes *bytes;

	g_input_stream_read_bytes_async(request->body, CHUNK, G_PRIORITY_DEFAULT,
					request->cancellable, on_result, request);
	result = wait_result(request);
	bytes = g_input_stream_read_bytes_finish(request->body, result, &reason);
	if (!bytes)
		set_lost(request, reason, error);
	return bytes;
}

static bool request_read_all(struct request *request, GByteArray *all, GError **error)
{
	for (;;) {
		g_autoptr(GBytes) bytes = request_read(request, error);
		gsize length;
		const void *data;

		if (!bytes)
			return false;
		data = g_bytes_get_data(bytes, &length);
		if (!length)
			return true;
		if (all->len + length > ANSWER_MAX) {
			g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
				    "what listens at %s is no aerostatd: its answer does not end",
				    request->daemon->path);
			return false;
		}
		g_byte_array_append(all, data, (guint)length);
	}
}

static enum daemon_error code_of_status(guint status, const char *code)
{
	if (status == SOUP_STATUS_FORBIDDEN)
		return DAEMON_ERROR_DENIED;
	if (g_str_equal(code, "not-found") || g_str_equal(code, "ambiguous"))
		return DAEMON_ERROR_NOT_FOUND;
	return status == SOUP_STATUS_BAD_REQUEST ? DAEMON_ERROR_INVALID : DAEMON_ERROR_REFUSED;
}

static void set_refused(const struct request *request, const json_t *answer, GError **error)
{
	guint status = soup_message_get_status(request->message);
	const json_t *told = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(told, "code"));
	const char *message = json_string_value(json_object_get(told, "message"));

	if (message)
		g_set_error_literal(error, DAEMON_ERROR, code_of_status(status, code ? code : ""),
				    message);
	else
		g_set_error(error, DAEMON_ERROR, code_of_status(status, ""),
			    "aerostatd at %s answered %u (%s) and no reason", request->daemon->path,
			    status, soup_message_get_reason_phrase(request->message));
}

/* The JSON of an answer that was read to its end. */
static json_t *request_answer(const struct request *request, const GByteArray *text, GError **error)
{
	json_t *answer = json_loadb((const char *)text->data, text->len, 0, NULL);

	if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(request->message))) {
		set_refused(request, answer, error);
		g_clear_pointer(&answer, json_decref);
	} else if (!answer && !text->len) {
		answer = json_null();
	} else if (!json_is_object(answer)) {
		g_clear_pointer(&answer, json_decref);
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
			    "what listens at %s is no aerostatd: its answer is no JSON object",
			    request->daemon->path);
	}
	return answer;
}

static json_t *read_answer(struct request *request, GError **error)
{
	g_autoptr(GByteArray) text = g_byte_array_new();

	return request_read_all(request, text, error) ? request_answer(request, text, error) : NULL;
}

static void set_body(SoupMessage *message, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	g_autoptr(GBytes) bytes = g_bytes_new_with_free_func(text, strlen(text), free, text);

	soup_message_set_request_body_from_bytes(message, "application/json", bytes);
}

/* False when @daemon cannot even be asked.  The reference to @body is taken. */
static bool request_start(struct request *request, struct daemon *daemon, const char *method,
			  const char *path, json_t *body, GError **error)
{
	g_autofree char *uri = g_strconcat("http://localhost", path, NULL);

	*request = (struct request){ .daemon = daemon };
	if (strlen(daemon->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		json_decref(body);
		g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_INVALID,
			    "socket path '%s' is longer than 107 bytes", daemon->path);
		return false;
	}
	g_main_context_push_thread_default(daemon->context);
	request->cancellable = g_cancellable_new();
	request->message = soup_message_new(method, uri);
	soup_message_set_flags(request->message, SOUP_MESSAGE_NO_REDIRECT);
	if (body)
		set_body(request->message, body);
	json_decref(body);
	return true;
}

static void request_end(struct request *request)
{
	stop_timer(request);
	g_clear_object(&request->body);
	g_clear_object(&request->message);
	g_clear_object(&request->cancellable);
	g_main_context_pop_thread_default(request->daemon->context);
}

json_t *daemon_call(struct daemon *daemon, const char *method, const char *path, json_t *body,
		    unsigned int timeout_ms, GError **error)
{
	struct request request;
	json_t *answer = NULL;

	if (!request_start(&request, daemon, method, path, body, error))
		return NULL;
	start_timer(&request, hv_deadline_ms(timeout_ms));
	if (request_send(&request, error))
		answer = read_answer(&request, error);
	request_end(&request);
	return answer;
}

char *daemon_guest_path(const char *name, const char *tail)
{
	g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);

	return g_strconcat("/v1/guests/", escaped, tail, NULL);
}

struct lines {
	GByteArray *rest; /* a line whose end has not come */
	bool (*line)(const char *text, void *data);
	void *data;
};

/* Hands on each line that is whole; false when no more are wanted. */
static bool lines_pass(struct lines *lines)
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

/* Until it ends, in one of the ways of daemon_stream_until(). */
static bool read_lines(struct request *request, struct lines *lines, GError **error)
{
	for (;;) {
		g_autoptr(GBytes) bytes = request_read(request, error);
		gsize length;
		const void *data;

		if (!bytes)
			return false;
		data = g_bytes_get_data(bytes, &length);
		if (!length || lines->rest->len + length > ANSWER_MAX) {
			g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST, "aerostatd at %s %s",
				    request->daemon->path,
				    length ? "sends a line that does not end" : "ended its answer");
			return false;
		}
		g_byte_array_append(lines->rest, data, (guint)length);
		if (!lines_pass(lines))
			return true;
	}
}

static GSource *attach_signal(struct request *request, int signal_number)
{
	GSource *source = g_unix_signal_source_new(signal_number);

	g_source_set_callback(source, on_signal, request, NULL);
	g_source_attach(source, request->daemon->context);
	return source;
}

static void detach(GSource *source)
{
	g_source_destroy(source);
	g_source_unref(source);
}

static bool stream(struct request *request, struct lines *lines, int64_t end_us, GError **error)
{
	start_timer(request, MIN(end_us, hv_deadline_ms(CONNECT_MS)));
	if (!request_send(request, error))
		return request->ended == ENDED_BY_PERSON;
	if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(request->message))) {
		json_decref(read_answer(request, error));
		return false;
	}
	start_timer(request, end_us);
	/* Once it streams, to be ended is no failure. */
	return read_lines(request, lines, error) || request->ended != ENDED_NOT;
}

bool daemon_stream_until(struct daemon *daemon, const char *method, const char *path,
			 int64_t end_us, bool (*line)(const char *text, void *data), void *data,
			 GError **error)
{
	g_autoptr(GByteArray) rest = g_byte_array_new();
	struct lines lines = { .rest = rest, .line = line, .data = data };
	g_autoptr(GError) reason = NULL;
	GSource *interrupted, *terminated;
	struct request request;
	bool ok;

	if (!request_start(&request, daemon, method, path, NULL, error))
		return false;
	interrupted = attach_signal(&request, SIGINT);
	terminated = attach_signal(&request, SIGTERM);
	ok = stream(&request, &lines, end_us, &reason);
	detach(interrupted);
	detach(terminated);
	request_end(&request);
	if (!ok)
		g_propagate_error(error, g_steal_pointer(&reason));
	return ok;
}

bool daemon_stream(struct daemon *daemon, const char *method, const char *path,
		   bool (*line)(const char *text, void *data), void *data, GError **error)
{
	return daemon_stream_until(daemon, method, path, G_MAXINT64, line, data, error);
}
