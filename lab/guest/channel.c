/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends init's answers on the channel, and runs the worker for requests that may block.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define JOBS 8

struct job {
	unsigned int id;
	void (*work)(unsigned int id, char *args);
	char args[256];
};

int channel = -1;
static pthread_mutex_t channel_lock = PTHREAD_MUTEX_INITIALIZER;

static struct job jobs[JOBS];
static unsigned int jobs_first, jobs_count;
static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_ready = PTHREAD_COND_INITIALIZER;

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

bool write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		length -= n;
	}
	return true;
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write_all(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return ok;
}

void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

void answer(unsigned int id, int status, const void *data, size_t length)
{
	char header[48];
	int n = snprintf(header, sizeof(header), "%u %zu %d\n", id, length, status);

	pthread_mutex_lock(&channel_lock);
	write_all(channel, header, n);
	write_all(channel, data, length);
	pthread_mutex_unlock(&channel_lock);
}

void say(unsigned int id, int status, const char *format, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	answer(id, status, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void say_errno(unsigned int id, const char *what)
{
	int error = errno;

	say(id, error, "%s: %s", what, strerror(error));
}

void say_hello(unsigned int id)
{
	struct utsname host;
	char boot_id[64];

	uname(&host);
	read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
	say(id, 0, "boot_id=%s kernel=%s uptime_ms=%lld", boot_id, host.release,
	    (long long)now_ms());
}

void defer(unsigned int id, void (*work)(unsigned int, char *), const char *args)
{
	struct job *job = NULL;

	pthread_mutex_lock(&jobs_lock);
	if (jobs_count < JOBS) {
		job = &jobs[(jobs_first + jobs_count++) % JOBS];
		job->id = id;
		job->work = work;
		snprintf(job->args, sizeof(job->args), "%s", args);
		pthread_cond_signal(&jobs_ready);
	}
	pthread_mutex_unlock(&jobs_lock);
	if (!job)
		say(id, EBUSY, "too many slow requests at once");
}

void *worker(void *unused)
{
	(void)unused;
	for (;;) {
		struct job job;

		pthread_mutex_lock(&jobs_lock);
		while (!jobs_count)
			pthread_cond_wait(&jobs_ready, &jobs_lock);
		job = jobs[jobs_first];
		jobs_first = (jobs_first + 1) % JOBS;
		jobs_count--;
		pthread_mutex_unlock(&jobs_lock);
		job.work(job.id, job.args);
	}
	return NULL;
}
