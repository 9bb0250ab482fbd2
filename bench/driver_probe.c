/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A probe that runs in a guest to measure the effects of the guest driver.
 *
 *	work		prints the pid of each kernel thread, and its run time in ns
 *	bandwidth	copies memory; each line is the KiB copied in a window of 10 ms
 *	latency		sleeps 1 ms at a time; each line is the µs that a sleep took
 *
 * The last two run until SIGTERM, and print only then.  Their first line is
 * their start time, in ms by the clock of init's ping.  The host asks init for
 * the time when it starts something and when that has ended, and so knows which
 * of the lines belong to it.
 */
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MIB (1ULL << 20)
#define PAGE 4096
#define BUFFER (32 * MIB)
#define CHUNK (64 * 1024)
#define WINDOW_NS 10000000LL
#define SLEEP_NS 1000000LL
#define SAMPLES 60000
#define PF_KTHREAD 0x00200000U /* in /proc/PID/stat, see proc(5) */

static uint32_t samples[SAMPLES];
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void *use_memory(size_t bytes)
{
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("probe");
		exit(1);
	}
	for (size_t at = 0; at < bytes; at += PAGE)
		memory[at] = 1;
	return memory;
}

static void print_samples(int64_t start_ns, size_t count)
{
	printf("%lld\n", (long long)(start_ns / 1000000));
	for (size_t i = 0; i < count; i++)
		printf("%u\n", samples[i]);
}

/* Copies word by word, because emulation executes string instructions byte by byte. */
static void copy(uint64_t *restrict to, const uint64_t *restrict from)
{
	for (size_t i = 0; i < CHUNK / sizeof(*to); i++)
		to[i] = from[i];
}

/* A chunk counts in the window in which its copy ends, so a pause leaves windows with 0. */
static void bandwidth(void)
{
	char *from = use_memory(BUFFER), *to = use_memory(BUFFER);
	int64_t start = now_ns();
	size_t window = 0;

	for (size_t at = 0; !stopped; at = (at + CHUNK) % BUFFER) {
		copy((uint64_t *)(to + at), (uint64_t *)(from + at));
		window = (now_ns() - start) / WINDOW_NS;
		if (window >= SAMPLES)
			break;
		samples[window] += CHUNK / 1024;
	}
	print_samples(start, window);
}

static void latency(void)
{
	const struct timespec nap = { .tv_nsec = SLEEP_NS };
	int64_t start = now_ns(), from = start;
	size_t count = 0;

	while (!stopped && count < SAMPLES) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		samples[count++] = (now_ns() - from) / 1000;
		from += samples[count - 1] * 1000LL;
	}
	print_samples(start, count);
}

static bool is_kernel_thread(const char *folder)
{
	char path[64], text[512] = "";
	unsigned int flags = 0;
	const char *rest;
	FILE *file;

	snprintf(path, sizeof(path), "%s/stat", folder);
	file = fopen(path, "r");
	if (!file)
		return false;
	rest = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	fclose(file);
	return rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       flags & PF_KTHREAD;
}

static uint64_t ran_ns(const char *folder)
{
	char path[64];
	uint64_t ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/schedstat", folder);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

static void work(void)
{
	glob_t found;

	if (glob("/proc/[0-9]*", GLOB_NOSORT, NULL, &found))
		exit(1);
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (is_kernel_thread(found.gl_pathv[i]))
			printf("%s %" PRIu64 "\n", found.gl_pathv[i] + strlen("/proc/"),
			       ran_ns(found.gl_pathv[i]));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	signal(SIGTERM, stop);
	memset(samples, 0, sizeof(samples));
	if (!strcmp(what, "work"))
		work();
	else if (!strcmp(what, "bandwidth"))
		bandwidth();
	else if (!strcmp(what, "latency"))
		latency();
	else
		return 1;
	return 0;
}
