/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each line is one write(), so that lines of several threads do not mix.  When standard error is a
 * pipe that nobody reads, lines are lost rather than holding up the daemon.
 */
#include "aerostatd/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/plain_text.h"

#define LINE_MAX_BYTES 2048 /* below PIPE_BUF, so that a line is written as a whole */

static gint is_verbose; /* atomic */

/* Whether standard error is still the stream that systemd connected: systemd.exec(5). */
static bool is_stderr_journal(void)
{
	const char *stream = g_getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static char *make_log_prefix(int level)
{
	if (is_stderr_journal())
		return g_strdup_printf("<%d>", level);
	if (level <= LOG_ERR)
		return g_strdup("error: ");
	if (level == LOG_WARNING)
		return g_strdup("warning: ");
	return g_strdup(level >= LOG_DEBUG ? "debug: " : "");
}

static void write_stderr_line(const char *line, size_t length)
{
	struct pollfd poller = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&poller, 1, 0) == 1 && poller.revents & POLLOUT)
		(void)!write(STDERR_FILENO, line, length);
}

void manager_log(int level, const char *format, ...)
{
	g_autofree char *text = NULL;
	g_autofree char *plain = NULL;
	g_autofree char *start = NULL;
	char line[LINE_MAX_BYTES];
	va_list arguments;
	int length;

	if (level >= LOG_DEBUG && !g_atomic_int_get(&is_verbose))
		return;
	va_start(arguments, format);
	text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	plain = plain_text(text);
	start = make_log_prefix(level);
	length = snprintf(line, sizeof(line) - 1, "%s%s", start, plain);
	length = MIN(length, (int)sizeof(line) - 2);
	line[length] = '\n';
	write_stderr_line(line, (size_t)length + 1);
}

void manager_log_verbose(bool verbose)
{
	g_atomic_int_set(&is_verbose, verbose);
}
