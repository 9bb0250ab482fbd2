/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake-bad-device: the balloon device, made to break the rules that a driver
 * relies on.
 *
 * Theory of operation
 * -------------------
 * It is aerostat-device, of the same libraries and the same main(), whose linker
 * puts five calls between these libraries through here (--wrap, meson.build):
 *
 *	virtqueue_push()	buffers go back late, never, twice, out of order, …
 *	virtqueue_stop()	the driver has reset the queue: what was kept is void
 *	balloon_kick()		kicks are heard late or never
 *	balloon_work()		where time passes: what is due goes, storms rage
 *	control_answer_request()	one more command, x-misbehave
 *
 * So the real device has no hook for tests, and the fake differs from it only
 * where it is told to.  Until then it behaves.
 *
 * How it is to misbehave is a table (misbehave_command.c), like the commands.
 * One process serves one guest, so what it was told to do is one global.
 */
#ifndef TESTS_FAKES_MISBEHAVE_H
#define TESTS_FAKES_MISBEHAVE_H

#include "device/state.h"
#include "io/loop.h"

#define FOR_EVER (-1)
#define HELD_TOKENS_MAX (BALLOON_QUEUES_MAX * BALLOON_QUEUE_SIZE)

/* What is wrong with a kind of queue. */
struct bad_queue {
	int64_t keep_ms;      /* buffers are returned so much later, or FOR_EVER; 0: at once */
	int64_t deaf_ms;      /* kicks are heard so much later */
	bool newest_first;    /* of the buffers that are kept the newest goes first */
	bool wrong_length;    /* as if more had been written than the buffer has */
	unsigned int twice;   /* so many of the next returns come twice */
	unsigned int strays;  /* so many of the next returns come after one that was never sent */
	bool kicked;	      /* a kick was not heard yet, */
	uint64_t kick_due_ns; /* and will be then */
};

/* A buffer that the device is done with and keeps. */
struct kept_buffer {
	unsigned int queue;
	struct virtqueue_token token;
	uint32_t written;
	uint64_t due_ns; /* LOOP_NEVER: until it is told to return it */
};

struct misbehaviour {
	struct bad_queue queues[BALLOON_QUEUE_KINDS];
	struct kept_buffer kept[HELD_TOKENS_MAX]; /* the oldest first */
	unsigned int kept_count;

	/* The configuration; 0 is off. */
	uint64_t storm_ns;  /* so often its interrupt comes, for nothing */
	uint64_t toggle_ns; /* so often num_pages changes between 0 and toggle_pages */
	uint32_t toggle_pages;
	uint64_t storm_due_ns, toggle_due_ns;
	uint64_t interrupts; /* for no reason, so far */
	uint64_t toggles;
	uint64_t forgeries;   /* buffers that were returned and were not in flight */
	uint64_t overtakings; /* buffers that were returned before older ones of their queue */

	bool stats_flood; /* statistics are asked for whenever they have come */
};
extern struct misbehaviour misbehaviour;

/* Counts what is kept of a kind of queue. */
unsigned int misbehave_kept(const struct balloon *balloon, enum balloon_queue kind);
/* Returns all that is kept of a kind, hears the kick that was not heard. */
void misbehave_return(struct balloon *balloon, enum balloon_queue kind);
/* Returns everything, and behaves from now on; num_pages is left as it is. */
void misbehave_heal(struct balloon *balloon);
/* num_pages as it is, with no regard to the guest's RAM. */
void misbehave_set_num_pages(struct balloon *balloon, uint32_t pages);

#endif
