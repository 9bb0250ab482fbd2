/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/loop.h"

#define NS_PER_TOKEN (UINT64_C(1000000000) / LOG_PER_S)

/* systemd sets JOURNAL_STREAM to the device and inode of standard error: systemd.exec(5). */
static bool is_journal_stream(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

void log_init(struct log *log, int fd, enum log_level level)
{
	*log = (struct log){
		.fd = fd,
		.level = level,
		.journal = is_journal_stream(fd),
		.tokens = LOG_BURST,
	};
}

static const char *get_level_prefix(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	case LOG_LEVEL_INFO:
		break;
	}
	return "";
}

/*
 * Writes the line in one call.  A line is shorter than PIPE_BUF, so a pipe that poll() says is
 * ready takes it whole and without blocking.
 */
static bool write_log_line(const struct log *log, enum log_level level, const char *text)
{
	struct pollfd poller = { .fd = log->fd, .events = POLLOUT };
	char line[LOG_LINE_MAX];
	char prefix[8];
	int length;

	snprintf(prefix, sizeof(prefix), "<%d>", (int)level);
	length = snprintf(line, sizeof(line), "%s%.*s\n",
			  log->journal ? prefix : get_level_prefix(level), LOG_LINE_MAX - 20, text);
	for (int i = 0; i < length - 1; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	return poll(&poller, 1, 0) == 1 && poller.revents & POLLOUT &&
	       write(log->fd, line, (size_t)length) == length;
}

static void refill_tokens(struct log *log, uint64_t now_ns)
{
	uint64_t tokens = (now_ns - log->refilled_ns) / NS_PER_TOKEN;

	log->refilled_ns += tokens * NS_PER_TOKEN;
	tokens += log->tokens;
	log->tokens = tokens < LOG_BURST ? (unsigned int)tokens : LOG_BURST;
}

void log_line_at(struct log *log, uint64_t now_ns, enum log_level level, const char *text)
{
	char count[64];

	if (level > log->level)
		return;
	refill_tokens(log, now_ns);
	if (!log->tokens) {
		log->dropped++;
		return;
	}
	if (log->dropped) {
		snprintf(count, sizeof(count), "%u log lines were dropped here", log->dropped);
		if (write_log_line(log, LOG_LEVEL_WARNING, count))
			log->dropped = 0;
	}
	log->tokens--;
	if (!write_log_line(log, level, text))
		log->dropped++;
}

void log_line(struct log *log, enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_line_at(log, loop_now_ns(), level, text);
}
