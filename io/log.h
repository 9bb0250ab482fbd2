/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines on standard error.
 *
 * Theory of operation
 * -------------------
 * With systemd's journal at the other end a line begins with its priority,
 * "<4>", as sd-daemon(3) says; elsewhere with a word.  Lines are at most
 * LOG_LINE_MAX long, a burst of LOG_BURST of them and then LOG_PER_S a second;
 * what is more is counted, and the count told.  A reader that does not read
 * never holds up the device: then lines are left out, too.
 */
#ifndef AEROSTAT_TRANSPORT_LOG_H
#define AEROSTAT_TRANSPORT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_MAX 512
#define LOG_BURST 50
#define LOG_PER_S 2

/* The numbers are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

struct log {
	int fd;
	enum log_level level; /* what is less important is not told */
	bool journal;
	unsigned int tokens, left_out;
	uint64_t refilled_ns;
};

void log_init(struct log *log, int fd, enum log_level level);
void log_line(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, told the time, which is CLOCK_MONOTONIC. */
void log_line_at(struct log *log, uint64_t now_ns, enum log_level level, const char *text);

#endif
