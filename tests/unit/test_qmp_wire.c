/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire against the other end of a socket pair.  QEMU's answers are written
 * before the commands are sent, so no test has to wait; the first id is set to
 * aerostat-1.
 */
#include "hypervisor/qmp_wire.h"
#include "hypervisor/unix_listener.h"

#include "hypervisor/hypervisor.h"
#include "tests/hang.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
/* Of what is never answered.  Always used up, so short. */
#define SOON hv_deadline_ms(500)
#define LATER hv_deadline_ms(HANG_MS)

struct pair {
	struct qmp_wire *wire;
	int qemu;
	unsigned int events;
	bool refuse_events;
};

static bool count_event(const json_t *event, void *data, GError **error)
{
	struct pair *pair = data;

	assert_non_null(json_string_value(json_object_get(event, "event")));
	pair->events++;
	if (pair->refuse_events)
		g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL, "refused");
	return !pair->refuse_events;
}

static int setup_fresh(void **state)
{
	struct pair *pair = g_new0(struct pair, 1);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pair->qemu = fds[1];
	pair->wire = qmp_wire_new(fds[0], count_event, pair);
	pair->wire->serial = 1;
	*state = pair;
	return 0;
}

/* A wire after its greeting. */
static int setup_ready(void **state)
{
	struct pair *pair;

	setup_fresh(state);
	pair = *state;
	pair->wire->greeted = pair->wire->ready = true;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	qmp_wire_free(pair->wire);
	if (pair->qemu >= 0)
		close(pair->qemu);
	g_free(pair);
	return 0;
}

static void say(struct pair *pair, const char *text)
{
	assert_int_equal(write(pair->qemu, text, strlen(text)), strlen(text));
}

static void hang_up(struct pair *pair)
{
	close(pair->qemu);
	pair->qemu = -1;
}

/* Everything that the wire has sent. */
static char *heard(struct pair *pair)
{
	char text[4096];
	ssize_t n = recv(pair->qemu, text, sizeof(text), MSG_DONTWAIT);

	return g_strndup(text, n > 0 ? (gsize)n : 0);
}

static void assert_error(GError **error, enum hv_error code, const char *part)
{
	assert_non_null(*error);
	if (!strstr((*error)->message, part))
		fail_msg("\"%s\" does not say \"%s\"", (*error)->message, part);
	assert_int_equal((*error)->domain, HV_ERROR);
	assert_int_equal((*error)->code, code);
	assert_null(strchr((*error)->message, '\n'));
	g_clear_error(error);
}

static void ask_fails(struct pair *pair, enum hv_error code, const char *part)
{
	GError *error = NULL;

	assert_null(qmp_wire_execute(pair->wire, code == HV_ERROR_TIMEOUT ? SOON : LATER,
				     "query-balloon", NULL, &error));
	assert_error(&error, code, part);
}

static void greets_and_leaves_negotiation_mode(void **state)
{
	struct pair *pair = *state;
	g_autofree char *sent = NULL;

	say(pair, GREETING "{\"return\": {}, \"id\": \"aerostat-1\"}\r\n");
	assert_true(qmp_wire_negotiate(pair->wire, LATER, NULL));
	assert_true(qmp_wire_negotiate(pair->wire, LATER, NULL));
	sent = heard(pair);
	assert_string_equal(sent, "{\"execute\":\"qmp_capabilities\",\"id\":\"aerostat-1\"}\n");
}

static void a_silent_monitor_is_busy_and_may_be_waited_for_again(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	assert_false(qmp_wire_negotiate(pair->wire, SOON, &error));
	assert_error(&error, HV_ERROR_BUSY, "another program holds the monitor");
	say(pair, GREETING);
	assert_false(qmp_wire_negotiate(pair->wire, SOON, &error));
	assert_error(&error, HV_ERROR_TIMEOUT, "the answer to qmp_capabilities");
	say(pair, "{\"return\": {}, \"id\": \"aerostat-1\"}\n");
	assert_true(qmp_wire_negotiate(pair->wire, LATER, NULL));
}

static void a_human_monitor_is_told_apart(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ");
	assert_false(qmp_wire_negotiate(pair->wire, LATER, &error));
	assert_error(&error, HV_ERROR_PROTOCOL, "is this a socket of QEMU's option -qmp?");
	assert_int_equal(pair->wire->state, QMP_WIRE_BROKEN);
}

static void an_event_may_come_before_the_greeting(void **state)
{
	struct pair *pair = *state;

	say(pair,
	    "{\"timestamp\": {}, \"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 1}}\n");
	say(pair, GREETING);
	say(pair, "{\"return\": {}, \"id\": \"aerostat-1\"}\n");
	assert_true(qmp_wire_negotiate(pair->wire, LATER, NULL));
}

static void json_that_does_not_greet_is_refused(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, "{\"QMP\": 5}\n");
	assert_false(qmp_wire_negotiate(pair->wire, LATER, &error));
	assert_error(&error, HV_ERROR_PROTOCOL, "not a greeting");
}

static void refused_negotiation_breaks_the_wire(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, GREETING "{\"id\": \"aerostat-1\", \"error\": {\"class\": \"GenericError\", "
			   "\"desc\": \"no\"}}\n");
	assert_false(qmp_wire_negotiate(pair->wire, LATER, &error));
	assert_error(&error, HV_ERROR_REFUSED, "QEMU refused qmp_capabilities: no");
	assert_int_equal(pair->wire->state, QMP_WIRE_BROKEN);
}

static void arguments_are_sent_and_the_answer_returned(void **state)
{
	struct pair *pair = *state;
	g_autofree char *sent = NULL;
	json_auto_t *answer = NULL;

	say(pair, "{\"return\": [7], \"id\": \"aerostat-1\"}\n");
	answer = qmp_wire_execute(pair->wire, LATER, "balloon", json_pack("{s:i}", "value", 4096),
				  NULL);
	assert_int_equal(json_array_size(answer), 1);
	assert_null(pair->wire->command);
	sent = heard(pair);
	assert_string_equal(sent, "{\"execute\":\"balloon\",\"arguments\":{\"value\":4096},"
				  "\"id\":\"aerostat-1\"}\n");
}

static void answers_to_others_are_skipped(void **state)
{
	struct pair *pair = *state;
	json_auto_t *answer = NULL;

	say(pair, "{\"return\": {\"x\": 1}, \"id\": \"aerostat-0\"}\n"
		  "{\"return\": {\"x\": 2}}\n"
		  "{\"return\": {\"x\": 3}, \"id\": 1}\n"
		  "{\"return\": {\"x\": 4}, \"id\": \"aerostat-1\"}\n");
	answer = qmp_wire_execute(pair->wire, LATER, "query-balloon", NULL, NULL);
	assert_true(json_real_value(json_object_get(answer, "x")) == 4);
}

static void events_before_the_answer_are_handed_over(void **state)
{
	struct pair *pair = *state;
	json_auto_t *answer = NULL;

	say(pair, "{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n"
		  "{\"return\": {}, \"id\": \"aerostat-1\"}\n{\"event\": \"RESET\"}\n");
	answer = qmp_wire_execute(pair->wire, LATER, "query-balloon", NULL, NULL);
	assert_non_null(answer);
	assert_int_equal(pair->events, 2);
	assert_true(qmp_wire_pump(pair->wire, LATER, NULL));
	assert_int_equal(pair->events, 3);
}

static void an_event_that_is_refused_breaks_the_wire(void **state)
{
	struct pair *pair = *state;

	pair->refuse_events = true;
	say(pair, "{\"event\": \"STOP\"}\n");
	ask_fails(pair, HV_ERROR_PROTOCOL, "refused");
	assert_int_equal(pair->wire->state, QMP_WIRE_BROKEN);
}

static void a_message_may_come_in_pieces(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, "{\"event\": ");
	assert_false(qmp_wire_pump(pair->wire, SOON, &error));
	assert_error(&error, HV_ERROR_TIMEOUT, "the next event");
	say(pair, "\"STOP\"}\n");
	assert_true(qmp_wire_pump(pair->wire, LATER, NULL));
	assert_int_equal(pair->events, 1);
}

static void only_one_command_is_ever_in_flight(void **state)
{
	struct pair *pair = *state;
	g_autofree char *first = NULL, *second = NULL, *third = NULL;
	json_auto_t *answer = NULL;

	ask_fails(pair, HV_ERROR_TIMEOUT, "the answer to query-balloon");
	assert_string_equal(pair->wire->command, "query-balloon");
	first = heard(pair);
	assert_non_null(strstr(first, "aerostat-1"));
	ask_fails(pair, HV_ERROR_TIMEOUT, "the answer to query-balloon");
	second = heard(pair);
	assert_string_equal(second, "");

	say(pair, "{\"return\": {\"x\": 1}, \"id\": \"aerostat-1\"}\n"
		  "{\"return\": {\"x\": 2}, \"id\": \"aerostat-2\"}\n");
	answer = qmp_wire_execute(pair->wire, LATER, "query-status", NULL, NULL);
	assert_true(json_real_value(json_object_get(answer, "x")) == 2);
	third = heard(pair);
	assert_non_null(strstr(third, "query-status"));
}

static void errors_of_qemu_keep_their_kind_and_words(void **state)
{
	static const struct {
		const char *class;
		enum hv_error code;
	} rows[] = {
		{ "DeviceNotActive", HV_ERROR_NO_BALLOON },
		{ "CommandNotFound", HV_ERROR_UNSUPPORTED },
		{ "GenericError", HV_ERROR_REFUSED },
		{ "KVMMissingCap", HV_ERROR_REFUSED },
		{ "NeverHeardOf", HV_ERROR_REFUSED },
	};
	struct pair *pair = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *answer =
			g_strdup_printf("{\"id\": \"aerostat-%zu\", \"error\": {\"class\": \"%s\", "
					"\"desc\": \"because\\n\"}}\n",
					i + 1, rows[i].class);

		say(pair, answer);
		ask_fails(pair, rows[i].code, "QEMU refused query-balloon: because\\x0a");
		assert_int_equal(pair->wire->state, QMP_WIRE_OPEN);
	}
}

static void unusable_messages_break_the_wire(void **state)
{
	static const char *const messages[] = {
		"garbage\n",
		"\n",
		"{\"return\": {}} trailing\n",
		"{\"return\": 1e999, \"id\": \"aerostat-1\"}\n",
		"{\"return\": \"\xff\", \"id\": \"aerostat-1\"}\n",
		"[]\n",
		"{}\n",
		"{\"event\": 5}\n",
		"{\"QMP\": {}}\n",
		"{\"error\": {\"class\": \"GenericError\"}, \"id\": \"aerostat-1\"}\n",
		"{\"error\": {\"class\": 1, \"desc\": 2}, \"id\": \"aerostat-1\"}\n",
		"{\"error\": \"no\", \"id\": \"aerostat-1\"}\n",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
		void *fresh;
		struct pair *pair;

		setup_ready(&fresh);
		pair = fresh;
		say(pair, messages[i]);
		ask_fails(pair, HV_ERROR_PROTOCOL, "QEMU sent ");
		assert_int_equal(pair->wire->state, QMP_WIRE_BROKEN);
		teardown(&fresh);
	}
}

static void deep_nesting_is_refused(void **state)
{
	struct pair *pair = *state;
	g_autofree char *deep = g_strnfill(100000, '[');

	say(pair, deep);
	say(pair, "\n");
	ask_fails(pair, HV_ERROR_PROTOCOL, "[[[[...: not a line of JSON");
}

/* Writes as long as the other end reads. */
static void *write_forever(void *data)
{
	const char *text = ((void **)data)[0];
	int fd = GPOINTER_TO_INT(((void **)data)[1]);

	while (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void ask_under_flood(struct pair *pair, const char *text, enum hv_error code,
			    const char *part, int64_t deadline)
{
	void *arguments[] = { (void *)text, GINT_TO_POINTER(pair->qemu) };
	GThread *writer = g_thread_new("writer", write_forever, arguments);
	GError *error = NULL;

	assert_null(qmp_wire_execute(pair->wire, deadline, "query-balloon", NULL, &error));
	shutdown(pair->wire->fd, SHUT_RDWR);
	g_thread_join(writer);
	assert_error(&error, code, part);
}

static void an_endless_line_is_given_up(void **state)
{
	ask_under_flood(*state,
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
			HV_ERROR_PROTOCOL, "a message over 4 MiB", LATER);
}

static void a_flood_of_events_does_not_outlast_the_deadline(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, "{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n{\"event\": \"STOP\"}\n");
	assert_null(qmp_wire_execute(pair->wire, g_get_monotonic_time(), "query-balloon", NULL,
				     &error));
	assert_error(&error, HV_ERROR_TIMEOUT, "the answer to query-balloon");
	assert_int_equal(pair->events, 1);
}

static void a_closed_connection_is_lost(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	hang_up(pair);
	assert_false(qmp_wire_pump(pair->wire, LATER, &error));
	assert_error(&error, HV_ERROR_UNREACHABLE, "lost before QEMU sent the next event");
	assert_int_equal(pair->wire->state, QMP_WIRE_LOST);
	ask_fails(pair, HV_ERROR_UNREACHABLE, "lost before QEMU sent the answer");
}

static void half_a_message_is_named(void **state)
{
	struct pair *pair = *state;
	GError *error = NULL;

	say(pair, "{\"return\": {\"act");
	hang_up(pair);
	assert_false(qmp_wire_pump(pair->wire, LATER, &error));
	assert_error(&error, HV_ERROR_PROTOCOL, "{\"return\": {\"act");
	assert_int_equal(pair->wire->state, QMP_WIRE_LOST);
}

static void a_peer_that_does_not_read_does_not_block(void **state)
{
	struct pair *pair = *state;
	g_autofree char *long_word = g_strnfill(4 << 20, 'x');
	GError *error = NULL;

	assert_null(qmp_wire_execute(pair->wire, SOON, "query-balloon",
				     json_pack("{s:s}", "x", long_word), &error));
	assert_error(&error, HV_ERROR_TIMEOUT, "query-balloon");
	assert_int_equal(pair->wire->state, QMP_WIRE_BROKEN);
}

static void only_whole_numbers_below_2_to_the_63_are_sizes(void **state)
{
	static const char *const bad[] = {
		"-1",	"1.5", "9223372036854775808", "18446744073709551615", "1e300", "\"5\"",
		"null", "[]"
	};
	uint64_t value = 42;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		json_auto_t *json =
			json_loads(bad[i], JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);

		assert_non_null(json);
		assert_false(qmp_parse_u64(json, &value));
	}
	assert_false(qmp_parse_u64(NULL, &value));
	assert_int_equal(value, 42);

	json_auto_t *good =
		json_loads("1099511627776", JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	assert_true(qmp_parse_u64(good, &value));
	assert_int_equal(value, UINT64_C(1) << 40);
}

static void excerpts_are_short_and_harmless(void **state)
{
	g_autofree char *escaped = qmp_format_excerpt("a\033[2J\n\xff", 7);
	g_autofree char *text = g_strnfill(1000, 'x');
	g_autofree char *excerpt = qmp_format_excerpt(text, 1000);

	(void)state;
	assert_string_equal(escaped, "a\\x1b[2J\\x0a\\xff");
	assert_int_equal(strlen(excerpt), 83);
	assert_true(g_str_has_suffix(excerpt, "x..."));
}

static void connect_fails(const char *path, enum hv_error code, const char *part)
{
	GError *error = NULL;

	assert_null(qmp_wire_connect(path, SOON, NULL, NULL, &error));
	assert_error(&error, code, part);
}

static int bound(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void each_reason_not_to_connect_is_told_apart(void **state)
{
	g_autofree char *dir = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "q", NULL);
	g_autofree char *deep = g_build_filename(path, "q", NULL);
	g_autofree char *long_path = g_strnfill(108, 'x');

	(void)state;
	connect_fails(long_path, HV_ERROR_INVALID, "it has 108 bytes, and at most 107 are allowed");
	connect_fails(path, HV_ERROR_UNREACHABLE, "no such socket");
	assert_true(g_file_set_contents(path, "", 0, NULL));
	connect_fails(path, HV_ERROR_UNREACHABLE, "not a stream socket");
	connect_fails(deep, HV_ERROR_UNREACHABLE, "no such socket");
	g_unlink(path);
	close(bound(path, SOCK_DGRAM));
	g_unlink(path);
	int datagrams = bound(path, SOCK_DGRAM);
	connect_fails(path, HV_ERROR_UNREACHABLE, "not a stream socket");
	close(datagrams);
	g_unlink(path);
	close(bound(path, SOCK_STREAM));
	connect_fails(path, HV_ERROR_UNREACHABLE, "no process listens on the socket");

	g_chmod(dir, 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	connect_fails(path, HV_ERROR_DENIED, "permission denied");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	g_chmod(dir, 0700);
	g_unlink(path);
	g_rmdir(dir);
}

static void a_full_queue_is_busy_and_its_owner_is_found(void **state)
{
	g_autofree char *dir = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "q", NULL);
	int listener = bound(path, SOCK_STREAM);
	struct qmp_wire *first;

	(void)state;
	assert_int_equal(unix_listener_find_pid(path), 0);
	assert_int_equal(listen(listener, 0), 0);
	first = qmp_wire_connect(path, LATER, NULL, NULL, NULL);
	assert_non_null(first);
	assert_int_equal(first->pid, getpid());
	connect_fails(path, HV_ERROR_BUSY, "queue is full");
	assert_int_equal(unix_listener_find_pid(path), getpid());
	qmp_wire_free(first);
	close(listener);
	g_unlink(path);
	g_rmdir(dir);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, setup_fresh, teardown)
#define READY(test) cmocka_unit_test_setup_teardown(test, setup_ready, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(greets_and_leaves_negotiation_mode),
		FRESH(a_silent_monitor_is_busy_and_may_be_waited_for_again),
		FRESH(a_human_monitor_is_told_apart),
		FRESH(an_event_may_come_before_the_greeting),
		FRESH(json_that_does_not_greet_is_refused),
		FRESH(refused_negotiation_breaks_the_wire),
		READY(arguments_are_sent_and_the_answer_returned),
		READY(answers_to_others_are_skipped),
		READY(events_before_the_answer_are_handed_over),
		READY(an_event_that_is_refused_breaks_the_wire),
		READY(a_message_may_come_in_pieces),
		READY(only_one_command_is_ever_in_flight),
		READY(errors_of_qemu_keep_their_kind_and_words),
		cmocka_unit_test(unusable_messages_break_the_wire),
		READY(deep_nesting_is_refused),
		READY(an_endless_line_is_given_up),
		READY(a_flood_of_events_does_not_outlast_the_deadline),
		READY(a_closed_connection_is_lost),
		READY(half_a_message_is_named),
		READY(a_peer_that_does_not_read_does_not_block),
		cmocka_unit_test(only_whole_numbers_below_2_to_the_63_are_sizes),
		cmocka_unit_test(excerpts_are_short_and_harmless),
		cmocka_unit_test(each_reason_not_to_connect_is_told_apart),
		cmocka_unit_test(a_full_queue_is_busy_and_its_owner_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
