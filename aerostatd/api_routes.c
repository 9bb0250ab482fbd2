/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests: one table of routes, and a handler for each.
 *
 * Theory of operation
 * -------------------
 * A path that matches no row is answered with 404, a method that no row of a matching path has
 * with 405 and the header Allow, and a missing right with 403.  Otherwise the row's handler
 * answers, at once and in the thread of the loop.  docs/openapi.json describes the same routes;
 * a test compares the two.
 *
 * A request is either valid as a whole or refused: an unknown key or query parameter, or a value
 * of the wrong type, is an error that names it.
 */
#include "aerostatd/api_private.h"

#include <inttypes.h>
#include <string.h>

#include "aerostatd/log.h"
#include "aerostatd/metrics.h"
#include "aerostatd/report.h"

#define TTL_DEFAULT_S 300
#define TTL_MAX_S 86400
#define NOTE_MAX 200 /* bytes */

struct route {
	const char *method;
	const char *path; /* "{…}" is any one segment, the handler's argument */
	enum api_right right;
	void (*handle)(struct api_request *request);
	const char *parameter; /* the query parameter that it takes; NULL: none */
};

static void answer_invalid(struct api_request *request, const char *text)
{
	api_answer_error(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid", "%s", text);
}

/* One key of a body. */
struct body_key {
	const char *name;
	json_type type; /* JSON_INTEGER, JSON_STRING, or JSON_TRUE for either boolean */
	bool required;
};

static const struct body_key *find_body_key(const struct body_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

static const char *body_type_name(json_type type)
{
	return type == JSON_STRING ? "a string"
	       : type == JSON_TRUE ? "true or false"
				   : "an integer";
}

/* What is wrong with @body, to be freed; NULL when nothing is. */
static char *check_request_body(json_t *body, const struct body_key *keys)
{
	const char *name;
	json_t *value;

	json_object_foreach (body, name, value) {
		const struct body_key *key = find_body_key(keys, name);

		if (!key)
			return g_strdup_printf("'%s' is not a key of this request", name);
		if (key->type == JSON_TRUE ? !json_is_boolean(value)
					   : json_typeof(value) != key->type)
			return g_strdup_printf("'%s' must be %s", name, body_type_name(key->type));
		if (key->type == JSON_INTEGER && json_integer_value(value) <= 0)
			return g_strdup_printf("'%s' must be above 0, not %" JSON_INTEGER_FORMAT,
					       name, json_integer_value(value));
	}
	for (; keys->name; keys++)
		if (keys->required && !json_object_get(body, keys->name))
			return g_strdup_printf("'%s' is missing", keys->name);
	return NULL;
}

/*
 * The request's body as a JSON object; the caller drops the reference.  An empty body is an empty
 * object.  @keys lists the keys that it may have, up to a row without a name.  NULL when the body
 * is wrong; the request was answered then.
 */
static json_t *read_request_body(struct api_request *request, const struct body_key *keys)
{
	g_autoptr(GBytes) bytes =
		soup_message_body_flatten(soup_server_message_get_request_body(request->msg));
	size_t size;
	const char *text = g_bytes_get_data(bytes, &size);
	json_error_t error;
	json_t *body =
		size ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &error) : json_object();
	g_autofree char *wrong = NULL;

	if (!body)
		wrong = g_strdup_printf("the body is not a JSON object: %s", error.text);
	else if (!json_is_object(body))
		wrong = g_strdup("the body is not a JSON object");
	else
		wrong = check_request_body(body, keys);
	if (!wrong)
		return body;
	answer_invalid(request, wrong);
	json_decref(body);
	return NULL;
}

static void api_get_status(struct api_request *request)
{
	api_answer_json(request->msg, SOUP_STATUS_OK,
			report_status(manager_get_status(request->manager)));
}

static void api_get_guest(struct api_request *request)
{
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(request->manager, request->argument, &error);

	if (guest)
		api_answer_json(request->msg, SOUP_STATUS_OK, report_guest(guest, true));
	else
		api_answer_gerror(request->msg, error);
}

/* Reads a body with a mode.  False when it is wrong; the request was answered then. */
static bool read_mode_body(struct api_request *request, enum policy_mode *mode, uint64_t *bytes,
			   bool *force)
{
	static const struct body_key keys[] = { { "mode", JSON_STRING, true },
						{ "bytes", JSON_INTEGER, false },
						{ "force", JSON_TRUE, false },
						{ NULL } };
	json_t *body = read_request_body(request, keys), *size;
	int found;

	if (!body)
		return false;
	found = config_mode_find(json_string_value(json_object_get(body, "mode")));
	size = json_object_get(body, "bytes");
	*bytes = size ? (uint64_t)json_integer_value(size) : HV_UNSET;
	*force = json_is_true(json_object_get(body, "force"));
	json_decref(body);
	if (found < 0) {
		answer_invalid(request, "'mode' must be auto, observe, held or off");
		return false;
	}
	if (size && found != POLICY_HELD) {
		answer_invalid(request, "'bytes' is allowed with mode held only");
		return false;
	}
	*mode = (enum policy_mode)found;
	return true;
}

/* Answers with the names of the guests that were changed.  Drops the reference. */
static void answer_changed_guests(struct api_request *request, json_t *names)
{
	api_answer_json(request->msg, SOUP_STATUS_OK, json_pack("{s:o}", "guests", names));
}

static void api_put_guest_mode(struct api_request *request)
{
	struct manager *manager = request->manager;
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(manager, request->argument, &error);
	enum policy_mode mode;
	uint64_t bytes;
	bool force;

	if (!guest) {
		api_answer_gerror(request->msg, error);
		return;
	}
	if (!read_mode_body(request, &mode, &bytes, &force))
		return;
	if (manager_set_mode(manager, request->argument, mode, bytes, force, &error))
		answer_changed_guests(request, json_pack("[o]", report_guest_name(guest)));
	else
		api_answer_gerror(request->msg, error);
}

static void api_put_mode(struct api_request *request)
{
	struct manager *manager = request->manager;
	const GPtrArray *guests = manager_get_status(manager)->guests;
	g_autoptr(GError) error = NULL;
	enum policy_mode mode;
	uint64_t bytes;
	bool force;
	json_t *names;

	if (!read_mode_body(request, &mode, &bytes, &force))
		return;
	if (!manager_set_mode(manager, NULL, mode, bytes, force, &error)) {
		api_answer_gerror(request->msg, error);
		return;
	}
	names = json_array();
	/* manager_set_mode() skips guests that have not answered yet. */
	for (guint i = 0; i < guests->len; i++)
		if (((const struct managed *)guests->pdata[i])->answered)
			json_array_append_new(names, report_guest_name(guests->pdata[i]));
	answer_changed_guests(request, names);
}

static void api_get_guest_size(struct api_request *request)
{
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(request->manager, request->argument, &error);

	if (guest)
		api_answer_json(request->msg, SOUP_STATUS_OK,
				report_resize(guest, manager_get_resize(request->manager, guest)));
	else
		api_answer_gerror(request->msg, error);
}

static void api_put_guest_size(struct api_request *request)
{
	static const struct body_key keys[] = { { "bytes", JSON_INTEGER, true },
						{ "force", JSON_TRUE, false },
						{ NULL } };
	struct manager *manager = request->manager;
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(manager, request->argument, &error);
	json_t *body;

	if (!guest) {
		api_answer_gerror(request->msg, error);
		return;
	}
	body = read_request_body(request, keys);
	if (!body)
		return;
	if (manager_set_size(manager, request->argument,
			     (uint64_t)json_integer_value(json_object_get(body, "bytes")),
			     json_is_true(json_object_get(body, "force")), &error))
		api_answer_json(request->msg, SOUP_STATUS_ACCEPTED,
				report_resize(guest, manager_get_resize(manager, guest)));
	else
		api_answer_gerror(request->msg, error);
	json_decref(body);
}

static void api_put_guest_own_size(struct api_request *request)
{
	static const struct body_key keys[] = { { "bytes", JSON_INTEGER, true }, { NULL } };
	struct manager *manager = request->manager;
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(manager, request->argument, &error);
	json_t *body = guest ? read_request_body(request, keys) : NULL;
	uint64_t bytes;

	if (!guest)
		api_answer_gerror(request->msg, error);
	if (!body)
		return;
	bytes = (uint64_t)json_integer_value(json_object_get(body, "bytes"));
	json_decref(body);
	if (manager_set_own_size(manager, request->argument, bytes, &error))
		answer_changed_guests(request, json_pack("[o]", report_guest_name(guest)));
	else
		api_answer_gerror(request->msg, error);
}

/* Notes are printed on terminals, so they must not contain control characters. */
static bool is_valid_note(const char *note)
{
	if (strlen(note) > NOTE_MAX)
		return false;
	for (; *note; note = g_utf8_next_char(note))
		if (g_unichar_iscntrl(g_utf8_get_char(note)))
			return false;
	return true;
}

static void answer_new_reservation(struct api_request *request, json_t *body)
{
	json_t *ttl = json_object_get(body, "ttl_s"), *text = json_object_get(body, "note");
	const char *note = text ? json_string_value(text) : "";
	json_int_t ttl_s = ttl ? json_integer_value(ttl) : TTL_DEFAULT_S;
	g_autoptr(GError) error = NULL;
	const struct reservation *made;

	if (ttl_s > TTL_MAX_S) {
		answer_invalid(request, "'ttl_s' must be at most 86400 (one day)");
		return;
	}
	if (!is_valid_note(note)) {
		answer_invalid(request,
			       "'note' must be at most 200 bytes, without control characters");
		return;
	}
	made = manager_reserve(request->manager,
			       (uint64_t)json_integer_value(json_object_get(body, "bytes")),
			       (unsigned int)ttl_s, note, &error);
	if (made)
		api_answer_json(request->msg, SOUP_STATUS_CREATED, report_reservation(made));
	else
		api_answer_gerror(request->msg, error);
}

static void api_post_reservation(struct api_request *request)
{
	static const struct body_key keys[] = { { "bytes", JSON_INTEGER, true },
						{ "ttl_s", JSON_INTEGER, false },
						{ "note", JSON_STRING, false },
						{ NULL } };
	json_t *body = read_request_body(request, keys);

	if (!body)
		return;
	answer_new_reservation(request, body);
	json_decref(body);
}

/* The reservation that the path names.  NULL when there is none; the request was answered then. */
static const struct reservation *find_requested_reservation(struct api_request *request)
{
	const GPtrArray *reservations = manager_get_status(request->manager)->reservations;
	uint64_t id;

	if (api_parse_number(request->argument, &id))
		for (guint i = 0; i < reservations->len; i++) {
			const struct reservation *reservation = reservations->pdata[i];

			if (reservation->id == id)
				return reservation;
		}
	api_answer_error(request->msg, SOUP_STATUS_NOT_FOUND, "not-found",
			 "there is no reservation '%s'; it may have ended", request->argument);
	return NULL;
}

static void api_get_reservation(struct api_request *request)
{
	const struct reservation *reservation = find_requested_reservation(request);

	if (reservation)
		api_answer_json(request->msg, SOUP_STATUS_OK, report_reservation(reservation));
}

static void api_delete_reservation(struct api_request *request)
{
	const struct reservation *reservation = find_requested_reservation(request);
	g_autoptr(GError) error = NULL;

	if (!reservation)
		return;
	if (manager_unreserve(request->manager, reservation->id, &error))
		soup_server_message_set_status(request->msg, SOUP_STATUS_NO_CONTENT, NULL);
	else
		api_answer_gerror(request->msg, error);
}

static void api_post_reload(struct api_request *request)
{
	static const struct body_key keys[] = { { NULL } };
	json_t *body = read_request_body(request, keys);
	g_autoptr(GError) error = NULL;

	if (!body)
		return;
	json_decref(body);
	if (!manager_reload(request->manager, &error)) {
		api_answer_gerror(request->msg, error);
		return;
	}
	api_answer_json(request->msg, SOUP_STATUS_OK,
			json_pack("{s:s?}", "reloaded",
				  manager_get_status(request->manager)->config->path));
}

static void api_post_recording(struct api_request *request)
{
	static const struct body_key keys[] = { { NULL } };
	json_t *body = read_request_body(request, keys);

	if (!body)
		return;
	json_decref(body);
	api_stream_recording(request);
}

static void api_get_metrics(struct api_request *request)
{
	api_answer_text(request->msg, "text/plain; version=0.0.4; charset=utf-8",
			metrics_text(manager_get_status(request->manager)));
}

/* Rows of one path stand together. */
static const struct route route_table[] = {
	{ "GET", "/v1/status", API_READ, api_get_status },
	{ "GET", "/v1/guests/{name}", API_READ, api_get_guest },
	{ "PUT", "/v1/guests/{name}/mode", API_CHANGE, api_put_guest_mode },
	{ "GET", "/v1/guests/{name}/size", API_READ, api_get_guest_size },
	{ "PUT", "/v1/guests/{name}/size", API_CHANGE, api_put_guest_size },
	{ "PUT", "/v1/guests/{name}/own-size", API_CHANGE, api_put_guest_own_size },
	{ "PUT", "/v1/mode", API_CHANGE, api_put_mode },
	{ "POST", "/v1/reservations", API_CHANGE, api_post_reservation },
	{ "GET", "/v1/reservations/{id}", API_READ, api_get_reservation },
	{ "DELETE", "/v1/reservations/{id}", API_CHANGE, api_delete_reservation },
	{ "POST", "/v1/reload", API_CHANGE, api_post_reload },
	{ "GET", "/v1/events", API_READ, api_stream_events, "after" },
	{ "POST", "/v1/recording", API_CHANGE, api_post_recording },
	{ "GET", "/metrics", API_READ, api_get_metrics },
};

/*
 * Whether @path, still percent-encoded, matches @pattern.  @argument is set to the segment in the
 * place of {…}, still encoded, to be freed; NULL when the pattern has none.
 */
static bool match_route_path(const char *pattern, const char *path, char **argument)
{
	g_auto(GStrv) wanted = g_strsplit(pattern, "/", -1), given = g_strsplit(path, "/", -1);

	g_clear_pointer(argument, g_free);
	if (g_strv_length(wanted) != g_strv_length(given))
		return false;
	for (size_t i = 0; wanted[i]; i++) {
		if (*wanted[i] == '{' && *given[i])
			*argument = g_strdup(given[i]);
		else if (strcmp(wanted[i], given[i]) != 0)
			return false;
	}
	return true;
}

/* The route of a request.  NULL when there is none; the request was answered then. */
static const struct route *find_route(SoupServerMessage *msg, const char *path, char **argument)
{
	const char *method = soup_server_message_get_method(msg);
	g_autoptr(GString) allow = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(route_table); i++) {
		const struct route *route = &route_table[i];

		if (!match_route_path(route->path, path, argument))
			continue;
		if (!strcmp(route->method, method))
			return route;
		g_string_append_printf(allow, "%s%s", allow->len ? ", " : "", route->method);
	}
	if (!allow->len) {
		api_answer_error(msg, SOUP_STATUS_NOT_FOUND, "no-such-path",
				 "the API has no path '%.200s'", path);
		return NULL;
	}
	soup_message_headers_replace(soup_server_message_get_response_headers(msg), "Allow",
				     allow->str);
	api_answer_error(msg, SOUP_STATUS_METHOD_NOT_ALLOWED, "no-such-method",
			 "'%.200s' does not allow %.20s, only %s", path, method, allow->str);
	return NULL;
}

/* Decodes the request's argument in place.  False when it is wrong; it was answered then. */
static bool decode_path_argument(struct api_request *request)
{
	char *decoded;

	if (!request->argument)
		return true;
	decoded = g_uri_unescape_string(request->argument, NULL);
	if (!decoded || !g_utf8_validate(decoded, -1, NULL)) {
		api_answer_error(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid",
				 "'%s' is not a name in percent-encoded UTF-8", request->argument);
		g_free(decoded);
		return false;
	}
	g_free(request->argument);
	request->argument = decoded;
	return true;
}

/* False when there is a parameter that @route does not take; the request was answered then. */
static bool check_route_query(struct api_request *request, const struct route *route)
{
	GHashTableIter iter;
	void *name;

	if (!request->query)
		return true;
	g_hash_table_iter_init(&iter, request->query);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (g_strcmp0(route->parameter, name) != 0) {
			api_answer_error(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid",
					 "'%s' is not a parameter of %s", (const char *)name,
					 route->path);
			return false;
		}
	return true;
}

void api_route_request(struct api_request *request)
{
	const char *path = g_uri_get_path(soup_server_message_get_uri(request->msg));
	const struct route *route = find_route(request->msg, path, &request->argument);
	const struct api_peer *peer = &request->client->peer;
	g_autofree char *line = NULL, *shown = NULL;

	if (!route)
		goto out;
	line = g_strdup_printf("%s %.200s", route->method, path);
	shown = g_strescape(line, NULL);
	if (!api_rights_allow(request->rights, peer, route->right)) {
		bool read = route->right == API_READ;

		api_rights_log_refusal(request->rights, peer, shown);
		api_answer_error(request->msg, SOUP_STATUS_FORBIDDEN, "denied",
				 "you are not allowed to %s aerostatd; [api] %s in its "
				 "configuration lists who is",
				 read ? "read from" : "change anything in",
				 read ? "readers" : "writers");
		goto out;
	}
	if (!decode_path_argument(request) || !check_route_query(request, route))
		goto out;
	route->handle(request);
	if (route->right == API_CHANGE)
		manager_log(LOG_INFO, "user %u: %s: status %u", peer->uid, shown,
			    soup_server_message_get_status(request->msg));
out:
	g_clear_pointer(&request->argument, g_free);
}
