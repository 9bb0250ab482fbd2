/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake-bad-device: the balloon device, breaking the rules that a driver relies on.
 *
 * Theory of operation
 * -------------------
 * It is aerostat-device, built from the same libraries and the same main(), but
 * linked so that seven functions of these libraries are replaced here (--wrap, see
 * meson.build):
 *
 *	virtqueue_push()	returns buffers late, never, twice, out of order, …
 *	virtqueue_should_notify()  sends no interrupt
 *	virtqueue_stop()	the driver has reset the queue: drops kept buffers
 *	balloon_kick()		handles kicks late or never
 *	balloon_set_features()	refuses what the driver acknowledges
 *	balloon_work()		does what is due, and sends storms of interrupts
 *	control_answer_request()  understands one more command, x-misbehave
 *
 * So the real device needs no hooks for tests, and the fake differs from it only
 * where x-misbehave tells it to.
 *
 * The ways to misbehave are in a table (misbehave_command.c), like the commands.
 * One process serves one guest, so their state is one global.
 */
#ifndef TESTS_FAKES_MISBEHAVE_H
#define TESTS_FAKES_MISBEHAVE_H

#include "device/state.h"
#include "io/loop.h"

#define FOR_EVER (-1)
#define HELD_TOKENS_MAX (BALLOON_QUEUES_MAX * BALLOON_QUEUE_SIZE)

/* How one kind of queue misbehaves. */
struct bad_queue {
	int64_t keep_ms;      /* how late buffers are returned, or FOR_EVER; 0: at once */
	int64_t deaf_ms;      /* how late kicks are handled */
	bool newest_first;    /* kept buffers are returned newest first */
	bool mute;	      /* no interrupt when buffers are returned */
	bool wrong_length;    /* report a larger length than the buffer has */
	unsigned int twice;   /* how many of the next buffers are returned twice */
	unsigned int strays;  /* how many are preceded by one that was never sent */
	bool kicked;	      /* a kick has not been handled yet, */
	uint64_t kick_due_ns; /* and is due then */
};

/* A buffer that the device has finished and keeps. */
struct kept_buffer {
	unsigned int queue;
	struct virtqueue_token token;
	uint32_t written;
	uint64_t due_ns; /* LOOP_NEVER: until x-misbehave returns it */
};

struct misbehaviour {
	struct bad_queue queues[BALLOON_QUEUE_KINDS];
	struct kept_buffer kept[HELD_TOKENS_MAX]; /* the oldest first */
	unsigned int kept_count;

	/* The configuration; 0 is off. */
	uint64_t storm_ns;  /* the period of interrupts without a change */
	uint64_t toggle_ns; /* the period in which num_pages changes between 0 and toggle_pages */
	uint32_t toggle_pages;
	uint64_t storm_due_ns, toggle_due_ns;
	uint64_t interrupts; /* sent without a change, so far */
	uint64_t toggles;
	uint64_t forgeries;   /* returned buffers that were not in flight */
	uint64_t overtakings; /* buffers returned before older ones of their queue */

	bool refuse_features; /* whatever the driver acknowledges */
	bool stats_flood;     /* request statistics whenever they have come */
};
extern struct misbehaviour misbehaviour;

/* How many buffers of a kind of queue are kept. */
unsigned int misbehave_kept(const struct balloon *balloon, enum balloon_queue kind);
/* Returns all kept buffers of a kind of queue, and handles the kick that waits. */
void misbehave_return(struct balloon *balloon, enum balloon_queue kind);
/* Returns all buffers and behaves from now on; num_pages stays as it is. */
void misbehave_heal(struct balloon *balloon);
/* Sets num_pages without regard to the guest's RAM. */
void misbehave_set_num_pages(struct balloon *balloon, uint32_t pages);

#endif
