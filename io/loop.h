/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device process's event loop: epoll, a few timers, and work in steps.
 *
 * Theory of operation
 * -------------------
 * One thread, everything in it.  Each round: one bounded step of work
 * (loop_set_work()), then whatever the sockets have, then the timers that are
 * due.  While there is work the sockets are only looked at, so neither waits
 * for the other; with none the process sleeps until something happens, with no
 * wake-up of its own.
 *
 * Written here and not taken from GLib because the process is to allocate
 * nothing while it runs and to need few system calls (sandbox.c lists them).
 */
#ifndef AEROSTAT_TRANSPORT_LOOP_H
#define AEROSTAT_TRANSPORT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES_MAX 64
#define LOOP_NEVER UINT64_MAX

struct loop;

/* A file descriptor that is watched; embed it, it must not move while it is added. */
struct loop_source {
	int fd;
	void (*ready)(struct loop_source *source, uint32_t events); /* EPOLLIN, … */
	bool added;
};

/* Embed it; due_ns is CLOCK_MONOTONIC, LOOP_NEVER when not set. */
struct loop_timer {
	uint64_t due_ns;
	void (*due)(struct loop_timer *timer); /* set back to LOOP_NEVER before it is called */
	struct loop_timer *next;	       /* the loop's */
};

struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* 0 or -errno; -ENOSPC when there are too many. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
/* Safe from within any callback, also for sources whose turn would come in the same round. */
void loop_remove(struct loop *loop, struct loop_source *source);
void loop_add_timer(struct loop *loop, struct loop_timer *timer);
void loop_remove_timer(struct loop *loop, struct loop_timer *timer);
/* @step does a bounded piece of work and tells in how many ns it wants to be called again:
 * 0 at once, LOOP_NEVER. */
void loop_set_work(struct loop *loop, uint64_t (*step)(void *data), void *data);

uint64_t loop_now_ns(void); /* CLOCK_MONOTONIC */
/* Until loop_quit(); 0, or -errno when epoll itself fails. */
int loop_run(struct loop *loop);
/* One round, without sleeping longer than @wait_ns: for tests and fuzzers. */
int loop_round(struct loop *loop, uint64_t wait_ns);
void loop_quit(struct loop *loop);

#endif
