/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/pull_watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

struct pull_watch {
	void (*pulled)(void *data);
	void *data;
	int fd; /* -1: lost */
	guint source;
	char line[LINE_MAX_BYTES]; /* what has come of the next line */
	size_t filled;
};

/* The kernel gives the lowest free number, so a high one shows that few are left. */
static bool is_scarce(int fd)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_NOFILE, &limit) && (rlim_t)fd >= limit.rlim_cur / 2;
}

static int connect_to_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (!is_scarce(fd) && !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static bool negotiate_events(int fd)
{
	static const char line[] = "{\"execute\": \"qmp_capabilities\"}\n";

	return send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line);
}

/* @line is one message, without its newline. */
static bool is_pull(const char *line, size_t length)
{
	json_auto_t *message = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));

	return event && g_str_equal(event, "X_PULL");
}

/* Takes whole lines out of the buffer; returns whether any of them is a pull. */
static bool take_lines(struct pull_watch *watch)
{
	bool pulled = false;
	char *end;

	while ((end = memchr(watch->line, '\n', watch->filled))) {
		size_t length = (size_t)(end - watch->line);

		pulled |= is_pull(watch->line, length);
		watch->filled -= length + 1;
		memmove(watch->line, end + 1, watch->filled);
	}
	return pulled;
}

static void close_watch(struct pull_watch *watch)
{
	close(watch->fd);
	watch->fd = -1;
	watch->source = 0;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
	struct pull_watch *watch = data;
	ssize_t got = recv(fd, watch->line + watch->filled, sizeof(watch->line) - watch->filled,
			   MSG_DONTWAIT);
	bool pulled;

	(void)condition;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (got > 0)
		watch->filled += (size_t)got;
	pulled = got > 0 && take_lines(watch);
	if (got <= 0 || watch->filled == sizeof(watch->line)) {
		close_watch(watch);
		return G_SOURCE_REMOVE;
	}
	/* Last, as it may free the watch. */
	if (pulled)
		watch->pulled(watch->data);
	return G_SOURCE_CONTINUE;
}

struct pull_watch *pull_watch_new(const char *path, void (*pulled)(void *data), void *data)
{
	int fd = connect_to_socket(path);
	struct pull_watch *watch;

	if (fd < 0)
		return NULL;
	if (!negotiate_events(fd)) {
		close(fd);
		return NULL;
	}
	watch = g_new0(struct pull_watch, 1);
	watch->pulled = pulled;
	watch->data = data;
	watch->fd = fd;
	watch->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, watch);
	return watch;
}

bool pull_watch_is_open(const struct pull_watch *watch)
{
	return watch->fd >= 0;
}

void pull_watch_free(struct pull_watch *watch)
{
	if (!watch)
		return;
	if (watch->fd >= 0) {
		g_source_remove(watch->source);
		close(watch->fd);
	}
	g_free(watch);
}
