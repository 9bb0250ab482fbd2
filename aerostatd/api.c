/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be asked: one table of routes, and their handlers.
 *
 * Theory of operation
 * -------------------
 * A path that no row fits is 404, a method that no row of a fitting path has is 405 with what
 * there is in Allow, a right that is missing is 403; then the row's handler answers, at once
 * and in the thread of the loop.  docs/openapi.json says the same, and a test compares the two.
 *
 * Input is taken whole or refused whole: a key, a word of the query or a type that is not
 * expected is an error that names it.
 */
#include "aerostatd/api_private.h"

#include <inttypes.h>
#include <string.h>

#include "aerostatd/log.h"

#define TTL_S 300
#define TTL_MAX_S 86400
#define NOTE_MAX 200

struct route {
	const char *method;
	const char *path; /* "{…}" is any one segment, the handler's argument */
	enum api_right right;
	void (*handle)(struct api_request *request);
};

static void answer_text(SoupServerMessage *msg, const char *type, char *text)
{
	soup_server_message_set_status(msg, SOUP_STATUS_OK, NULL);
	soup_server_message_set_response(msg, type, SOUP_MEMORY_TAKE, text, strlen(text));
}

/* Drops the reference. */
static void answer_json(SoupServerMessage *msg, unsigned int status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));

	json_decref(value);
	soup_server_message_set_status(msg, status, NULL);
	soup_server_message_set_response(msg, "application/json", SOUP_MEMORY_COPY, text,
					 strlen(text));
	free(text);
}

void api_fail(SoupServerMessage *msg, unsigned int status, const char *code, const char *format,
	      ...)
{
	g_autofree char *text = NULL, *valid = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	valid = g_utf8_make_valid(text, -1);
	answer_json(msg, status,
		    json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", valid));
}

void api_fail_with(SoupServerMessage *msg, const GError *error)
{
	static const struct {
		unsigned int status;
		const char *code;
	} answers[] = {
		[MANAGER_ERROR_NOT_FOUND] = { SOUP_STATUS_NOT_FOUND, "not-found" },
		[MANAGER_ERROR_AMBIGUOUS] = { SOUP_STATUS_CONFLICT, "ambiguous" },
		[MANAGER_ERROR_INVALID] = { SOUP_STATUS_BAD_REQUEST, "invalid" },
		[MANAGER_ERROR_REFUSED] = { SOUP_STATUS_CONFLICT, "refused" },
	};
	/* Any other is of the daemon's own surroundings, such as a wrong configuration. */
	int row = MANAGER_ERROR_REFUSED;

	if (error->domain == MANAGER_ERROR && error->code >= 0 &&
	    error->code < (int)G_N_ELEMENTS(answers))
		row = error->code;
	api_fail(msg, answers[row].status, answers[row].code, "%s", error->message);
}

bool api_parse_number(const char *word, uint64_t *number)
{
	return g_ascii_string_to_unsigned(word, 10, 0, UINT64_MAX, number, NULL);
}

static void fail_invalid(struct api_request *request, const char *text)
{
	api_fail(request->msg, SOUP_STATUS_BAD_REQUEST, "invalid", "%s", text);
}

/* One key of a body. */
struct body_key {
	const char *name;
	json_type type; /* JSON_INTEGER or JSON_STRING */
	bool required;
};

static const struct body_key *find_key(const struct body_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

/* What is wrong with @body, to be freed; NULL: nothing. */
static char *check_body(json_t *body, const struct body_key *keys)
{
	const char *name;
	json_t *value;

	json_object_foreach (body, name, value) {
		const struct body_key *key = find_key(keys, name);

		if (!key)
			return g_strdup_printf("'%s' is not a key of this request", name);
		if (json_typeof(value) != key->type)
			return g_strdup_printf("'%s' must be %s", name,
					       key->type == JSON_STRING ? "a string"
									: "an integer");
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
 * The request's body, an object of @keys (their end is one without a name), to be dropped;
 * NULL after the request was answered.  No body at all is an empty object.
 */
static json_t *read_body(struct api_request *request, const struct body_key *keys)
{
	g_autoptr(GBytes) bytes =
		soup_message_body_flatten(soup_server_message_get_request_body(request->msg));
	size_t size;
	const char *text = g_bytes_get_data(bytes, &size);
	json_error_t error = { .text = "a JSON object is expected" };
	json_t *body =
		size ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &error) : json_object();
	g_autofree char *wrong = NULL;

	if (!json_is_object(body))
		wrong = g_strdup_printf("the body is not a JSON object: %s", error.text);
	else
		wrong = check_body(body, keys);
	if (!wrong)
		return body;
	fail_invalid(request, wrong);
	json_decref(body);
	return NULL;
}

static void get_status(struct api_request *request)
{
	answer_json(request->msg, SOUP_STATUS_OK,
		    report_status(manager_status(request->api->manager)));
}

static void get_guest(struct api_request *request)
{
	g_autoptr(GError) error = NULL;
	const struct managed *guest =
		manager_find(request->api->manager, request->argument, &error);

	if (guest)
		answer_json(request->msg, SOUP_STATUS_OK, report_guest(guest, true));
	else
		api_fail_with(request->msg, error);
}

/* What a body says; false after the request was answered. */
static bool read_mode(struct api_request *request, enum policy_mode *mode, uint64_t *bytes)
{
	static const struct body_key keys[] = { { "mode", JSON_STRING, true },
						{ "bytes", JSON_INTEGER, false },
						{ NULL } };
	json_t *body = read_body(request, keys), *size;
	int found;

	if (!body)
		return false;
	found = config_mode_find(json_string_value(json_object_get(body, "mode")));
	size = json_object_get(body, "bytes");
	*bytes = size ? (uint64_t)json_integer_value(size) : HV_UNSET;
	json_decref(body);
	if (found < 0) {
		fail_invalid(request, "'mode' must be auto, observe, held or off");
		return false;
	}
	if (size && found != POLICY_HELD) {
		fail_invalid(request, "'bytes' goes with mode held only");
		return false;
	}
	*mode = (enum policy_mode)found;
	return true;
}

/* An answer that names the guests that were changed. */
static void answer_changed(struct api_request *request, json_t *names)
{
	answer_json(request->msg, SOUP_STATUS_OK, json_pack("{s:o}", "guests", names));
}

static json_t *guest_name(const struct managed *guest)
{
	g_autofree char *name = g_utf8_make_valid(guest->name ? guest->name : guest->address, -1);

	return json_string(name);
}

static void put_guest_mode(struct api_request *request)
{
	struct manager *manager = request->api->manager;
	g_autoptr(GError) error = NULL;
	const struct managed *guest = manager_find(manager, request->argument, &error);
	enum policy_mode mode;
	uint64_t bytes;

	if (!guest) {
		api_fail_with(request->msg, error);
		return;
	}
	if (!read_mode(request, &mode, &bytes))
		return;
	if (manager_set_mode(manager, request->argument, mode, bytes, &error))
		answer_changed(request, json_pack("[o]", guest_name(guest)));
	else
		api_fail_with(request->msg, error);
}

static void put_mode(struct api_request *request)
{
	struct manager *manager = request->api->manager;
	const GPtrArray *guests = manager_status(manager)->guests;
	g_autoptr(GError) error = NULL;
	enum policy_mode mode;
	uint64_t bytes;
	json_t *names;

	if (!read_mode(request, &mode, &bytes))
		return;
	if (!manager_set_mode(manager, NULL, mode, bytes, &error)) {
		api_fail_with(request->msg, error);
		return;
	}
	names = json_array();
	/* One that has not answered yet was passed over. */
	for (guint i = 0; i < guests->len; i++)
		if (((const struct managed *)guests->pdata[i])->met)
			json_array_append_new(names, guest_name(guests->pdata[i]));
	answer_changed(request, names);
}

/* Notes are shown to people, on terminals too. */
static bool is_note(const char *note)
{
	if (strlen(note) > NOTE_MAX)
		return false;
	for (; *note; note = g_utf8_next_char(note))
		if (g_unichar_iscntrl(g_utf8_get_char(note)))
			return false;
	return true;
}

static void reserve(struct api_request *request, json_t *body)
{
	json_t *ttl = json_object_get(body, "ttl_s"), *words = json_object_get(body, "note");
	const char *note = words ? json_string_value(words) : "";
	json_int_t ttl_s = ttl ? json_integer_value(ttl) : TTL_S;
	g_autoptr(GError) error = NULL;
	const struct reservation *made;

	if (ttl_s > TTL_MAX_S) {
		fail_invalid(request, "'ttl_s' must be at most 86400 seconds, a day");
		return;
	}
	if (!is_note(note)) {
		fail_invalid(request,
			     "'note' must be at most 200 bytes, with no control characters");
		return;
	}
	made = manager_reserve(request->api->manager,
			       (uint64_t)json_integer_value(json_object_get(body, "bytes")),
			       (unsigned int)ttl_s, note, &error);
	if (made)
		answer_json(request->msg, SOUP_STATUS_CREATED, report_reservation(made));
	else
		api_fail_with(request->msg, error);
}

static void post_reservation(struct api_request *request)
{
	static const struct body_key keys[] = { { "bytes", JSON_INTEGER, true },
						{ "ttl_s", JSON_INTEGER, false },
						{ "note", JSON_STRING, false },
						{ NULL } };
	json_t *body = read_body(request, keys);

	if (!body)
		return;
	reserve(request, body);
	json_decref(body);
}

static const struct reservation *find_reservation(struct api_request *request)
{
	const GPtrArray *reservations = manager_status(request->api->manager)->reservations;
	uint64_t id;

	if (api_parse_number(request->argument, &id))
		for (guint i = 0; i < reservations->len; i++) {
			const struct reservation *reservation = reservations->pdata[i];

			if (reservation->id == id)
				return reservation;
		}
	api_fail(request->msg, SOUP_STATUS_NOT_FOUND, "not-found",
		 "there is no reservation '%s', or no more", request->argument);
	return NULL;
}

static void get_reservation(struct api_request *request)
{
	const struct reservation *reservation = find_reservation(request);

	if (reservation)
		answer_json(request->msg, SOUP_STATUS_OK, report_reservation(reservation));
}

static void delete_reservation(struct api_request *request)
{
	const struct reservation *reservation = find_reservation(request);
	g_autoptr(GError) error = NULL;

	if (!reservation)
		return;
	if (manager_unreserve(request->api->manager, reservation->id, &error))
		soup_server_message_set_status(request->msg, SOUP_STATUS_NO_CONTENT, NULL);
	else
		api_fail_with(request->msg, error);
}

static void post_reload(struct api_request *request)
{
	static const struct body_key keys[] = { { NULL } };
	json_t *body = read_body(request, keys);
	g_autoptr(GError) error = NULL;

	if (!body)
		return;
	json_decref(body);
	if (!manager_reload(request->api->manager, &error)) {
		api_fail_with(request->msg, error);
		return;
	}
	api_reload(request->api);
	answer_json(request->msg, SOUP_STATUS_OK,
		    json_pack("{s:s?}", "reloaded",
			      manager_status(request->api->manager)->config->path));
}

static void post_recording(struct api_request *request)
{
	static const struct body_key keys[] = { { NULL } };
	json_t *body = read_body(request, keys);

	if (!body)
		return;
	json_decref(body);
	api_stream_recording(request);
}

static void get_metrics(struct api_request *request)
{
	answer_text(request->msg, "text/plain; version=0.0.4; charset=utf-8",
		    metrics_text(manager_status(request->api->manager)));
}

static const struct route route_table[] = {
	{ "GET", "/v1/status", API_READ, get_status },
	{ "GET", "/v1/guests/{name}", API_READ, get_guest },
	{ "PUT", "/v1/guests/{name}/mode", API_CHANGE, put_guest_mode },
	{ "PUT", "/v1/mode", API_CHANGE, put_mode },
	{ "POST", "/v1/reservations", API_CHANGE, post_reservation },
	{ "GET", "/v1/reservations/{id}", API_READ, get_reservation },
	{ "DELETE", "/v1/reservations/{id}", API_CHANGE, delete_reservation },
	{ "POST", "/v1/reload", API_CHANGE, post_reload },
	{ "GET", "/v1/events", API_READ, api_stream_events },
	{ "POST", "/v1/recording", API_CHANGE, post_recording },
	{ "GET", "/metrics", API_READ, get_metrics },
};

/* Whether @path, still encoded, is one of @pattern; @argument is then its {…}, encoded, or NULL. */
static bool fits(const char *pattern, const char *path, char **argument)
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

/* The route of @request; NULL after it was answered. */
static const struct route *find_route(SoupServerMessage *msg, const char *path, char **argument)
{
	const char *method = soup_server_message_get_method(msg);
	g_autoptr(GString) allow = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(route_table); i++) {
		const struct route *route = &route_table[i];

		if (!fits(route->path, path, argument))
			continue;
		if (!strcmp(route->method, method))
			return route;
		g_string_append_printf(allow, "%s%s", allow->len ? ", " : "", route->method);
	}
	if (!allow->len) {
		api_fail(msg, SOUP_STATUS_NOT_FOUND, "no-such-path", "there is no '%.200s' here",
			 path);
		return NULL;
	}
	soup_message_headers_replace(soup_server_message_get_response_headers(msg), "Allow",
				     allow->str);
	api_fail(msg, SOUP_STATUS_METHOD_NOT_ALLOWED, "no-such-method",
		 "'%.200s' takes %s, not %.20s", path, allow->str, method);
	return NULL;
}

/* The route's argument decoded in place; false after the request was answered. */
static bool decode_argument(SoupServerMessage *msg, char **argument)
{
	char *decoded;

	if (!*argument)
		return true;
	decoded = g_uri_unescape_string(*argument, NULL);
	if (!decoded || !g_utf8_validate(decoded, -1, NULL)) {
		api_fail(msg, SOUP_STATUS_BAD_REQUEST, "invalid",
			 "'%s' is no name: it must be UTF-8, percent-encoded", *argument);
		g_free(decoded);
		return false;
	}
	g_free(*argument);
	*argument = decoded;
	return true;
}

/* Only events take a query, and only "after". */
static bool check_query(SoupServerMessage *msg, const struct route *route, GHashTable *query)
{
	GHashTableIter iter;
	void *name;

	if (!query)
		return true;
	g_hash_table_iter_init(&iter, query);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (route->handle != api_stream_events || strcmp(name, "after") != 0) {
			api_fail(msg, SOUP_STATUS_BAD_REQUEST, "invalid",
				 "'%s' is not a parameter of %s", (const char *)name, route->path);
			return false;
		}
	return true;
}

/* Every change is logged with who asked for it. */
static void log_change(const struct api_client *client, SoupServerMessage *msg, const char *request)
{
	manager_log(LOG_INFO, "user %u: %s: %u", client->uid, request,
		    soup_server_message_get_status(msg));
}

static void answer_route(struct api_request *request, const struct route *route, const char *path)
{
	g_autofree char *words = g_strdup_printf("%s %.200s", route->method, path);
	g_autofree char *asked = g_strescape(words, NULL);

	if (!api_may(request->api, request->client, route->right)) {
		api_log_refusal(request->api, request->client, asked);
		api_fail(request->msg, SOUP_STATUS_FORBIDDEN, "denied",
			 "you may not %s here: [api] %s of the configuration names who may",
			 route->right == API_READ ? "look" : "change anything",
			 route->right == API_READ ? "readers" : "writers");
		return;
	}
	if (!decode_argument(request->msg, &request->argument) ||
	    !check_query(request->msg, route, request->query))
		return;
	route->handle(request);
	if (route->right == API_CHANGE)
		log_change(request->client, request->msg, asked);
}

void api_answer(struct api *api, struct api_client *client, SoupServerMessage *msg,
		GHashTable *query)
{
	struct api_request request = { .api = api, .client = client, .msg = msg, .query = query };
	const char *path = g_uri_get_path(soup_server_message_get_uri(msg));
	const struct route *route = find_route(msg, path, &request.argument);

	if (route)
		answer_route(&request, route, path);
	g_free(request.argument);
}
