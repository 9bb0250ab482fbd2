/* SPDX-License-Identifier: BSD-3-Clause */
#include "api_client/client.h"

#include <unistd.h>

#include "api_client/http.h"

#define SOCKET_NAME "aerostat/aerostatd.sock"

struct daemon_client {
	char *socket_path;
	struct http_peer *peer;
};

char *daemon_socket_path(void)
{
	const char *chosen = g_getenv("AEROSTAT_SOCKET");
	g_autofree char *user = g_build_filename(g_get_user_runtime_dir(), SOCKET_NAME, NULL);

	if (chosen && *chosen)
		return g_strdup(chosen);
	/* A user without a daemon may be in the group of the host's. */
	if (geteuid() == 0 || (access(user, F_OK) && !access("/run/" SOCKET_NAME, F_OK)))
		return g_strdup("/run/" SOCKET_NAME);
	return g_steal_pointer(&user);
}

struct daemon_client *daemon_client_new(const char *socket_path, unsigned int timeout_ms)
{
	struct daemon_client *client = g_new0(struct daemon_client, 1);

	client->socket_path = socket_path ? g_strdup(socket_path) : daemon_socket_path();
	client->peer = http_peer_new(client->socket_path, timeout_ms);
	return client;
}

void daemon_client_free(struct daemon_client *client)
{
	if (!client)
		return;
	http_peer_free(client->peer);
	g_free(client->socket_path);
	g_free(client);
}

static char *guest_request_path(const char *name, const char *tail)
{
	g_autofree char *encoded = g_uri_escape_string(name, NULL, FALSE);

	/* The path would lose "." and "..", encoded or not; \x2e is read as a dot (guest_word.h).
	 */
	if (g_str_equal(name, ".") || g_str_equal(name, ".."))
		return g_strconcat("/v1/guests/", name + 1, "%5Cx2e", tail, NULL);
	return g_strconcat("/v1/guests/", encoded, tail, NULL);
}

static char *reservation_request_path(uint64_t id)
{
	return g_strdup_printf("/v1/reservations/%" G_GUINT64_FORMAT, id);
}

struct daemon_status *daemon_get_status(struct daemon_client *client, GError **error)
{
	json_t *answer = http_call(client->peer, "GET", "/v1/status", NULL, error);

	return answer ? daemon_parse_status(answer) : NULL;
}

struct daemon_guest *daemon_get_guest(struct daemon_client *client, const char *name,
				      GError **error)
{
	g_autofree char *path = guest_request_path(name, "");
	json_t *answer = http_call(client->peer, "GET", path, NULL, error);

	return answer ? daemon_parse_guest(answer) : NULL;
}

/* A PUT that is answered with the names of guests.  Drops the reference to @body. */
static char **put_for_names(struct daemon_client *client, const char *path, json_t *body,
			    GError **error)
{
	json_t *answer = http_call(client->peer, "PUT", path, body, error);
	char **names;

	if (!answer)
		return NULL;
	names = daemon_parse_names(answer, "guests");
	json_decref(answer);
	return names;
}

char **daemon_set_mode(struct daemon_client *client, const char *name, enum daemon_mode mode,
		       uint64_t bytes, bool force, GError **error)
{
	g_autofree char *path = name ? guest_request_path(name, "/mode") : g_strdup("/v1/mode");
	json_t *body = json_pack("{s:s}", "mode", daemon_mode_name(mode));

	if (bytes != HV_UNSET)
		json_object_set_new(body, "bytes", json_integer((json_int_t)bytes));
	if (force)
		json_object_set_new(body, "force", json_true());
	return put_for_names(client, path, body, error);
}

char **daemon_set_own_size(struct daemon_client *client, const char *name, uint64_t bytes,
			   GError **error)
{
	g_autofree char *path = guest_request_path(name, "/own-size");

	return put_for_names(client, path, json_pack("{s:I}", "bytes", (json_int_t)bytes), error);
}

struct daemon_resize *daemon_set_size(struct daemon_client *client, const char *name,
				      uint64_t bytes, bool force, GError **error)
{
	g_autofree char *path = guest_request_path(name, "/size");
	json_t *body = json_pack("{s:I, s:b}", "bytes", (json_int_t)bytes, "force", force);
	json_t *answer = http_call(client->peer, "PUT", path, body, error);

	return answer ? daemon_parse_resize(answer) : NULL;
}

struct daemon_resize *daemon_get_size(struct daemon_client *client, const char *name,
				      GError **error)
{
	g_autofree char *path = guest_request_path(name, "/size");
	json_t *answer = http_call(client->peer, "GET", path, NULL, error);

	return answer ? daemon_parse_resize(answer) : NULL;
}

struct daemon_reservation *daemon_reserve(struct daemon_client *client, uint64_t bytes, int ttl_s,
					  const char *note, GError **error)
{
	json_t *body = json_pack("{s:I, s:i}", "bytes", (json_int_t)bytes, "ttl_s", ttl_s);
	json_t *answer;

	if (note)
		json_object_set_new(body, "note", json_string(note));
	answer = http_call(client->peer, "POST", "/v1/reservations", body, error);
	return answer ? daemon_parse_reservation(answer) : NULL;
}

struct daemon_reservation *daemon_get_reservation(struct daemon_client *client, uint64_t id,
						  GError **error)
{
	g_autofree char *path = reservation_request_path(id);
	json_t *answer = http_call(client->peer, "GET", path, NULL, error);

	return answer ? daemon_parse_reservation(answer) : NULL;
}

bool daemon_end_reservation(struct daemon_client *client, uint64_t id, GError **error)
{
	g_autofree char *path = reservation_request_path(id);
	json_t *answer = http_call(client->peer, "DELETE", path, NULL, error);
	bool ended = answer != NULL;

	json_decref(answer);
	return ended;
}

char *daemon_reload(struct daemon_client *client, GError **error)
{
	json_t *answer = http_call(client->peer, "POST", "/v1/reload", NULL, error);
	char *file;

	if (!answer)
		return NULL;
	file = daemon_parse_text(answer, "reloaded");
	json_decref(answer);
	return file;
}

/* A recording under way. */
struct recorder {
	bool (*write)(const char *text, enum daemon_line line, void *data);
	void *data;
	bool started; /* its first line has come */
	bool foreign; /* a line was not one of a recording */
};

static bool record_line(const char *text, void *data)
{
	struct recorder *recorder = data;
	enum daemon_line line = daemon_parse_line(text);

	if (line == DAEMON_LINE_UNKNOWN || (line == DAEMON_LINE_START) == recorder->started) {
		recorder->foreign = true;
		return false;
	}
	recorder->started = true;
	return recorder->write(text, line, recorder->data);
}

bool daemon_record(struct daemon_client *client, int64_t end_us,
		   bool (*write)(const char *text, enum daemon_line line, void *data), void *data,
		   GError **error)
{
	struct recorder recorder = { .write = write, .data = data };

	if (!http_stream(client->peer, "POST", "/v1/recording", end_us, record_line, &recorder,
			 error))
		return false;
	if (!recorder.foreign)
		return true;
	g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_LOST,
		    "aerostatd on %s sent a line that is not part of a recording",
		    client->socket_path);
	return false;
}
