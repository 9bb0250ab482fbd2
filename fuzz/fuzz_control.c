/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: what a client sends, in parts of any size.
 *
 * The first byte selects the size of the parts, and whether capabilities are
 * negotiated first; the rest is sent.  Whatever it is, each line that comes back
 * must be one JSON object of a known kind, and another client must be served.
 */
#include "control/control_state.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz/harness.h"

#define RAM (UINT64_C(16) << 20)

struct rig {
	struct harness harness; /* first: the host's @data points to both */
	struct control *control;
	struct sockaddr_un address;
	socklen_t address_length;
	char heard[CONTROL_OUT_MAX * 2];
	size_t heard_length;
};

static void ignore_quit(void *data)
{
	(void)data;
}

static void relay_event(void *data, enum balloon_event event)
{
	struct rig *rig = data;

	control_report_event(rig->control, event);
}

static uint64_t real_now_ns(void *data)
{
	(void)data;
	return loop_now_ns();
}

/* Binding without a path makes Linux choose an abstract name. */
static int listen_somewhere(struct rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	rig->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	rig->address_length = sizeof(rig->address);
	require(!bind(fd, (struct sockaddr *)&rig->address, sizeof(sa_family_t)));
	require(!getsockname(fd, (struct sockaddr *)&rig->address, &rig->address_length));
	require(!listen(fd, 16));
	return fd;
}

static void open_rig(struct rig *rig, void *ram)
{
	struct balloon_host host = harness_host(&rig->harness);
	const struct balloon_options options = { .features = balloon_default_features() };
	const struct control_options control = { .transport = "none", .quit = ignore_quit };

	host.event = relay_event;
	host.now_ns = real_now_ns;
	harness_begin(&rig->harness, &options, &host);
	require(!balloon_add(rig->harness.balloon, 0, RAM, ram));
	rig->control = control_new(rig->harness.loop, rig->harness.balloon, listen_somewhere(rig),
				   &control);
	rig->heard_length = 0;
}

static int connect_to(struct rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	require(!connect(fd, (struct sockaddr *)&rig->address, rig->address_length));
	harness_rounds(&rig->harness, 1);
	return fd;
}

static void check_line(const char *line, size_t length)
{
	/* 2^64 - 1 does not fit into jansson's integers. */
	json_t *message = json_loadb(line, length, JSON_DECODE_INT_AS_REAL, NULL);

	require(json_is_object(message));
	require(json_object_get(message, "return") || json_object_get(message, "error") ||
		json_object_get(message, "event") || json_object_get(message, "QMP"));
	json_decref(message);
}

/* Receives what has come; false when the connection was closed. */
static bool hear(struct rig *rig, int fd)
{
	char *end;
	ssize_t n;

	while ((n = recv(fd, rig->heard + rig->heard_length, sizeof(rig->heard) - rig->heard_length,
			 0)) > 0)
		rig->heard_length += (size_t)n;
	while ((end = memchr(rig->heard, '\n', rig->heard_length))) {
		size_t length = (size_t)(end - rig->heard) + 1;

		check_line(rig->heard, length);
		rig->heard_length -= length;
		memmove(rig->heard, end + 1, rig->heard_length);
	}
	require(rig->heard_length < sizeof(rig->heard));
	return n < 0;
}

static void say(struct rig *rig, int fd, const uint8_t *bytes, size_t size, size_t piece)
{
	while (size) {
		size_t part = size < piece ? size : piece;
		ssize_t n = send(fd, bytes, part, MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
		harness_rounds(&rig->harness, 1);
		if (!hear(rig, fd))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = "{\"execute\": \"qmp_capabilities\"}";
	static uint8_t ram[RAM] __attribute__((aligned(4096)));
	static struct rig rig;
	uint8_t first = size ? data[0] : 0;
	int fd, other;

	open_rig(&rig, ram);
	fd = connect_to(&rig);
	if (first & 1)
		say(&rig, fd, hello, sizeof(hello) - 1, sizeof(hello));
	if (size)
		say(&rig, fd, data + 1, size - 1, (first >> 1) * 37u + 1);
	rig.heard_length = 0;
	other = connect_to(&rig);
	require(hear(&rig, other));
	close(fd);
	close(other);
	harness_rounds(&rig.harness, 1);
	control_free(rig.control);
	harness_end(&rig.harness);
	return 0;
}
