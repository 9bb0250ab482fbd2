/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/api_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tests/ending_listener.h"

#define ASK_STATUS "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n"

static json_int_t integer(struct answer *answer, const char *key)
{
	return json_integer_value(json_object_get(answer->json, key));
}

static void the_status_is_the_managers(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	rig->manager.status.rounds = 42;
	manager_add(&rig->manager, "alpha", "qmp:/a");
	answer = ask(rig, "GET", "/v1/status", NULL);
	assert_int_equal(answer.status, 200);
	assert_int_equal(integer(&answer, "rounds"), 42);
	assert_int_equal(json_array_size(json_object_get(answer.json, "guests")), 1);
	assert_non_null(strstr(answer.text, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(answer.text, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(answer.text, "Connection: close\r\n"));
	answer_clear(&answer);
}

static void a_guest_is_found_by_a_name_of_any_letters(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "näme with/slash", "qmp:/a");
	answer = ask(rig, "GET", "/v1/guests/n%C3%A4me%20with%2fslash", NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(json_string_value(json_object_get(answer.json, "name")),
			    "näme with/slash");
	answer_clear(&answer);
	answer = ask(rig, "GET", "/v1/guests/qmp:%2Fa", NULL);
	assert_int_equal(answer.status, 200);
	assert_non_null(json_object_get(answer.json, "history"));
	answer_clear(&answer);
}

static void an_unknown_guest_is_404_and_an_ambiguous_one_409(void **state)
{
	assert_refused(*state, "GET", "/v1/guests/nobody", NULL, 404, "not-found", "nobody");
	assert_refused(*state, "GET", "/v1/guests/twins", NULL, 409, "ambiguous", "twins");
	assert_refused(*state, "PUT", "/v1/guests/nobody/mode", "{\"mode\":\"auto\"}", 404,
		       "not-found", "nobody");
	assert_refused(*state, "GET", "/v1/guests/%FF", NULL, 400, "invalid", "%FF");
	assert_refused(*state, "GET", "/v1/guests/a%00b", NULL, 400, "invalid", "a%00b");
}

static void an_unknown_path_is_404(void **state)
{
	static const char *const paths[] = { "/",
					     "/v1",
					     "/v1/",
					     "/v1/status/",
					     "//v1/status",
					     "/v1/guests/",
					     "/v1/guests/a/b",
					     "/v2/status",
					     "/v1/guests//mode",
					     "/metrics/x",
					     "/v1/%7Bname%7D" };

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		assert_refused(*state, "GET", paths[i], NULL, 404, "no-such-path", paths[i]);
}

static void a_wrong_method_is_405_and_told_the_right_ones(void **state)
{
	struct rig *rig = *state;
	struct answer answer = ask(rig, "PATCH", "/v1/reservations/1", NULL);

	assert_int_equal(answer.status, 405);
	assert_non_null(strstr(answer.text, "Allow: GET, DELETE\r\n"));
	answer_clear(&answer);
	assert_refused(rig, "POST", "/v1/status", NULL, 405, "no-such-method", "GET");
	assert_refused(rig, "get", "/v1/status", NULL, 405, "no-such-method", "get");
	answer = ask(rig, "HEAD", "/v1/status", NULL);
	assert_int_equal(answer.status, 405);
	answer_clear(&answer);
}

static void a_guest_is_held_at_a_size(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	answer = ask(rig, "PUT", "/v1/guests/qmp:%2Fa/mode",
		     "{\"mode\": \"held\", \"bytes\": 268435456}");
	assert_int_equal(answer.status, 200);
	assert_int_equal(rig->manager.mode, POLICY_HELD);
	assert_int_equal(rig->manager.mode_bytes, 256 * MIB);
	assert_string_equal(rig->manager.mode_name, "qmp:/a");
	assert_non_null(strstr(answer.text, "{\"guests\":[\"alpha\"]}"));
	answer_clear(&answer);
	answer = ask(rig, "PUT", "/v1/guests/alpha/mode", "{\"mode\": \"held\"}");
	assert_int_equal(answer.status, 200);
	assert_true(rig->manager.mode_bytes == HV_UNSET);
	answer_clear(&answer);
}

static void a_persons_own_size_reaches_the_manager(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	answer = ask(rig, "PUT", "/v1/guests/alpha/own-size", "{\"bytes\": 268435456}");
	assert_int_equal(answer.status, 200);
	assert_int_equal(rig->manager.own_bytes, 256 * MIB);
	assert_non_null(strstr(answer.text, "{\"guests\":[\"alpha\"]}"));
	answer_clear(&answer);
	assert_refused(rig, "PUT", "/v1/guests/nobody/own-size", "{\"bytes\": 1}", 404, "not-found",
		       "nobody");
	assert_refused(rig, "PUT", "/v1/guests/alpha/own-size", "{\"bytes\": 0}", 400, "invalid",
		       "above 0");
	assert_refused(rig, "PUT", "/v1/guests/alpha/own-size", "{}", 400, "invalid", "bytes");
}

static void a_mode_of_all_names_those_that_it_was_set_of(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	manager_add(&rig->manager, "beta", "qmp:/b");
	manager_add(&rig->manager, "new", "qmp:/c")->answered = false;
	answer = ask(rig, "PUT", "/v1/mode", "{\"mode\":\"observe\"}");
	assert_int_equal(rig->manager.mode, POLICY_OBSERVE);
	assert_null(rig->manager.mode_name);
	assert_non_null(strstr(answer.text, "{\"guests\":[\"alpha\",\"beta\"]}"));
	answer_clear(&answer);
}

struct wrong_body {
	const char *body, *word;
};

static void refuse_all(struct rig *rig, const char *method, const char *path,
		       const struct wrong_body *wrong, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_refused(rig, method, path, wrong[i].body, 400, "invalid", wrong[i].word);
}

static void a_wrong_mode_is_refused_by_name_and_changes_nothing(void **state)
{
	static const struct wrong_body wrong[] = {
		{ "", "'mode' is missing" },
		{ "{}", "'mode' is missing" },
		{ "[]", "not a JSON object" },
		{ "\"auto\"", "not a JSON object" },
		{ "{\"mode\":\"auto\"", "not a JSON object" },
		{ "{\"mode\":\"auto\"} x", "not a JSON object" },
		{ "{\"mode\":\"auto\",\"mode\":\"off\"}", "duplicate" },
		{ "{\"mode\":\"auto\",\"size\":1}", "'size'" },
		{ "{\"mode\":\"Auto\"}", "'mode' must be auto, observe, held or off" },
		{ "{\"mode\":1}", "'mode' must be a string" },
		{ "{\"mode\":null}", "'mode' must be a string" },
		{ "{\"mode\":\"auto\",\"bytes\":1}", "'bytes' is allowed with mode held" },
		{ "{\"mode\":\"held\",\"bytes\":0}", "'bytes' must be above 0, not 0" },
		{ "{\"mode\":\"held\",\"bytes\":-1}", "'bytes' must be above 0, not -1" },
		{ "{\"mode\":\"held\",\"bytes\":1.5}", "'bytes' must be an integer" },
		{ "{\"mode\":\"held\",\"bytes\":\"1\"}", "'bytes' must be an integer" },
		{ "{\"mode\":\"held\",\"bytes\":9223372036854775808}", "too big" },
		{ "{\"mode\":\"\xff\"}", "not a JSON object" },
	};
	struct rig *rig = *state;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	refuse_all(rig, "PUT", "/v1/guests/alpha/mode", wrong, G_N_ELEMENTS(wrong));
	refuse_all(rig, "PUT", "/v1/mode", wrong, G_N_ELEMENTS(wrong));
	assert_int_equal(rig->manager.mode, -1);
}

static void a_size_is_set_and_looked_at(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	answer = ask(rig, "GET", "/v1/guests/alpha/size", NULL);
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.text, "\"state\":\"none\""));
	answer_clear(&answer);
	answer = ask(rig, "PUT", "/v1/guests/alpha/size", "{\"bytes\":268435456}");
	assert_int_equal(answer.status, 202);
	assert_int_equal(rig->manager.mode_bytes, 256 * MIB);
	assert_false(rig->manager.force);
	assert_non_null(strstr(answer.text, "\"guest\":\"alpha\",\"state\":\"running\","
					    "\"target_bytes\":268435456,\"before_bytes\":null"));
	answer_clear(&answer);
	answer = ask(rig, "PUT", "/v1/guests/alpha/size", "{\"bytes\":1,\"force\":true}");
	assert_int_equal(answer.status, 202);
	assert_true(rig->manager.force);
	answer_clear(&answer);
	assert_int_equal(rig->manager.mode, -1);
}

static void a_wrong_size_is_refused_by_name_and_changes_nothing(void **state)
{
	static const struct wrong_body wrong[] = {
		{ "", "'bytes' is missing" },
		{ "{\"bytes\":0}", "'bytes' must be above 0, not 0" },
		{ "{\"bytes\":\"1G\"}", "'bytes' must be an integer" },
		{ "{\"bytes\":1,\"force\":1}", "'force' must be true or false" },
		{ "{\"bytes\":1,\"wait\":true}", "'wait' is not a key" },
	};
	struct rig *rig = *state;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	refuse_all(rig, "PUT", "/v1/guests/alpha/size", wrong, G_N_ELEMENTS(wrong));
	assert_refused(rig, "PUT", "/v1/guests/nobody/size", "{\"bytes\":1}", 404, "not-found",
		       "nobody");
	assert_refused(rig, "GET", "/v1/guests/nobody/size", NULL, 404, "not-found", "nobody");
	rig->manager.failure = MANAGER_ERROR_REFUSED;
	assert_refused(rig, "PUT", "/v1/guests/alpha/size", "{\"bytes\":1}", 409, "refused",
		       "not now");
	assert_null(rig->manager.mode_name);
}

static void a_mode_is_forced_only_if_that_is_asked_for(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	answer = ask(rig, "PUT", "/v1/guests/alpha/mode", "{\"mode\":\"held\",\"bytes\":1}");
	assert_false(rig->manager.force);
	answer_clear(&answer);
	answer = ask(rig, "PUT", "/v1/guests/alpha/mode",
		     "{\"mode\":\"held\",\"bytes\":1,\"force\":true}");
	assert_true(rig->manager.force);
	answer_clear(&answer);
}

static void what_the_manager_refuses_is_told_with_its_words(void **state)
{
	struct rig *rig = *state;

	manager_add(&rig->manager, "alpha", "qmp:/a");
	manager_add_reservation(&rig->manager, 1, MIB);
	rig->manager.failure = MANAGER_ERROR_REFUSED;
	assert_refused(rig, "PUT", "/v1/guests/alpha/mode", "{\"mode\":\"off\"}", 409, "refused",
		       "not now");
	assert_refused(rig, "PUT", "/v1/mode", "{\"mode\":\"off\"}", 409, "refused", "not now");
	assert_refused(rig, "POST", "/v1/reservations", "{\"bytes\":1}", 409, "refused", "not now");
	assert_refused(rig, "DELETE", "/v1/reservations/1", NULL, 409, "refused", "not now");
	rig->manager.failure = MANAGER_ERROR_INVALID;
	assert_refused(rig, "PUT", "/v1/mode", "{\"mode\":\"off\"}", 400, "invalid", "not now");
}

static void a_reservation_is_made_looked_at_and_ended(void **state)
{
	struct rig *rig = *state;
	struct answer answer = ask(rig, "POST", "/v1/reservations",
				   "{\"bytes\":1048576,\"ttl_s\":86400,\"note\":\"für beta\"}");

	assert_int_equal(answer.status, 201);
	assert_int_equal(integer(&answer, "id"), 1);
	assert_int_equal(integer(&answer, "bytes"), MIB);
	assert_int_equal(rig->manager.ttl_s, 86400);
	answer_clear(&answer);
	answer = ask(rig, "GET", "/v1/reservations/1", NULL);
	assert_string_equal(json_string_value(json_object_get(answer.json, "note")), "für beta");
	answer_clear(&answer);
	answer = ask(rig, "DELETE", "/v1/reservations/1", NULL);
	assert_int_equal(answer.status, 204);
	assert_int_equal(rig->manager.reservations->len, 0);
	answer_clear(&answer);
}

static void a_reservation_lasts_five_minutes_unless_said(void **state)
{
	struct rig *rig = *state;
	struct answer answer = ask(rig, "POST", "/v1/reservations", "{\"bytes\":1}");

	assert_int_equal(rig->manager.ttl_s, 300);
	assert_string_equal(json_string_value(json_object_get(answer.json, "note")), "");
	answer_clear(&answer);
}

static void a_wrong_reservation_is_refused_by_name(void **state)
{
	g_autofree char *spaces = g_strnfill(201, ' ');
	g_autofree char *long_note = g_strdup_printf("{\"bytes\":1,\"note\":\"%s\"}", spaces);
	const struct wrong_body wrong[] = {
		{ "{}", "'bytes' is missing" },
		{ "{\"bytes\":0}", "'bytes'" },
		{ "{\"bytes\":1,\"ttl_s\":0}", "'ttl_s' must be above 0" },
		{ "{\"bytes\":1,\"ttl_s\":86401}", "'ttl_s' must be at most 86400" },
		{ "{\"bytes\":1,\"ttl\":1}", "'ttl' is not a key" },
		{ "{\"bytes\":1,\"note\":\"\\u001b[31m\"}", "'note'" },
		{ "{\"bytes\":1,\"note\":7}", "'note' must be a string" },
		{ long_note, "'note' must be at most 200 bytes" },
	};
	struct rig *rig = *state;

	refuse_all(rig, "POST", "/v1/reservations", wrong, G_N_ELEMENTS(wrong));
	assert_int_equal(rig->manager.reservations->len, 0);
}

static void an_unknown_reservation_is_404(void **state)
{
	struct rig *rig = *state;

	manager_add_reservation(&rig->manager, 1, MIB);
	assert_refused(rig, "GET", "/v1/reservations/2", NULL, 404, "not-found", "'2'");
	assert_refused(rig, "GET", "/v1/reservations/01x", NULL, 404, "not-found", "'01x'");
	assert_refused(rig, "GET", "/v1/reservations/-1", NULL, 404, "not-found", "'-1'");
	assert_refused(rig, "GET", "/v1/reservations/99999999999999999999", NULL, 404, "not-found",
		       "9");
	assert_refused(rig, "DELETE", "/v1/reservations/2", NULL, 404, "not-found", "'2'");
	assert_int_equal(rig->manager.reservations->len, 1);
}

static void a_reload_names_the_file_or_says_what_is_wrong_with_it(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	rig->manager.config.path = (char *)"/etc/a.conf";
	answer = ask(rig, "POST", "/v1/reload", NULL);
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.text, "{\"reloaded\":\"/etc/a.conf\"}"));
	answer_clear(&answer);
	assert_refused(rig, "POST", "/v1/reload", "{\"path\":\"/x\"}", 400, "invalid", "'path'");
	assert_int_equal(rig->manager.reloads, 1);
	rig->manager.failure = 0;
	assert_refused(rig, "POST", "/v1/reload", "{}", 409, "refused", "line 3");
}

static void a_query_that_nobody_reads_is_refused(void **state)
{
	assert_refused(*state, "GET", "/v1/status?after=1", NULL, 400, "invalid", "'after'");
	assert_refused(*state, "GET", "/v1/events?since=1", NULL, 400, "invalid", "'since'");
	assert_refused(*state, "GET", "/v1/events?after=", NULL, 400, "invalid", "'after'");
	assert_refused(*state, "GET", "/v1/events?after=-1", NULL, 400, "invalid", "'-1'");
	assert_refused(*state, "GET", "/v1/events?after=1x", NULL, 400, "invalid", "'1x'");
}

/* A body of @size bytes, announced by its length or in chunks, to a path that takes one. */
static struct answer send_body(struct rig *rig, size_t size, bool chunked)
{
	g_autoptr(GString) text = g_string_new("POST /v1/reload HTTP/1.1\r\nHost: a\r\n");
	g_autofree char *spaces = g_strnfill(size - 2, ' ');

	if (chunked)
		g_string_append_printf(text,
				       "Transfer-Encoding: chunked\r\n\r\n%zx\r\n{%s}\r\n0\r\n\r\n",
				       size, spaces);
	else
		g_string_append_printf(text, "Content-Length: %zu\r\n\r\n{%s}", size, spaces);
	return ask_raw(rig, text->str, text->len);
}

static void a_body_of_64_kib_is_read_and_a_larger_one_is_413(void **state)
{
	for (int chunked = 0; chunked < 2; chunked++) {
		struct answer answer = send_body(*state, API_BODY_MAX, chunked);

		assert_int_equal(answer.status, 200);
		answer_clear(&answer);
		answer = send_body(*state, API_BODY_MAX + 1, chunked);
		assert_int_equal(answer.status, 413);
		assert_non_null(strstr(answer.text, "\"code\":\"invalid\""));
		answer_clear(&answer);
		answer = send_body(*state, 8 * MIB, chunked);
		assert_int_equal(answer.status, 413);
		answer_clear(&answer);
	}
}

static void a_body_that_is_announced_as_too_large_need_not_be_sent(void **state)
{
	static const char request[] = "POST /v1/reload HTTP/1.1\r\nHost: a\r\n"
				      "Content-Length: 65537\r\nExpect: 100-continue\r\n\r\n";
	struct answer answer = ask_raw(*state, request, strlen(request));

	assert_int_equal(answer.status, 413);
	answer_clear(&answer);
}

static void ask_and_expect(struct rig *rig, const char *request, unsigned int status)
{
	struct answer answer = ask_raw(rig, request, strlen(request));

	if (answer.status != status)
		fail_msg("%u expected for\n%s\nnot\n%s", status, request, answer.text);
	answer_clear(&answer);
}

static void requests_that_are_none_hurt_nobody(void **state)
{
	struct rig *rig = *state;

	ask_and_expect(rig, "GET /v1/status HTTP/1.0\r\n\r\n", 200);
	ask_and_expect(rig, "GET /v1/status HTTP/1.1\r\n\r\n", 400);
	ask_and_expect(rig, "GET /v1/status HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
	ask_and_expect(rig, "GET http://a/v1/status HTTP/1.1\r\n\r\n", 200);
	ask_and_expect(rig, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404);
	ask_and_expect(rig, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 404);
	ask_and_expect(rig, "\x16\x03\x01\x02 nonsense\r\n\r\n", 400);
	ask_and_expect(rig, "GET /v1/status HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,0-1\r\n\r\n",
		       200);
	ask_and_expect(
		rig,
		"PUT /v1/mode HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
		400);
	ask_and_expect(rig, ASK_STATUS, 200);
}

static void a_client_that_goes_in_the_middle_of_a_request_is_forgotten(void **state)
{
	struct rig *rig = *state;
	static const char *const parts[] = { "", "GET /v1",
					     "PUT /v1/mode HTTP/1.1\r\nHost: a\r\n"
					     "Content-Length: 10\r\n\r\n{" };

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		struct link *link = link_open(rig->path);

		link_send(link, parts[i], strlen(parts[i]));
		link_close(link);
	}
	ask_and_expect(rig, ASK_STATUS, 200);
	assert_int_equal(rig->manager.mode, -1);
}

static void a_request_that_does_not_come_to_its_end_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct link *link;

	rig->api->clients.request_ms = 20;
	link = link_open(rig->path);
	link_send(link, "GET /v1", 7);
	link_wait_for_end(link);
	link_close(link);
}

static bool all_are_gone(void *data)
{
	return !((struct rig *)data)->api->clients.open;
}

static void one_user_cannot_take_all_connections(void **state)
{
	struct rig *rig = *state;
	struct link *links[API_CLIENTS_MAX + 1];

	for (size_t i = 0; i < G_N_ELEMENTS(links); i++) {
		links[i] = link_open(rig->path);
		g_main_context_iteration(NULL, FALSE);
	}
	link_wait_for_end(links[API_CLIENTS_MAX]);
	assert_false(links[0]->ended);
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		link_close(links[i]);
	run_until(all_are_gone, rig);
	ask_and_expect(rig, ASK_STATUS, 200);
}

static bool has_paused(void *data)
{
	return !((struct rig *)data)->api->accepting;
}

static void without_descriptors_clients_are_served_one_after_the_other(void **state)
{
	struct rig *rig = *state;
	struct link *first = link_open(rig->path), *second = link_open(rig->path);
	const struct rlimit few = { 128, 4096 };
	GArray *taken = g_array_new(FALSE, FALSE, sizeof(int));

	assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
	for (int fd = dup(first->fd); fd >= 0; fd = dup(first->fd))
		g_array_append_val(taken, fd);
	/* The first has the descriptor that was kept in reserve; the second waits for it. */
	run_until(has_paused, rig);
	link_send(first, ASK_STATUS, strlen(ASK_STATUS));
	link_wait_for(first, "200 OK");
	link_send(second, ASK_STATUS, strlen(ASK_STATUS));
	link_wait_for(second, "200 OK");
	for (guint i = 0; i < taken->len; i++)
		close(g_array_index(taken, int, i));
	g_array_unref(taken);
	link_close(first);
	link_close(second);
}

static void the_socket_is_for_owner_and_group_alone(void **state)
{
	struct rig *rig = *state;
	struct stat made;

	assert_return_code(stat(rig->path, &made), errno);
	assert_int_equal(made.st_mode & 07777, 0660);
	assert_int_equal(made.st_gid, getegid());
}

static void a_second_daemon_is_refused_and_the_first_goes_on(void **state)
{
	struct rig *rig = *state;
	g_autoptr(GError) error = NULL;

	assert_null(api_start(&rig->manager, rig->path, &error));
	assert_non_null(strstr(error->message, "another daemon listens on"));
	ask_and_expect(rig, ASK_STATUS, 200);
}

static void a_socket_that_nobody_listens_at_is_replaced(void **state)
{
	struct rig *rig = *state;
	g_autofree char *old = g_strconcat(rig->path, ".old", NULL);
	g_autoptr(GError) error = NULL;
	struct api *second;

	/* What a daemon that was killed leaves behind. */
	assert_return_code(rename(rig->path, old), errno);
	api_stop(rig->api);
	assert_return_code(rename(old, rig->path), errno);
	rig->api = NULL;
	second = api_start(&rig->manager, rig->path, &error);
	assert_non_null(second);
	ask_and_expect(rig, ASK_STATUS, 200);
	api_stop(second);
	assert_int_equal(access(rig->path, F_OK), -1);
}

static void the_socket_of_a_daemon_that_is_ending_is_taken_over(void **state)
{
	struct rig *rig = *state;
	g_autofree char *path = g_strconcat(rig->path, ".2", NULL);
	pid_t pid = start_ending_listener(path);
	struct api *second;

	assert_true(pid > 0);
	second = api_start(&rig->manager, path, NULL);
	assert_non_null(second);
	api_stop(second);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_file_in_the_way_is_left_alone(void **state)
{
	struct rig *rig = *state;
	g_autofree char *path = g_strconcat(rig->path, ".file", NULL);
	g_autoptr(GError) error = NULL;

	assert_true(g_file_set_contents(path, "mine", -1, NULL));
	assert_null(api_start(&rig->manager, path, &error));
	assert_non_null(strstr(error->message, "is not a socket"));
	assert_int_equal(g_unlink(path), 0);
}

static void an_end_removes_only_ones_own_socket(void **state)
{
	struct rig *rig = *state;

	g_unlink(rig->path);
	assert_true(g_file_set_contents(rig->path, "another's", -1, NULL));
	api_stop(rig->api);
	rig->api = NULL;
	assert_int_equal(access(rig->path, F_OK), 0);
	g_unlink(rig->path);
}

static void a_path_that_no_socket_can_have_is_refused(void **state)
{
	struct rig *rig = *state;
	g_autofree char *path = g_strnfill(108, 'x');
	g_autoptr(GError) error = NULL;

	assert_null(api_start(&rig->manager, path, &error));
	assert_non_null(strstr(error->message, "1 to 107 bytes"));
	g_clear_error(&error);
	assert_null(api_start(&rig->manager, "/nonexistent/folder/socket", &error));
	assert_non_null(strstr(error->message, "No such file"));
}

static void an_unknown_group_is_refused(void **state)
{
	struct rig *rig = *state;
	g_autofree char *path = g_strconcat(rig->path, ".2", NULL);
	g_autoptr(GError) error = NULL;

	rig->manager.config.group = (char *)"no-such-group";
	assert_null(api_start(&rig->manager, path, &error));
	assert_non_null(strstr(error->message, "[api] group: there is no group 'no-such-group'"));
	assert_int_equal(access(path, F_OK), -1);
	/* A reload does not fail for it; the socket keeps its group. */
	assert_true(manager_reload(&rig->manager, NULL));
}

static void requests_still_open_end_with_the_daemon(void **state)
{
	struct rig *rig = *state;
	struct link *link = link_open(rig->path);

	link_send(link, "GET /v1", 7);
	api_stop(rig->api);
	rig->api = NULL;
	link_wait_for_end(link);
	link_close(link);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_status_is_the_managers),
		RIG_TEST(a_guest_is_found_by_a_name_of_any_letters),
		RIG_TEST(an_unknown_guest_is_404_and_an_ambiguous_one_409),
		RIG_TEST(an_unknown_path_is_404),
		RIG_TEST(a_wrong_method_is_405_and_told_the_right_ones),
		RIG_TEST(a_guest_is_held_at_a_size),
		RIG_TEST(a_persons_own_size_reaches_the_manager),
		RIG_TEST(a_mode_of_all_names_those_that_it_was_set_of),
		RIG_TEST(a_wrong_mode_is_refused_by_name_and_changes_nothing),
		RIG_TEST(a_size_is_set_and_looked_at),
		RIG_TEST(a_wrong_size_is_refused_by_name_and_changes_nothing),
		RIG_TEST(a_mode_is_forced_only_if_that_is_asked_for),
		RIG_TEST(what_the_manager_refuses_is_told_with_its_words),
		RIG_TEST(a_reservation_is_made_looked_at_and_ended),
		RIG_TEST(a_reservation_lasts_five_minutes_unless_said),
		RIG_TEST(a_wrong_reservation_is_refused_by_name),
		RIG_TEST(an_unknown_reservation_is_404),
		RIG_TEST(a_reload_names_the_file_or_says_what_is_wrong_with_it),
		RIG_TEST(a_query_that_nobody_reads_is_refused),
		RIG_TEST(a_body_of_64_kib_is_read_and_a_larger_one_is_413),
		RIG_TEST(a_body_that_is_announced_as_too_large_need_not_be_sent),
		RIG_TEST(requests_that_are_none_hurt_nobody),
		RIG_TEST(a_client_that_goes_in_the_middle_of_a_request_is_forgotten),
		RIG_TEST(a_request_that_does_not_come_to_its_end_is_given_up),
		RIG_TEST(one_user_cannot_take_all_connections),
		RIG_TEST(without_descriptors_clients_are_served_one_after_the_other),
		RIG_TEST(the_socket_is_for_owner_and_group_alone),
		RIG_TEST(a_second_daemon_is_refused_and_the_first_goes_on),
		RIG_TEST(a_socket_that_nobody_listens_at_is_replaced),
		RIG_TEST(the_socket_of_a_daemon_that_is_ending_is_taken_over),
		RIG_TEST(a_file_in_the_way_is_left_alone),
		RIG_TEST(an_end_removes_only_ones_own_socket),
		RIG_TEST(a_path_that_no_socket_can_have_is_refused),
		RIG_TEST(an_unknown_group_is_refused),
		RIG_TEST(requests_still_open_end_with_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
