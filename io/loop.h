/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device process's event loop: epoll, a few timers, and background work.
 *
 * Theory of operation
 * -------------------
 * There is one thread.  Each round of the loop does one bounded step of
 * background work (loop_set_work()), calls back for every socket that is ready,
 * and then for every timer that is due.  While there is work to do, sockets are
 * polled without waiting, so neither work nor sockets starve; without work the
 * process sleeps in epoll until something happens, and never wakes up by itself.
 *
 * This is not GLib's main loop because the process must not allocate memory while
 * it runs, and must need few system calls (aerostat-device/sandbox.c lists them).
 */
#ifndef AEROSTAT_IO_LOOP_H
#define AEROSTAT_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES_MAX 64
#define LOOP_NEVER UINT64_MAX

struct loop;

/* A watched file descriptor.  The caller embeds it and must not move it while it is added. */
struct loop_source {
	int fd;
	void (*ready)(struct loop_source *source, uint32_t events); /* EPOLLIN, … */
	bool added;
};

/* A timer.  The caller embeds it and sets @due_ns: CLOCK_MONOTONIC, or LOOP_NEVER for off. */
struct loop_timer {
	uint64_t due_ns;
	void (*due)(struct loop_timer *timer); /* due_ns is LOOP_NEVER again when it is called */
	struct loop_timer *next;	       /* private to the loop */
};

/* Creates a loop; NULL when memory or descriptors are short. */
struct loop *loop_new(void);
/* Frees @loop, which may be NULL; its sources and timers are left alone. */
void loop_free(struct loop *loop);

/* Watches @source->fd for @events (EPOLLIN, …).  0 or -errno; -ENOSPC: too many sources. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
/* Watches an added source for other events, 0 for only EPOLLHUP and EPOLLERR.  0 or -errno. */
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
/* Stops watching @source, if it was added.  May be called from any callback, for any source; a
 * callback that is due in the same round is cancelled.  The descriptor stays open. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Makes the loop call @timer back when it is due; adding it twice is harmless. */
void loop_add_timer(struct loop *loop, struct loop_timer *timer);
/* Removes @timer, if it was added; may be called from any callback. */
void loop_remove_timer(struct loop *loop, struct loop_timer *timer);

/*
 * loop_set_work - set the function that does background work
 * @step: does one bounded step and returns in how many ns it wants to be called
 *        again: 0 for at once, LOOP_NEVER for not before a source or timer is due
 * @data: passed to @step
 */
void loop_set_work(struct loop *loop, uint64_t (*step)(void *data), void *data);

/* The current time, CLOCK_MONOTONIC. */
uint64_t loop_now_ns(void);
/* Runs rounds until loop_quit() is called.  0, or -errno when epoll itself fails. */
int loop_run(struct loop *loop);
/* Runs one round that sleeps for @wait_ns at most; for tests and fuzzers.  0 or -errno. */
int loop_round(struct loop *loop, uint64_t wait_ns);
/* Makes loop_run() return after the current round. */
void loop_quit(struct loop *loop);

#endif
