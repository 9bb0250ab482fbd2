/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: connections, the framing of messages, disconnecting. */
#include "tests/unit/control_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ending_listener.h"
#include "tests/fork_dependent.h"

/*
 * Greeting and negotiation
 */

static void a_client_is_greeted_as_qemu_greets(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	expect_part(rig, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": ");
	expect_part(rig, "\"capabilities\": []}}\r\n");
	close(fd);
}

static void capabilities_come_first_and_once(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	say(fd, "{\"execute\": \"query-name\"}");
	hear(rig, fd);
	expect_part(rig, "\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities");
	say(fd, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}");
	hear(rig, fd);
	expect_part(rig, "\"GenericError\"");
	say(fd, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}}");
	hear(rig, fd);
	expect_json(rig, "{\"return\": {}}");
	say(fd, "{\"execute\": \"qmp_capabilities\"}");
	hear(rig, fd);
	expect_part(rig, "already complete");
	close(fd);
}

static int left; /* how many allocations of jansson succeed before one fails */

static void *allocate_all_but_one(size_t size)
{
	if (left-- != 0)
		return malloc(size);
	errno = ENOMEM;
	return NULL;
}

/* Whichever allocation fails, the client is not told that it sent something wrong. */
static void without_memory_no_request_is_called_wrong(void **state)
{
	static const char request[] =
		"{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"more bytes than a buffer "
		"begins with\", \"property\": \"p\"}}";
	struct rig *rig = *state;
	char *expected;

	say(rig->fd, request);
	hear(rig, rig->fd);
	expected = strdup(rig->line);
	for (int n = 0;; n++) {
		left = n;
		json_set_alloc_funcs(allocate_all_but_one, free);
		say(rig->fd, request);
		hear(rig, rig->fd);
		json_set_alloc_funcs(malloc, free);
		if (left >= 0)
			break; /* none was left to fail */
		if (!strstr(rig->line, "\"desc\": \"out of memory\"") &&
		    strcmp(rig->line, expected))
			fail_msg("allocation %d: %s", n, rig->line);
	}
	assert_string_equal(rig->line, expected);
	free(expected);
}

static void an_id_comes_back_with_answers_and_errors(void **state)
{
	ask(*state, "{\"execute\": \"query-name\", \"id\": {\"a\": [1, null]}}",
	    "{\"return\": {\"name\": \"web \\\"1\\\"\"}, \"id\": {\"a\": [1, null]}}");
	ask_part(*state, "{\"execute\": \"nonsense\", \"id\": 7}", "\"id\": 7}");
}

/*
 * The stream
 */

static void messages_may_come_in_pieces_and_in_heaps(void **state)
{
	struct rig *rig = *state;
	const char *text = "{\"execute\":\n\t\"query-name\" , \"id\": \"}\\\"{\"}";

	for (; *text; text++) {
		assert_true(hears_nothing(rig, rig->fd));
		say_bytes(rig->fd, text, 1);
	}
	hear(rig, rig->fd);
	expect_part(rig, "\"id\": \"}\\\"{\"");
	say(rig->fd, "{\"execute\":\"query-uuid\",\"id\":1}{\"execute\":\"query-uuid\",\"id\":2}"
		     " \r\n {\"execute\":\"query-uuid\",\"id\":3}");
	for (int i = 1; i <= 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "\"id\": %d}", i);
		hear(rig, rig->fd);
		expect_part(rig, id);
	}
}

static void garbage_is_answered_and_the_connection_kept(void **state)
{
	struct rig *rig = *state;
	static const char *const garbage[] = {
		"hello\n",
		"12\n",
		"\"text\"\n",
		"\xff\xfe\n",
		"{]\n",
		"{\"execute\" \"balloon\"}",
		"{\"execute\": \"balloon}\n",
		"{\"execute\": \"a\", \"execute\": \"b\"}",
		"[1, 2]",
		"{\"execute\": 5}",
		"{}",
		"{\"execute\": \"query-name\", \"exec-oob\": 1}",
		"{\"execute\": \"query-name\", \"arguments\": []}",
		"{\"\\u0000\": 1}",
		"{\"execute\": \"query-name\", \"id\": \"\xc3\x28\"}",
		"{\"execute\": \"query-name\", \"id\": 99999999999999999999}",
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		ask_part(rig, garbage[i], "{\"error\": {\"class\": \"GenericError\", \"desc\": \"");
		assert_true(hears_nothing(rig, rig->fd));
		ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
	}
}

static void garbage_ends_where_a_message_begins(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "hello, {\"execute\": \"query-uuid\"}", "GenericError");
	hear(rig, rig->fd);
	expect_part(rig, "\"return\"");
}

static void nesting_is_bounded(void **state)
{
	struct rig *rig = *state;
	char text[256] = "{\"execute\": \"query-uuid\", \"id\": ";

	memset(text + strlen(text), '[', CONTROL_DEPTH_MAX);
	memset(text + strlen(text), ']', CONTROL_DEPTH_MAX);
	strcat(text, "}");
	ask_part(rig, text, "nested too deeply");
	ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
}

static void a_message_without_end_costs_the_connection(void **state)
{
	struct rig *rig = *state;
	char *text = malloc(CONTROL_MESSAGE_MAX + 1);

	memset(text, ' ', CONTROL_MESSAGE_MAX + 1);
	text[0] = '{';
	say_bytes(rig->fd, text, CONTROL_MESSAGE_MAX + 1);
	hear(rig, rig->fd);
	expect_part(rig, "over 64 KiB");
	assert_true(hung_up(rig, rig->fd));
	free(text);
}

static void the_longest_message_is_understood(void **state)
{
	struct rig *rig = *state;
	static const char command[] = "{\"execute\": \"query-uuid\"}";
	char *text = malloc(CONTROL_MESSAGE_MAX);

	memset(text, ' ', CONTROL_MESSAGE_MAX);
	memcpy(text, command, sizeof(command) - 2);
	text[CONTROL_MESSAGE_MAX - 1] = '}';
	say_bytes(rig->fd, text, CONTROL_MESSAGE_MAX);
	hear(rig, rig->fd);
	expect_part(rig, "\"return\"");
	free(text);
}

static void arguments_are_checked(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"balloon\"}", "Parameter 'value' is missing");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": \"1\"}}",
		 "Invalid parameter type for 'value', expected: integer");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 1, \"x\": 1}}",
		 "Parameter 'x' is unexpected");
	ask_part(rig, "{\"execute\": \"query-name\", \"arguments\": {\"x\": 1}}",
		 "Parameter 'x' is unexpected");
	ask_part(rig, "{\"execute\": \"ballon\"}",
		 "\"class\": \"CommandNotFound\", \"desc\": \"The command ballon has not");
}

/*
 * Several clients
 */

static void sixteen_clients_are_served_and_one_more_told_why_not(void **state)
{
	struct rig *rig = *state;
	int fds[CONTROL_CLIENTS_MAX];

	for (int i = 1; i < CONTROL_CLIENTS_MAX; i++)
		fds[i] = connect_ready(rig);
	fds[0] = connect_to(rig);
	hear(rig, fds[0]);
	expect_part(rig, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"16 clients");
	assert_true(hung_up(rig, fds[0]));
	ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
	close(fds[1]);
	assert_true(hears_nothing(rig, rig->fd));
	fds[1] = connect_ready(rig);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}

static void clients_that_only_connect_keep_no_other_out(void **state)
{
	struct rig *rig = *state;
	int silent[2 * CONTROL_CLIENTS_MAX], fd;

	for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++) {
		silent[i] = connect_to(rig);
		hear(rig, silent[i]);
		expect_part(rig, "\"QMP\"");
	}
	fd = connect_ready(rig);
	/* The first client has been there all along, and the newest of the silent ones still is. */
	ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
	assert_true(hung_up(rig, silent[0]));
	assert_true(hears_nothing(rig, silent[2 * CONTROL_CLIENTS_MAX - 1]));
	for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++)
		close(silent[i]);
	close(fd);
}

static void a_client_that_never_reads_is_let_go(void **state)
{
	struct rig *rig = *state;
	static const char request[] = "{\"execute\": \"x-help\"}";
	int fd = connect_ready(rig);

	for (int i = 0; i < ROUNDS && rig->control->clients.slots[1]; i++) {
		send(fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		assert_int_equal(loop_round(rig->loop, 0), 0);
	}
	assert_null(rig->control->clients.slots[1]);
	ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
	close(fd);
}

static void a_slow_client_loses_events_and_no_answer(void **state)
{
	struct rig *rig = *state;
	struct control_client *client = rig->control->clients.slots[0];
	const int little = 16384;
	size_t events = 0, before;
	json_t *message;

	assert_int_equal(
		setsockopt(client->source.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	do {
		before = client->out_length;
		rig->control->events.kinds[CONTROL_X_VMM].next_ns = 0;
		control_set_vmm_connected(rig->control, true);
		assert_int_equal(loop_round(rig->loop, 0), 0);
		events++;
	} while (before == 0 || client->out_length > before);
	assert_true(client->out_length <= CONTROL_OUT_MAX / 2 + 512);
	assert_false(client->gone);
	/* The answer is appended to the rest of a buffer that was sent in part. */
	for (; !client->out_sent; events--)
		hear(rig, rig->fd);
	say(rig->fd, "{\"execute\": \"query-uuid\"}");
	while (events--) {
		hear(rig, rig->fd);
		if (strstr(rig->line, "\"return\""))
			return;
		message = json_loads(rig->line, 0, NULL);
		assert_non_null(json_object_get(message, "event"));
		json_decref(message);
	}
	fail_msg("the answer was lost");
}

/*
 * The listening socket
 */

static void a_stale_socket_is_replaced_and_a_used_one_is_not(void **state)
{
	struct rig *rig = *state;
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/other", rig->dir);
	assert_int_equal(listener_bind(rig->path), -EADDRINUSE);
	fd = listener_bind(path);
	assert_true(fd >= 0);
	close(fd);
	fd = listener_bind(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_int_equal(listener_bind(rig->dir), -EEXIST);
	assert_int_equal(listener_bind("/nonexistent/socket"), -ENOENT);
	assert_int_equal(listener_bind(""), -EINVAL);
}

static void the_socket_of_a_process_that_is_ending_is_taken_over(void **state)
{
	struct rig *rig = *state;
	pid_t pid;
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/other", rig->dir);
	pid = start_ending_listener(path);
	assert_true(pid > 0);
	fd = listener_bind(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Another device at @path that has bound its socket, and takes a moment until it listens. */
static pid_t start_slow_starter(const char *folder, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ready[2], lock, fd;
	char byte;
	pid_t pid;

	assert_return_code(pipe(ready), errno);
	pid = fork_dependent();
	if (!pid) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		lock = open(folder, O_RDONLY | O_DIRECTORY);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (flock(lock, LOCK_EX) ||
		    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		poll(NULL, 0, 50);
		if (listen(fd, 1))
			_exit(1);
		close(lock);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void the_socket_of_a_device_that_starts_is_left_alone(void **state)
{
	struct rig *rig = *state;
	char path[80];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/starting", rig->dir);
	pid = start_slow_starter(rig->dir, path);
	assert_int_equal(listener_bind(path), -EADDRINUSE);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_return_code(unlink(path), errno);
}

static void a_listener_that_is_too_busy_to_answer_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int waiting[4], count = 0, fd;
	bool full = false;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/busy", rig->dir);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 0), 0);
	while (!full && count < 4) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		full = connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0;
		waiting[count++] = fd;
	}
	assert_true(full);
	assert_int_equal(listener_bind(address.sun_path), -EADDRINUSE);
	while (count)
		close(waiting[--count]);
	close(listening);
	assert_int_equal(unlink(address.sun_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(a_client_is_greeted_as_qemu_greets),
		BARE(capabilities_come_first_and_once),
		BARE(without_memory_no_request_is_called_wrong),
		BARE(an_id_comes_back_with_answers_and_errors),
		BARE(messages_may_come_in_pieces_and_in_heaps),
		BARE(garbage_is_answered_and_the_connection_kept),
		BARE(garbage_ends_where_a_message_begins),
		BARE(nesting_is_bounded),
		BARE(a_message_without_end_costs_the_connection),
		BARE(the_longest_message_is_understood),
		BARE(arguments_are_checked),
		BARE(sixteen_clients_are_served_and_one_more_told_why_not),
		BARE(clients_that_only_connect_keep_no_other_out),
		BARE(a_client_that_never_reads_is_let_go),
		BARE(a_slow_client_loses_events_and_no_answer),
		BARE(a_stale_socket_is_replaced_and_a_used_one_is_not),
		BARE(the_socket_of_a_process_that_is_ending_is_taken_over),
		BARE(the_socket_of_a_device_that_starts_is_left_alone),
		BARE(a_listener_that_is_too_busy_to_answer_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
