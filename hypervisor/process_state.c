/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/process_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A process may be hidden from this user (hidepid=2), or /proc be missing: the kernel knows. */
static bool is_pid_free(pid_t pid)
{
	return kill(pid, 0) && errno == ESRCH;
}

/* ENDED also for a zombie.  RUNNING sets @start_ticks. */
static enum process_state read_process(pid_t pid, uint64_t *start_ticks)
{
	char path[32], text[1024], state;
	unsigned long long ticks;
	const char *name_end;
	ssize_t length;
	int fd;

	if (pid <= 0)
		return PROCESS_UNKNOWN;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && is_pid_free(pid) ? PROCESS_ENDED : PROCESS_UNKNOWN;
	length = read(fd, text, sizeof(text) - 1);
	if (length < 0 && errno == ESRCH) {
		close(fd);
		return PROCESS_ENDED;
	}
	close(fd);
	if (length <= 0)
		return PROCESS_UNKNOWN;
	text[length] = '\0';
	/* The name, in parentheses, may contain anything; the fields after it are numbers. */
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end + 1,
				" %c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d "
				"%*d %*d %*d %llu",
				&state, &ticks) != 2)
		return PROCESS_UNKNOWN;
	*start_ticks = ticks;
	return state == 'Z' || state == 'X' ? PROCESS_ENDED : PROCESS_RUNNING;
}

uint64_t process_start_ticks(pid_t pid)
{
	uint64_t ticks;

	return read_process(pid, &ticks) == PROCESS_RUNNING ? ticks : 0;
}

enum process_state process_find_state(pid_t pid, uint64_t start_ticks)
{
	enum process_state state;
	uint64_t ticks;

	if (!start_ticks)
		return PROCESS_UNKNOWN;
	state = read_process(pid, &ticks);
	return state == PROCESS_RUNNING && ticks != start_ticks ? PROCESS_ENDED : state;
}
