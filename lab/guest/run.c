/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs commands as children of init, and collects their output while the main
 * thread does other things.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	unsigned int id; /* 0: free */
	pid_t pid;
	int fd;
	int64_t deadline_ms;
	bool late;
	size_t length;
	char output[128 * 1024];
};

static struct run runs[RUNS];

static _Noreturn void be_command(int output, const char *command)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	write_file("/proc/self/oom_score_adj", "0");
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(output, 1);
	dup2(output, 2);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

/* "TIMEOUT_MS COMMAND" */
void do_run(unsigned int id, char *args)
{
	char *command;
	long long limit = strtoll(args, &command, 10);
	struct run *run = NULL;
	int ends[2];

	for (int i = 0; i < RUNS && !run; i++)
		if (!runs[i].id)
			run = &runs[i];
	if (!run) {
		say(id, EBUSY, "too many commands at once");
		return;
	}
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
		say_errno(id, "run");
		return;
	}
	run->pid = fork();
	if (!run->pid) {
		fcntl(ends[1], F_SETFL, 0);
		be_command(ends[1], command + strspn(command, " "));
	}
	close(ends[1]);
	if (run->pid < 0) {
		say_errno(id, "run");
		close(ends[0]);
		return;
	}
	run->id = id;
	run->fd = ends[0];
	run->length = 0;
	run->late = false;
	run->deadline_ms = now_ms() + limit;
}

/* Reads what a command has written; output that does not fit is dropped. */
static void run_drain(struct run *run)
{
	static char spill[4096];
	ssize_t n;

	do {
		size_t room = sizeof(run->output) - run->length;

		n = read(run->fd, room ? run->output + run->length : spill,
			 room ? room : sizeof(spill));
		if (n > 0 && room)
			run->length += n;
	} while (n > 0);
	if (!n) {
		close(run->fd);
		run->fd = -1;
	}
}

static void run_end(struct run *run, int wait_status)
{
	int status =
		WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);

	if (run->fd >= 0)
		run_drain(run);
	if (run->fd >= 0)
		close(run->fd);
	answer(run->id, run->late ? 124 : status, run->output, run->length);
	run->id = 0;
}

void run_poll(struct pollfd *fds)
{
	for (int i = 0; i < RUNS; i++)
		fds[i] = (struct pollfd){ .fd = runs[i].id ? runs[i].fd : -1, .events = POLLIN };
}

void run_events(const struct pollfd *fds)
{
	for (int i = 0; i < RUNS; i++)
		if (fds[i].revents)
			run_drain(&runs[i]);
}

/* Handles the end of a child that is not a holder: a command, or an orphan of one. */
void run_reaped(pid_t pid, int wait_status)
{
	for (int i = 0; i < RUNS; i++)
		if (runs[i].id && runs[i].pid == pid)
			run_end(&runs[i], wait_status);
}

int run_deadlines(void)
{
	int64_t now = now_ms(), next = -1;

	for (int i = 0; i < RUNS; i++) {
		struct run *run = &runs[i];

		if (!run->id || run->late)
			continue;
		if (run->deadline_ms <= now) {
			run->late = true;
			kill(-run->pid, SIGKILL);
		} else if (next < 0 || run->deadline_ms - now < next) {
			next = run->deadline_ms - now;
		}
	}
	return next;
}
