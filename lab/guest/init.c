/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PID 1 of a lab guest.
 *
 * Theory of operation
 * -------------------
 * The guest has three serial ports: the kernel's console, the channel
 * (ttyS1) and the heartbeat (ttyS2).  On the channel the host sends requests
 *
 *	ID VERB [ARGS]\n
 *
 * and init sends answers, in the order in which they become available,
 *
 *	ID LENGTH STATUS\n  followed by LENGTH bytes
 *
 * where STATUS is 0, or the exit status of a command, or an errno with a text.
 * An answer with ID 0 is the hello that init sends after a boot.  An empty line
 * is ignored, so that the host can end a line that was cut short.
 *
 * Tests drive guests out of memory on purpose, and init has to survive this and
 * report it.  So everything that it needs is allocated and locked at boot, files
 * in /proc stay open, init is exempt from the OOM killer, and there are three
 * threads:
 *
 *	beat	writes "SEQUENCE UPTIME_MS\n" every 50 ms, at the highest priority:
 *		the host sees any pause or reboot as a gap or a restart
 *	main	polls the channel, commands and holders, and never does anything
 *		that may block on memory
 *	worker	does everything that may block: modules, swap, and held files
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 50
#define REQUEST_MAX 2048
#define STACK_BYTES (256 * 1024)

static struct figure {
	const char *verb;
	const char *path;
	int fd;
} figures[] = {
	{ "meminfo", "/proc/meminfo", -1 },
	{ "vmstat", "/proc/vmstat", -1 },
	{ "psi", "/proc/pressure/memory", -1 },
	{ "swaps", "/proc/swaps", -1 },
};

static void leave(unsigned int id, int how)
{
	say(id, 0, "bye");
	tcdrain(channel);
	reboot(how);
}

static void do_poweroff(unsigned int id, char *args)
{
	(void)args;
	leave(id, RB_POWER_OFF);
}

static void do_reboot(unsigned int id, char *args)
{
	(void)args;
	leave(id, RB_AUTOBOOT);
}

/* "KERNEL INITRD", two files */
static void do_kexec(unsigned int id, char *args)
{
	defer(id, work_kexec, args);
}

static void do_ping(unsigned int id, char *args)
{
	(void)args;
	say_hello(id);
}

static void do_load(unsigned int id, char *args)
{
	defer(id, work_load, args);
}

static void do_unload(unsigned int id, char *args)
{
	defer(id, work_unload, args);
}

static void do_swap(unsigned int id, char *args)
{
	defer(id, work_swap, args);
}

static const struct verb {
	const char *name;
	void (*call)(unsigned int id, char *args);
} verbs[] = {
	{ "ping", do_ping },	 { "run", do_run },	    { "hold", do_hold },
	{ "touch", do_touch },	 { "release", do_release }, { "load", do_load },
	{ "unload", do_unload }, { "swap", do_swap },	    { "poweroff", do_poweroff },
	{ "reboot", do_reboot }, { "kexec", do_kexec },
};

static void say_figure(unsigned int id, const struct figure *figure)
{
	static char text[16 * 1024];
	ssize_t n = pread(figure->fd, text, sizeof(text), 0);

	if (n < 0)
		say_errno(id, figure->path);
	else
		answer(id, 0, text, n);
}

static void obey(char *line)
{
	char *verb, *args;
	unsigned int id = strtoul(line, &verb, 10);

	if (!id)
		return;
	verb += strspn(verb, " ");
	args = verb + strcspn(verb, " ");
	if (*args)
		*args++ = '\0';
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i].name, verb)) {
			verbs[i].call(id, args);
			return;
		}
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		if (!strcmp(figures[i].verb, verb)) {
			say_figure(id, &figures[i]);
			return;
		}
	say(id, ENOSYS, "unknown verb %s", verb);
}

/* The main thread's loop */

static void read_requests(void)
{
	static char line[REQUEST_MAX];
	static size_t length;
	char data[256];
	ssize_t n = read(channel, data, sizeof(data));

	for (ssize_t i = 0; i < n; i++) {
		if (data[i] != '\n') {
			if (length < sizeof(line) - 1)
				line[length++] = data[i];
			continue;
		}
		line[length] = '\0';
		length = 0;
		obey(line);
	}
}

static void reap_children(int signals)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!hold_reaped(pid, status))
			run_reaped(pid, status);
}

static _Noreturn void serve(int signals)
{
	struct pollfd fds[2 + HOLDS + RUNS];

	fds[0] = (struct pollfd){ .fd = channel, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
	for (;;) {
		hold_poll(fds + 2);
		run_poll(fds + 2 + HOLDS);
		if (poll(fds, sizeof(fds) / sizeof(*fds), run_deadlines()) <= 0)
			continue;
		hold_events(fds + 2);
		run_events(fds + 2 + HOLDS);
		if (fds[1].revents)
			reap_children(signals);
		if (fds[0].revents)
			read_requests();
	}
}

/* Boot */

static int open_port(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd < 0 || tcgetattr(fd, &raw)) {
		fprintf(stderr, "init: cannot use %s: %m\n", path);
		return fd;
	}
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSANOW, &raw);
	return fd;
}

static void *beat(void *port)
{
	int fd = *(int *)port;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long sequence = 1;; sequence++) {
		char line[48];
		int n = snprintf(line, sizeof(line), "%lu %lld\n", sequence, (long long)now_ms());

		write_all(fd, line, n);
		next.tv_nsec += BEAT_MS * 1000000L;
		if (next.tv_nsec >= 1000000000L) {
			next.tv_nsec -= 1000000000L;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return NULL;
}

/* @priority: 0 for an ordinary thread, else real time */
static void start_thread(void *(*body)(void *), void *arg, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (priority) {
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
		pthread_attr_setschedparam(&attr, &param);
	}
	pthread_create(&thread, &attr, body, arg);
	pthread_attr_destroy(&attr);
}

static void mount_all(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mount("tmpfs", "/hold", "tmpfs", 0, "size=100%");
}

static int block_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(void)
{
	struct sched_param param = { .sched_priority = 10 };
	static int heart;
	int signals;

	mount_all();
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	signals = block_signals();
	load_modules("boot", NULL);
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		figures[i].fd = open(figures[i].path, O_RDONLY | O_CLOEXEC);
	channel = open_port("/dev/ttyS1");
	heart = open_port("/dev/ttyS2");

	write_file("/proc/self/oom_score_adj", "-1000");
	mlockall(MCL_CURRENT | MCL_FUTURE);
	start_thread(beat, &heart, 50);
	start_thread(worker, NULL, 0);
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
	say_hello(0);
	serve(signals);
}
