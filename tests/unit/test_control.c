/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket, asked over real sockets, of a real device without a
 * guest: its driver is played by a few lines here.  Both ends live in one
 * thread, so waiting is running the loop until an answer is there.
 */
#include "transport/control_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM (UINT64_C(64) << 20)
#define MIB (UINT64_C(1) << 20)
#define ROUNDS 5000
#define UNSET "18446744073709551615"
#define BACKEND "/machine/peripheral/balloon0/virtio-backend"

struct rig {
	struct loop *loop;
	struct balloon *balloon;
	struct control *control;
	char dir[32], path[64];
	uint8_t *ram;
	int fd; /* a client that has been greeted and is ready */
	unsigned int quits;
	char line[CONTROL_OUT_MAX];
};

/*
 * The device's surroundings
 */

static void ignore_queue(void *data, unsigned int queue)
{
	(void)data;
	(void)queue;
}

static void ignore(void *data)
{
	(void)data;
}

static void ignore_line(void *data, const char *line)
{
	(void)data;
	(void)line;
}

static void relay_event(void *data, enum balloon_event event)
{
	struct rig *rig = data;

	control_event(rig->control, event);
}

static uint64_t now_ns(void *data)
{
	(void)data;
	return loop_now_ns();
}

static uint64_t work(void *data)
{
	return balloon_work(data);
}

static void count_quit(void *data)
{
	struct rig *rig = data;

	rig->quits++;
}

/*
 * Clients
 */

static void hear(struct rig *rig, int fd)
{
	size_t length = 0;

	for (int i = 0; i < ROUNDS; i++) {
		while (recv(fd, rig->line + length, 1, MSG_DONTWAIT) == 1) {
			assert_true(++length < sizeof(rig->line));
			if (rig->line[length - 1] == '\n') {
				rig->line[length] = '\0';
				return;
			}
		}
		assert_int_equal(loop_round(rig->loop, 1000000), 0);
	}
	fail_msg("nothing came");
}

static void say_bytes(int fd, const char *text, size_t length)
{
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* Nothing is on its way: a few rounds bring no byte. */
static bool hears_nothing(struct rig *rig, int fd)
{
	char c;

	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_round(rig->loop, 0), 0);
	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static bool hung_up(struct rig *rig, int fd)
{
	for (int i = 0; i < ROUNDS; i++) {
		char chunk[4096];
		ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		assert_int_equal(loop_round(rig->loop, 1000000), 0);
	}
	return false;
}

static int connect_to(struct rig *rig)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, rig->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int connect_ready(struct rig *rig)
{
	int fd = connect_to(rig);

	hear(rig, fd);
	say(fd, "{\"execute\": \"qmp_capabilities\"}");
	hear(rig, fd);
	return fd;
}

static void expect_json(const struct rig *rig, const char *expected)
{
	json_t *is = json_loads(rig->line, 0, NULL);
	json_t *wanted = json_loads(expected, 0, NULL);

	assert_non_null(wanted);
	if (!json_equal(is, wanted))
		fail_msg("expected %s\nnot %s", expected, rig->line);
	json_decref(is);
	json_decref(wanted);
}

/* @request with its answer, as JSON. */
static void ask(struct rig *rig, const char *request, const char *expected)
{
	say(rig->fd, request);
	hear(rig, rig->fd);
	expect_json(rig, expected);
}

/* The last line holds @part. */
static void expect_part(const struct rig *rig, const char *part)
{
	if (!strstr(rig->line, part))
		fail_msg("\"%s\" is not in %s", part, rig->line);
}

static void ask_part(struct rig *rig, const char *request, const char *part)
{
	say(rig->fd, request);
	hear(rig, rig->fd);
	expect_part(rig, part);
}

/*
 * Setting up
 */

static void open_rig(struct rig *rig, uint64_t max_bytes)
{
	struct balloon_host host = {
		.notify_queue = ignore_queue,
		.notify_config = ignore,
		.event = relay_event,
		.log = ignore_line,
		.now_ns = now_ns,
		.data = rig,
	};
	struct balloon_options options = {
		.features = balloon_default_features(),
		.max_bytes = max_bytes,
		.release_delay_ns = BALLOON_RELEASE_DELAY_NS,
	};
	struct control_options control_options = {
		.name = "web \"1\"",
		.transport = "vfio-user",
		.free_page_reporting = true,
		.quit = count_quit,
		.data = rig,
	};

	strcpy(rig->dir, "/tmp/aerostat-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/qmp", rig->dir);
	rig->loop = loop_new();
	rig->balloon = balloon_new(&options, &host);
	rig->control =
		control_new(rig->loop, rig->balloon, listener_bind(rig->path), &control_options);
	assert_non_null(rig->control);
	loop_set_work(rig->loop, work, rig->balloon);
	rig->fd = connect_ready(rig);
}

static int setup_bare(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	open_rig(rig, 0);
	return 0;
}

static int setup(void **state)
{
	struct rig *rig;

	setup_bare(state);
	rig = *state;
	rig->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(rig->ram, MAP_FAILED);
	assert_int_equal(balloon_add(rig->balloon, 0, RAM, rig->ram), 0);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->fd >= 0)
		close(rig->fd);
	control_free(rig->control);
	balloon_free(rig->balloon);
	loop_free(rig->loop);
	if (rig->ram)
		munmap(rig->ram, RAM);
	unlink(rig->path);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

/* The driver */

static void driver_says_balloon_holds(struct rig *rig, uint32_t pages)
{
	balloon_config_write(rig->balloon, 4, &pages, sizeof(pages));
}

#define STATS_RING 4096
#define STATS_BUFFER 65536

/* A ready driver with statistics alone, and one sample of free memory made available. */
static void driver_gives_stats(struct rig *rig, uint16_t index, uint64_t free_bytes)
{
	struct virtqueue_setup setup = {
		.desc = STATS_RING,
		.driver = STATS_RING + 4096,
		.device = STATS_RING + 8192,
		.size = 8,
	};
	const uint16_t tag = 4, next = (uint16_t)(index + 1), head = 0;
	const uint64_t address = STATS_BUFFER;
	const uint32_t length = 10;

	if (index == 0) {
		assert_true(balloon_set_features(rig->balloon,
						 BALLOON_BIT(BALLOON_F_STATS_VQ) |
							 BALLOON_BIT(VIRTIO_F_VERSION_1)));
		assert_int_equal(balloon_queue_start(rig->balloon, 2, &setup, NULL), 0);
		balloon_driver_ok(rig->balloon);
	}
	memcpy(rig->ram + STATS_BUFFER, &tag, sizeof(tag));
	memcpy(rig->ram + STATS_BUFFER + 2, &free_bytes, sizeof(free_bytes));
	memcpy(rig->ram + STATS_RING, &address, sizeof(address));
	memcpy(rig->ram + STATS_RING + 8, &length, sizeof(length));
	memcpy(rig->ram + setup.driver + 4 + 2 * (index % 8), &head, sizeof(head));
	memcpy(rig->ram + setup.driver + 2, &next, sizeof(next));
	balloon_kick(rig->balloon, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_round(rig->loop, 0), 0);
}

/* How many buffers of statistics the device has given back. */
static uint16_t stats_returned(const struct rig *rig)
{
	uint16_t used;

	memcpy(&used, rig->ram + STATS_RING + 8192 + 2, sizeof(used));
	return used;
}

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

static void a_client_that_never_reads_is_let_go(void **state)
{
	struct rig *rig = *state;
	static const char request[] = "{\"execute\": \"x-help\"}";
	int fd = connect_ready(rig);

	for (int i = 0; i < ROUNDS && rig->control->clients[1]; i++) {
		send(fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		assert_int_equal(loop_round(rig->loop, 0), 0);
	}
	assert_null(rig->control->clients[1]);
	ask_part(rig, "{\"execute\": \"query-uuid\"}", "\"return\"");
	close(fd);
}

static void a_slow_client_loses_events_and_no_answer(void **state)
{
	struct rig *rig = *state;
	struct control_client *client = rig->control->clients[0];
	size_t events = 0, before;

	do {
		before = client->out_length;
		rig->control->events[CONTROL_X_VMM].next_ns = 0;
		control_vmm(rig->control, true);
		assert_int_equal(loop_round(rig->loop, 0), 0);
		events++;
	} while (before == 0 || client->out_length > before);
	assert_true(client->out_length <= CONTROL_OUT_MAX / 2 + 512);
	assert_false(client->gone);
	say(rig->fd, "{\"execute\": \"query-uuid\"}");
	while (events--) {
		hear(rig, rig->fd);
		if (strstr(rig->line, "\"return\""))
			return;
		expect_part(rig, "{\"timestamp\": ");
		expect_part(rig, "\"data\": {\"connected\": true}}\r\n");
	}
	fail_msg("the answer was lost");
}

/*
 * The balloon
 */

static void without_memory_the_balloon_is_not_active(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"query-balloon\"}", "\"class\": \"DeviceNotActive\"");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 1048576}}",
		 "\"class\": \"DeviceNotActive\"");
	ask(rig, "{\"execute\": \"query-memory-size-summary\"}",
	    "{\"return\": {\"base-memory\": 0, \"plugged-memory\": 0}}");
}

static void the_target_is_set_and_clamped(void **state)
{
	struct rig *rig = *state;
	struct balloon_info info;

	ask(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 33554432}}",
	    "{\"return\": {}}");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, 32 * MIB);
	ask(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 9223372036854775807}}",
	    "{\"return\": {}}");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, RAM);
}

static void a_target_of_nothing_is_refused(void **state)
{
	struct rig *rig = *state;
	struct balloon_info info;

	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 0}}", "GenericError");
	ask_part(rig, "{\"execute\": \"balloon\", \"arguments\": {\"value\": -1}}", "GenericError");
	balloon_info(rig->balloon, &info);
	assert_int_equal(info.target_bytes, RAM);
}

static void actual_is_what_the_driver_says(void **state)
{
	struct rig *rig = *state;

	driver_says_balloon_holds(rig, 256);
	hear(rig, rig->fd);
	ask(rig, "{\"execute\": \"query-balloon\"}", "{\"return\": {\"actual\": 66060288}}");
	ask(rig, "{\"execute\": \"query-memory-size-summary\"}",
	    "{\"return\": {\"base-memory\": 67108864, \"plugged-memory\": 0}}");
}

static void a_change_is_told_at_once_and_the_last_one_in_the_end(void **state)
{
	struct rig *rig = *state;
	struct control_event_state *event = &rig->control->events[CONTROL_BALLOON_CHANGE];

	driver_says_balloon_holds(rig, 256);
	hear(rig, rig->fd);
	expect_part(rig, "{\"timestamp\": {\"seconds\": ");
	expect_part(rig, "\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 66060288}}");
	driver_says_balloon_holds(rig, 512);
	driver_says_balloon_holds(rig, 1024);
	assert_true(event->next_ns > loop_now_ns() + NS_PER_S / 2);
	assert_true(hears_nothing(rig, rig->fd));
	assert_int_equal(rig->control->event_timer.due_ns, event->next_ns);
	/* As if the second had passed. */
	event->next_ns = rig->control->event_timer.due_ns = loop_now_ns();
	hear(rig, rig->fd);
	expect_part(rig, "\"data\": {\"actual\": 62914560}}");
	assert_true(hears_nothing(rig, rig->fd));
	assert_int_equal(rig->control->event_timer.due_ns, LOOP_NEVER);
}

static void events_go_to_all_who_negotiated(void **state)
{
	struct rig *rig = *state;
	int ready = connect_ready(rig), greeted = connect_to(rig);

	hear(rig, greeted);
	control_vmm(rig->control, true);
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_VMM\", \"data\": {\"connected\": true}");
	hear(rig, ready);
	expect_part(rig, "X_VMM");
	assert_true(hears_nothing(rig, greeted));
	close(ready);
	close(greeted);
}

static void with_nobody_listening_an_event_wakes_nobody(void **state)
{
	struct rig *rig = *state;

	close(rig->fd);
	rig->fd = -1;
	while (rig->control->clients[0])
		assert_int_equal(loop_round(rig->loop, 1000000), 0);
	driver_says_balloon_holds(rig, 256);
	assert_int_equal(rig->control->event_timer.due_ns, LOOP_NEVER);
}

/*
 * The object tree and statistics
 */

static void the_balloon_is_found_as_in_qemu(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/peripheral\"}}",
	    "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, "
	    "{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}]}");
	ask_part(rig,
		 "{\"execute\": \"qom-list\", \"arguments\": "
		 "{\"path\": \"/machine/peripheral/balloon0\"}}",
		 "{\"name\": \"virtio-backend\", \"type\": \"child<virtio-balloon-device>\"}");
	ask_part(rig,
		 "{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/elsewhere\"}}",
		 "\"class\": \"DeviceNotFound\"");
}

#define GET(name)                                                                                  \
	"{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"" BACKEND                          \
	"\", \"property\": \"" name "\"}}"
#define SET(name, value)                                                                           \
	"{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"" BACKEND                          \
	"\", \"property\": \"" name "\", \"value\": " value "}}"

static void properties_say_what_was_offered(void **state)
{
	struct rig *rig = *state;

	ask(rig, GET("deflate-on-oom"), "{\"return\": false}");
	ask(rig, GET("free-page-reporting"), "{\"return\": true}");
	ask_part(rig, GET("nonsense"), "Property 'virtio-balloon-device.nonsense' not found");
	ask_part(rig, SET("deflate-on-oom", "true"), "can only be read");
}

static void without_a_sample_all_is_unset(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, GET("guest-stats"), "{\"return\": {\"stats\": {\"stat-swap-in\": " UNSET);
	for (int i = 0; i < BALLOON_STATS_KNOWN; i++)
		expect_part(rig, balloon_stat_table[i].name);
	expect_part(rig, "}, \"last-update\": 0}}");
}

static void a_sample_comes_with_the_time_it_came(void **state)
{
	struct rig *rig = *state;
	time_t before = time(NULL), update;
	const char *text;

	driver_gives_stats(rig, 0, 123456789);
	hear(rig, rig->fd); /* X_DRIVER */
	ask_part(rig, GET("guest-stats"), "\"stat-free-memory\": 123456789");
	expect_part(rig, "\"stat-total-memory\": " UNSET);
	text = strstr(rig->line, "\"last-update\": ");
	assert_non_null(text);
	update = atoll(text + strlen("\"last-update\": "));
	assert_true(update >= before - 1 && update <= time(NULL));
}

static void polling_asks_at_once_and_then_each_interval(void **state)
{
	struct rig *rig = *state;

	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd); /* X_DRIVER */
	assert_int_equal(stats_returned(rig), 0);
	ask(rig, SET("guest-stats-polling-interval", "2"), "{\"return\": {}}");
	ask(rig, GET("guest-stats-polling-interval"), "{\"return\": 2}");
	assert_int_equal(stats_returned(rig), 1);
	driver_gives_stats(rig, 1, 2);
	assert_int_equal(stats_returned(rig), 1);
	assert_true(rig->control->poll_timer.due_ns > loop_now_ns() + NS_PER_S);
	assert_true(rig->control->poll_timer.due_ns <= loop_now_ns() + 2 * NS_PER_S);
	/* As if two seconds had passed. */
	rig->control->poll_timer.due_ns = loop_now_ns();
	assert_int_equal(loop_round(rig->loop, 0), 0);
	assert_int_equal(loop_round(rig->loop, 0), 0);
	assert_int_equal(stats_returned(rig), 2);
	ask(rig, SET("guest-stats-polling-interval", "0"), "{\"return\": {}}");
	assert_int_equal(rig->control->poll_timer.due_ns, LOOP_NEVER);
}

static void an_interval_that_is_none_is_refused(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, SET("guest-stats-polling-interval", "-1"), "greater than zero");
	ask_part(rig, SET("guest-stats-polling-interval", "4294967296"), "too big");
	ask_part(rig, SET("guest-stats-polling-interval", "\"1\""), "expected: integer");
	ask(rig, GET("guest-stats-polling-interval"), "{\"return\": 0}");
}

static void the_status_tells_of_a_driver(void **state)
{
	struct rig *rig = *state;
	static const char request[] =
		"{\"execute\": \"x-query-virtio-status\", \"arguments\": {\"path\": \"" BACKEND
		"\"}}";

	ask_part(rig, request, "\"statuses\": []");
	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_DRIVER\", \"data\": {\"ready\": true}");
	ask_part(rig, request, "DRIVER_OK");
}

/*
 * The rest
 */

static void the_guest_runs_while_a_vmm_is_there(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"query-status\"}",
	    "{\"return\": {\"status\": \"prelaunch\", \"running\": false}}");
	control_vmm(rig->control, true);
	hear(rig, rig->fd);
	ask(rig, "{\"execute\": \"query-status\"}",
	    "{\"return\": {\"status\": \"running\", \"running\": true}}");
}

static void quit_is_answered_and_told(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"quit\"}", "{\"return\": {}}");
	assert_int_equal(rig->quits, 1);
}

static void every_command_is_listed_and_helped(void **state)
{
	struct rig *rig = *state;
	char name[64];

	for (size_t i = 0; i < control_command_count; i++) {
		snprintf(name, sizeof(name), "{\"name\": \"%s\"}", control_commands[i].name);
		ask_part(rig, "{\"execute\": \"query-commands\"}", name);
		ask_part(rig, "{\"execute\": \"x-help\"}", control_commands[i].help);
	}
}

static void every_counter_is_told(void **state)
{
	struct rig *rig = *state;

	say(rig->fd, "{\"execute\": \"x-query-counters\"}");
	hear(rig, rig->fd);
	for (int i = 0; i < BALLOON_C_COUNT; i++)
		expect_part(rig, balloon_counter_table[i].name);
}

static void the_balloon_tells_all_about_itself(void **state)
{
	struct rig *rig = *state;

	driver_gives_stats(rig, 0, 1);
	hear(rig, rig->fd);
	ask_part(rig, "{\"execute\": \"x-query-balloon\"}", "\"max\": 67108864, ");
	expect_part(rig, "\"transport\": \"vfio-user\"");
	expect_part(rig, "\"driver-ready\": true");
	expect_part(rig, "\"acknowledged\": [\"stats\", \"version-1\"]");
	expect_part(rig, "\"memory\": {\"anonymous\": 67108864}, \"regions\": 1");
	expect_part(rig, "\"hinting\": \"stopped\"");
}

static void an_audit_is_started_and_its_end_told(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"x-query-audit\"}", "\"age-ms\": null");
	ask(rig, "{\"execute\": \"x-audit\"}", "{\"return\": {}}");
	hear(rig, rig->fd);
	expect_part(rig, "\"event\": \"X_AUDIT\", \"data\": {\"running\": false, ");
	ask_part(rig, "{\"execute\": \"x-query-audit\"}", "\"resident-pages\": 0");
}

static void reporting_is_switched(void **state)
{
	struct rig *rig = *state;

	ask(rig, "{\"execute\": \"x-set-reporting\", \"arguments\": {\"enable\": false}}",
	    "{\"return\": {}}");
	assert_false(balloon_reporting(rig->balloon));
	ask(rig, "{\"execute\": \"x-set-reporting\", \"arguments\": {\"enable\": true}}",
	    "{\"return\": {}}");
	assert_true(balloon_reporting(rig->balloon));
}

static void hinting_without_a_driver_is_refused(void **state)
{
	struct rig *rig = *state;

	ask_part(rig, "{\"execute\": \"x-hint\", \"arguments\": {\"action\": \"start\"}}",
		 "hinting cannot start now: it is stopped");
	ask_part(rig, "{\"execute\": \"x-hint\", \"arguments\": {\"action\": \"go\"}}",
		 "start, stop or done, not 'go'");
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

#define WITH_RAM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define BARE(test) cmocka_unit_test_setup_teardown(test, setup_bare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(a_client_is_greeted_as_qemu_greets),
		BARE(capabilities_come_first_and_once),
		BARE(an_id_comes_back_with_answers_and_errors),
		BARE(messages_may_come_in_pieces_and_in_heaps),
		BARE(garbage_is_answered_and_the_connection_kept),
		BARE(garbage_ends_where_a_message_begins),
		BARE(nesting_is_bounded),
		BARE(a_message_without_end_costs_the_connection),
		BARE(the_longest_message_is_understood),
		BARE(arguments_are_checked),
		BARE(sixteen_clients_are_served_and_one_more_told_why_not),
		BARE(a_client_that_never_reads_is_let_go),
		BARE(a_slow_client_loses_events_and_no_answer),
		BARE(without_memory_the_balloon_is_not_active),
		WITH_RAM(the_target_is_set_and_clamped),
		WITH_RAM(a_target_of_nothing_is_refused),
		WITH_RAM(actual_is_what_the_driver_says),
		WITH_RAM(a_change_is_told_at_once_and_the_last_one_in_the_end),
		BARE(events_go_to_all_who_negotiated),
		WITH_RAM(with_nobody_listening_an_event_wakes_nobody),
		BARE(the_balloon_is_found_as_in_qemu),
		BARE(properties_say_what_was_offered),
		BARE(without_a_sample_all_is_unset),
		WITH_RAM(a_sample_comes_with_the_time_it_came),
		WITH_RAM(polling_asks_at_once_and_then_each_interval),
		BARE(an_interval_that_is_none_is_refused),
		WITH_RAM(the_status_tells_of_a_driver),
		BARE(the_guest_runs_while_a_vmm_is_there),
		BARE(quit_is_answered_and_told),
		BARE(every_command_is_listed_and_helped),
		BARE(every_counter_is_told),
		WITH_RAM(the_balloon_tells_all_about_itself),
		WITH_RAM(an_audit_is_started_and_its_end_told),
		BARE(reporting_is_switched),
		BARE(hinting_without_a_driver_is_refused),
		BARE(a_stale_socket_is_replaced_and_a_used_one_is_not),
		BARE(a_listener_that_is_too_busy_to_answer_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
