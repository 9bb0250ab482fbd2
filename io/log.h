/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log lines on standard error.
 *
 * Theory of operation
 * -------------------
 * If standard error is connected to systemd's journal, a line starts with its
 * priority, "<4>", as sd-daemon(3) specifies; otherwise with its level in words.
 * A line has at most LOG_LINE_MAX bytes, and control characters become '?'.  The
 * rate is limited to a burst of LOG_BURST lines and LOG_PER_S lines per second
 * after it.  A reader that does not read never blocks the device.  Lines that
 * are dropped, for either reason, are counted, and the count is logged later.
 */
#ifndef AEROSTAT_IO_LOG_H
#define AEROSTAT_IO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_MAX 512
#define LOG_BURST 50
#define LOG_PER_S 2

/* The values are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

struct log {
	int fd;
	enum log_level level; /* less important lines are not written */
	bool journal;
	unsigned int tokens, dropped;
	uint64_t refilled_ns;
};

/* Makes @log write to @fd, which stays the caller's, lines of @level or more important ones. */
void log_init(struct log *log, int fd, enum log_level level);
/* Writes one line, formatted as printf() does, without a newline in @format. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes @text as log_line() does, at the time @now_ns (CLOCK_MONOTONIC); for tests. */
void log_line_at(struct log *log, uint64_t now_ns, enum log_level level, const char *text);

#endif
