/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * QEMU sends a greeting, we answer "qmp_capabilities", and from then on each line
 * is one JSON object: a command from us, its answer, or an event, which QEMU may
 * send at any time.  The socket does not block; all waiting happens in
 * qmp_wire_wait_ready(), up to the deadline.
 *
 * At most one command is in flight.  A command whose answer did not come in time
 * stays in flight, and the next one is sent only after that answer has come.  So
 * a QEMU that was stopped has one old command to execute when it resumes, never a
 * queue of them.  Answers are matched to commands by id; an answer with another
 * id belongs to an earlier client's connection and is skipped.
 *
 * Input is not trusted: a message has a maximum length and must be JSON of a
 * known shape.  After invalid input the wire cannot be used again, because the
 * position in the stream is lost.
 *
 * Numbers are read as doubles, because QEMU writes 2^64 - 1 for "unset", which
 * jansson's integers cannot hold.  Doubles are exact up to 2^53, that is 8 PiB.
 */
#include "hypervisor/qmp_wire.h"

#include "hypervisor/hypervisor.h"
#include "hypervisor/shortage.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK 65536
#define EXCERPT_MAX 80
#define CONNECT_RETRY_MS 20

static pid_t read_peer_pid(int fd)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) ? 0 : peer.pid;
}

struct qmp_wire *qmp_wire_new(int fd, qmp_event_fn on_event, void *data)
{
	struct qmp_wire *wire = g_new0(struct qmp_wire, 1);

	wire->fd = fd;
	wire->pid = read_peer_pid(fd);
	/* The clock, so that no two connections use the same ids. */
	wire->serial = g_get_monotonic_time();
	wire->in = g_string_new(NULL);
	wire->on_event = on_event;
	wire->data = data;
	return wire;
}

void qmp_wire_free(struct qmp_wire *wire)
{
	if (!wire)
		return;
	close(wire->fd);
	g_free(wire->command);
	g_free(wire->id);
	g_string_free(wire->in, TRUE);
	g_free(wire);
}

char *qmp_format_excerpt(const char *text, size_t length)
{
	GString *out = g_string_new(NULL);

	for (size_t i = 0; i < length && i < EXCERPT_MAX; i++) {
		if (g_ascii_isprint(text[i]))
			g_string_append_c(out, text[i]);
		else
			g_string_append_printf(out, "\\x%02x", (unsigned char)text[i]);
	}
	if (length > EXCERPT_MAX)
		g_string_append(out, "...");
	return g_string_free(out, FALSE);
}

bool qmp_parse_u64(const json_t *number, uint64_t *value)
{
	double real = json_real_value(number);

	/* Written so that a NaN fails as well. */
	if (!json_is_real(number) || !(real >= 0 && real < 0x1p63) ||
	    real != (double)(uint64_t)real)
		return false;
	*value = (uint64_t)real;
	return true;
}

/* What the wire is waiting for, for an error message; the caller frees. */
static char *qmp_wire_describe_wait(const struct qmp_wire *wire)
{
	if (!wire->greeted)
		return g_strdup("its greeting");
	if (wire->command)
		return g_strdup_printf("the answer to %s", wire->command);
	return g_strdup("the next event");
}

static bool qmp_wire_fail_timeout(const struct qmp_wire *wire, GError **error)
{
	g_autofree char *what = qmp_wire_describe_wait(wire);

	if (!wire->greeted)
		g_set_error(error, HV_ERROR, HV_ERROR_BUSY,
			    "no greeting in time: another program holds the monitor "
			    "(QEMU serves one client at a time); end that program, or give "
			    "QEMU another -qmp socket");
	else
		g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "QEMU did not send %s in time",
			    what);
	return false;
}

/* A shortage says nothing of QEMU, but where the stream was cut is not known any more. */
static bool qmp_wire_fail_shortage(struct qmp_wire *wire, int number, GError **error)
{
	wire->state = QMP_WIRE_BROKEN;
	shortage_set_error(error, number);
	return false;
}

static bool qmp_wire_fail_lost(struct qmp_wire *wire, const char *why, GError **error)
{
	g_autofree char *what = qmp_wire_describe_wait(wire);

	wire->state = QMP_WIRE_LOST;
	if (wire->in->len && !memchr(wire->in->str, '\n', wire->in->len)) {
		g_autofree char *excerpt = qmp_format_excerpt(wire->in->str, wire->in->len);

		g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL,
			    "the connection ended in the middle of a message: %s", excerpt);
	} else {
		g_set_error(error, HV_ERROR, HV_ERROR_UNREACHABLE,
			    "the connection was lost before QEMU sent %s: %s", what, why);
	}
	return false;
}

static bool qmp_wire_fail_protocol(struct qmp_wire *wire, const char *text, size_t length,
				   const char *why, GError **error)
{
	g_autofree char *excerpt = qmp_format_excerpt(text, length);

	wire->state = QMP_WIRE_BROKEN;
	g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL, "QEMU sent %s: %s%s", excerpt, why,
		    wire->greeted ? "" : "; is this a socket of QEMU's option -qmp?");
	return false;
}

static bool qmp_wire_fail_message(struct qmp_wire *wire, const json_t *message, const char *why,
				  GError **error)
{
	g_autofree char *text = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);

	return qmp_wire_fail_protocol(wire, text, strlen(text), why, error);
}

/* Waits until the socket is ready for POLLIN or POLLOUT. */
static bool qmp_wire_wait_ready(struct qmp_wire *wire, short events, int64_t deadline,
				GError **error)
{
	struct pollfd pfd = { .fd = wire->fd, .events = events };
	int64_t left_us;
	int n;

	do {
		left_us = CLAMP(deadline - g_get_monotonic_time(), 0, G_MAXINT);
		n = poll(&pfd, 1, (int)((left_us + 999) / 1000));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return qmp_wire_fail_shortage(wire, errno, error);
	return n > 0 || qmp_wire_fail_timeout(wire, error);
}

/* Appends what has arrived to the buffer, waiting for it if necessary. */
static bool qmp_wire_receive(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	char chunk[CHUNK];
	ssize_t n;

	while ((n = recv(wire->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) < 0) {
		if (errno == EINTR)
			continue;
		if (shortage_is_errno(errno))
			return qmp_wire_fail_shortage(wire, errno, error);
		if (errno != EAGAIN)
			return qmp_wire_fail_lost(wire, g_strerror(errno), error);
		if (!qmp_wire_wait_ready(wire, POLLIN, deadline, error))
			return false;
	}
	if (n == 0)
		return qmp_wire_fail_lost(wire, "it was closed", error);
	g_string_append_len(wire->in, chunk, n);
	return true;
}

static json_t *qmp_wire_read_message(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	size_t seen = 0, length;
	json_t *message;
	json_error_t wrong;
	char *end;

	while (!(end = memchr(wire->in->str + seen, '\n', wire->in->len - seen))) {
		seen = wire->in->len;
		if (seen > QMP_WIRE_MESSAGE_MAX) {
			qmp_wire_fail_protocol(wire, wire->in->str, seen, "a message over 4 MiB",
					       error);
			return NULL;
		}
		if (!qmp_wire_receive(wire, deadline, error))
			return NULL;
	}
	length = (size_t)(end - wire->in->str);
	message = json_loadb(wire->in->str, length, JSON_DECODE_INT_AS_REAL, &wrong);
	if (message)
		g_string_erase(wire->in, 0, (gssize)length + 1);
	else if (!*wrong.text) /* jansson describes every other failure */
		shortage_set_error(error, ENOMEM);
	else
		qmp_wire_fail_protocol(wire, wire->in->str, length, "not a line of JSON", error);
	return message;
}

static bool qmp_wire_send_command(struct qmp_wire *wire, int64_t deadline, const char *command,
				  json_t *arguments, GError **error)
{
	json_auto_t *message = NULL;
	g_autofree char *text = NULL, *line = NULL;
	size_t length, sent = 0;

	wire->command = g_strdup(command);
	wire->id = g_strdup_printf("aerostat-%" G_GINT64_FORMAT, wire->serial++);
	message = json_pack("{s:s, s:o*, s:s}", "execute", command, "arguments", arguments, "id",
			    wire->id);
	text = json_dumps(message, JSON_COMPACT);
	line = g_strconcat(text, "\n", NULL);
	length = strlen(line);

	while (sent < length) {
		ssize_t n = send(wire->fd, line + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno == EAGAIN) {
			if (!qmp_wire_wait_ready(wire, POLLOUT, deadline, error)) {
				wire->state = QMP_WIRE_BROKEN;
				return false;
			}
		} else if (shortage_is_errno(errno)) {
			return qmp_wire_fail_shortage(wire, errno, error);
		} else if (errno != EINTR) {
			return qmp_wire_fail_lost(wire, g_strerror(errno), error);
		}
	}
	return true;
}

/*
 * Reads one message.  Passes on an event, skips an answer to someone else's
 * command, and stores the answer to ours in *answer.
 */
static bool qmp_wire_handle_message(struct qmp_wire *wire, int64_t deadline, json_t **answer,
				    GError **error)
{
	json_auto_t *message = qmp_wire_read_message(wire, deadline, error);
	const char *id;

	if (!message)
		return false;
	if (json_is_string(json_object_get(message, "event"))) {
		if (!wire->on_event || wire->on_event(message, wire->data, error))
			return true;
		wire->state = QMP_WIRE_BROKEN;
		return false;
	}
	if (!json_object_get(message, "return") && !json_object_get(message, "error"))
		return qmp_wire_fail_message(wire, message, "neither an answer nor an event",
					     error);
	id = json_string_value(json_object_get(message, "id"));
	if (wire->id && g_strcmp0(id, wire->id) == 0) {
		*answer = g_steal_pointer(&message);
		g_clear_pointer(&wire->command, g_free);
		g_clear_pointer(&wire->id, g_free);
	}
	return true;
}

/* Waits for the answer to the command in flight. */
static json_t *qmp_wire_await_answer(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	json_t *answer = NULL;

	do {
		if (!qmp_wire_handle_message(wire, deadline, &answer, error))
			return NULL;
		if (answer)
			return answer;
	} while (g_get_monotonic_time() < deadline);
	qmp_wire_fail_timeout(wire, error);
	return NULL;
}

static enum hv_error qmp_convert_error_class(const char *class)
{
	if (g_str_equal(class, "DeviceNotActive"))
		return HV_ERROR_NO_BALLOON;
	if (g_str_equal(class, "CommandNotFound"))
		return HV_ERROR_UNSUPPORTED;
	return HV_ERROR_REFUSED;
}

bool qmp_is_answer(const GError *error)
{
	return g_error_matches(error, HV_ERROR, HV_ERROR_NO_BALLOON) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_UNSUPPORTED) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED);
}

/* What QEMU returned in @answer; NULL with QEMU's error if it is one. */
static json_t *qmp_wire_unwrap_answer(struct qmp_wire *wire, const char *command,
				      const json_t *answer, GError **error)
{
	g_autofree char *excerpt = NULL;
	const char *class, *desc;
	json_t *result = json_object_get(answer, "return");

	if (result)
		return json_incref(result);
	if (json_unpack((json_t *)answer, "{s:{s:s, s:s}}", "error", "class", &class, "desc",
			&desc)) {
		qmp_wire_fail_message(wire, answer, "an error that does not say what is wrong",
				      error);
		return NULL;
	}
	excerpt = qmp_format_excerpt(desc, strlen(desc));
	g_set_error(error, HV_ERROR, qmp_convert_error_class(class), "QEMU refused %s: %s", command,
		    excerpt);
	return NULL;
}

json_t *qmp_wire_execute(struct qmp_wire *wire, int64_t deadline, const char *command,
			 json_t *arguments, GError **error)
{
	json_auto_t *owned = arguments, *late = NULL, *answer = NULL;

	if (wire->command && !(late = qmp_wire_await_answer(wire, deadline, error)))
		return NULL;
	if (!qmp_wire_send_command(wire, deadline, command, g_steal_pointer(&owned), error))
		return NULL;
	answer = qmp_wire_await_answer(wire, deadline, error);
	return answer ? qmp_wire_unwrap_answer(wire, command, answer, error) : NULL;
}

bool qmp_wire_pump(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	json_auto_t *late = NULL;

	return qmp_wire_handle_message(wire, deadline, &late, error);
}

/* QEMU sends an event to a client that has just connected even before its greeting. */
static json_t *read_greeting(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	json_t *message;

	while ((message = qmp_wire_read_message(wire, deadline, error)) &&
	       json_object_get(message, "event"))
		json_decref(message);
	return message;
}

bool qmp_wire_negotiate(struct qmp_wire *wire, int64_t deadline, GError **error)
{
	json_auto_t *answer = NULL, *result = NULL;

	if (wire->ready)
		return true;
	if (!wire->greeted) {
		json_auto_t *greeting = read_greeting(wire, deadline, error);

		if (!greeting)
			return false;
		if (!json_is_object(json_object_get(greeting, "QMP")))
			return qmp_wire_fail_message(wire, greeting, "not a greeting", error);
		wire->greeted = true;
		if (!qmp_wire_send_command(wire, deadline, "qmp_capabilities", NULL, error))
			return false;
	}
	if (!(answer = qmp_wire_await_answer(wire, deadline, error)))
		return false;
	result = qmp_wire_unwrap_answer(wire, "qmp_capabilities", answer, error);
	wire->ready = result != NULL;
	if (!wire->ready)
		wire->state = QMP_WIRE_BROKEN;
	return wire->ready;
}

/* Makes one attempt; returns a connected socket, or -1 with errno. */
static int qmp_wire_try_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static void qmp_wire_fail_connect(const char *path, int saved, GError **error)
{
	enum hv_error code = HV_ERROR_UNREACHABLE;
	const char *what = g_strerror(saved);
	struct stat st;

	if (shortage_is_errno(saved)) {
		code = HV_ERROR_SHORTAGE;
		what = shortage_explain(saved);
	} else if (saved == EACCES || saved == EPERM) {
		code = HV_ERROR_DENIED;
		what = "permission denied; run this as root or as the user that QEMU runs as";
	} else if (saved == EAGAIN) {
		code = HV_ERROR_BUSY;
		what = "the monitor's queue is full: another program holds the monitor "
		       "(QEMU serves one client at a time); end that program, or give QEMU "
		       "another -qmp socket";
	} else if (saved == ENOENT || saved == ENOTDIR) {
		what = "no such socket";
	} else if (saved == EPROTOTYPE || (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))) {
		what = "not a stream socket";
	} else if (saved == ECONNREFUSED) {
		what = "no process listens on the socket any more";
	} else {
		code = HV_ERROR_FAILED; /* e.g. ELOOP or EIO: it may be there */
	}
	g_set_error(error, HV_ERROR, code, "%s", what);
}

struct qmp_wire *qmp_wire_connect(const char *path, int64_t deadline, qmp_event_fn on_event,
				  void *data, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "the path is too long for a socket: it has %zu bytes, and at most %zu "
			    "are allowed",
			    strlen(path), sizeof(address.sun_path) - 1);
		return NULL;
	}
	strcpy(address.sun_path, path);
	/*
	 * No system call waits for room in a listener's full queue, or for a descriptor: another
	 * thread of a process with many guests closes one soon.
	 */
	while ((fd = qmp_wire_try_connect(&address)) < 0 &&
	       (errno == EAGAIN || shortage_is_errno(errno)) && g_get_monotonic_time() < deadline)
		poll(NULL, 0, CONNECT_RETRY_MS);
	if (fd < 0) {
		qmp_wire_fail_connect(path, errno, error);
		return NULL;
	}
	return qmp_wire_new(fd, on_event, data);
}
