/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/control_rig.h"

#include <errno.h>
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
#include <unistd.h>

#include <cmocka.h>

/*
 * What the device needs from outside
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

	control_report_event(rig->control, event);
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

void hear(struct rig *rig, int fd)
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

void say_bytes(int fd, const char *text, size_t length)
{
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

bool hears_nothing(struct rig *rig, int fd)
{
	char c;

	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_round(rig->loop, 0), 0);
	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

bool hung_up(struct rig *rig, int fd)
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

int connect_to(struct rig *rig)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, rig->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

int connect_ready(struct rig *rig)
{
	int fd = connect_to(rig);

	hear(rig, fd);
	say(fd, "{\"execute\": \"qmp_capabilities\"}");
	hear(rig, fd);
	return fd;
}

void expect_json(const struct rig *rig, const char *expected)
{
	json_t *is = json_loads(rig->line, 0, NULL);
	json_t *wanted = json_loads(expected, 0, NULL);

	assert_non_null(wanted);
	if (!json_equal(is, wanted))
		fail_msg("expected %s\nnot %s", expected, rig->line);
	json_decref(is);
	json_decref(wanted);
}

void ask(struct rig *rig, const char *request, const char *expected)
{
	say(rig->fd, request);
	hear(rig, rig->fd);
	expect_json(rig, expected);
}

void expect_part(const struct rig *rig, const char *part)
{
	if (!strstr(rig->line, part))
		fail_msg("\"%s\" is not in %s", part, rig->line);
}

void ask_part(struct rig *rig, const char *request, const char *part)
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

int control_rig_setup_bare(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	open_rig(rig, 0);
	return 0;
}

int control_rig_setup(void **state)
{
	struct rig *rig;

	control_rig_setup_bare(state);
	rig = *state;
	rig->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(rig->ram, MAP_FAILED);
	assert_int_equal(balloon_add(rig->balloon, 0, RAM, rig->ram), 0);
	return 0;
}

int control_rig_teardown(void **state)
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

void driver_says_balloon_holds(struct rig *rig, uint32_t pages)
{
	balloon_config_write(rig->balloon, 4, &pages, sizeof(pages));
}

#define STATS_RING 4096
#define STATS_BUFFER 65536

void driver_gives_stats(struct rig *rig, uint16_t index, uint64_t free_bytes)
{
	struct virtqueue_setup ring = {
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
		assert_int_equal(balloon_queue_start(rig->balloon, 2, &ring, NULL), 0);
		balloon_driver_ok(rig->balloon);
	}
	memcpy(rig->ram + STATS_BUFFER, &tag, sizeof(tag));
	memcpy(rig->ram + STATS_BUFFER + 2, &free_bytes, sizeof(free_bytes));
	memcpy(rig->ram + STATS_RING, &address, sizeof(address));
	memcpy(rig->ram + STATS_RING + 8, &length, sizeof(length));
	memcpy(rig->ram + ring.driver + 4 + 2 * (index % 8), &head, sizeof(head));
	memcpy(rig->ram + ring.driver + 2, &next, sizeof(next));
	balloon_kick(rig->balloon, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_round(rig->loop, 0), 0);
}

uint16_t stats_returned(const struct rig *rig)
{
	uint16_t used;

	memcpy(&used, rig->ram + STATS_RING + 8192 + 2, sizeof(used));
	return used;
}
