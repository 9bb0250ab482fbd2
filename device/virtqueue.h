/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtqueue, on the device's side (VIRTIO 1.2, 2.7 split and 2.8 packed).
 *
 * Theory of operation
 * -------------------
 * A queue hands out chains of descriptors and takes them back.  A chain is a
 * list of guest addresses and lengths.  It is copied out of the guest once, into
 * the caller's struct, and validated there: nothing is read twice, and no walk is
 * longer than the queue (or than VIRTQUEUE_SIZE_MAX, for an indirect table).  The
 * content of the buffers is read elsewhere, by memory_read().
 *
 * A wrong chain (it loops, is too long, refers to an indirect table that is not
 * in RAM, has directions in the wrong order, …) is handed out too, with its fault
 * and no segments, so that its descriptor can be returned.  Only a ring that no
 * longer makes sense breaks the queue: a head outside the table, an available
 * index further ahead than the ring is long, a packed chain that does not end or
 * has entries that are not available, more buffers in flight than the queue has
 * entries.  A broken queue hands out nothing more until it is started again, and
 * the device sets DEVICE_NEEDS_RESET.  So a guest cannot make its device hold more
 * tokens than the queue's size.
 *
 * Rings stay in guest memory.  When the memory map changes, their addresses are
 * looked up again (virtqueue_relocate()).  A ring that is not entirely in RAM for
 * now is at rest, which is not a fault.
 *
 * Memory order: what the driver wrote before it published an index is read after
 * that index (acquire), what the device wrote is published by a release, and there
 * is a full fence between publishing and reading whether the other side wants to
 * be notified.
 *
 * A queue is used by one thread.
 */
#ifndef AEROSTAT_DEVICE_VIRTQUEUE_H
#define AEROSTAT_DEVICE_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "device/memory.h"

#define VIRTQUEUE_SIZE_MAX 1024
#define VIRTQUEUE_SEGMENTS_MAX VIRTQUEUE_SIZE_MAX

/* What the driver set up; addresses are the guest's. */
struct virtqueue_setup {
	uint64_t desc;	 /* descriptor table; packed: the ring */
	uint64_t driver; /* available ring; packed: driver event suppression */
	uint64_t device; /* used ring; packed: device event suppression */
	uint16_t size;	 /* entries; a power of two unless packed */
	bool packed;	 /* VIRTIO_F_RING_PACKED was acknowledged */
	bool indirect;	 /* VIRTIO_F_INDIRECT_DESC */
	bool event_idx;	 /* VIRTIO_F_EVENT_IDX */
	bool big_endian; /* a legacy driver of a big-endian guest; never with VERSION_1 */
	/*
	 * Where to begin, for a queue that comes from another process.  Split: the
	 * next available index (the used index is read from the ring, once).
	 * Packed: bits 0-14 the next available index, 15 its wrap counter, 16-30 the
	 * next used index, 31 its wrap counter (vhost-user's vring base).  For a new
	 * queue: VIRTQUEUE_BASE_SPLIT or VIRTQUEUE_BASE_PACKED.
	 */
	uint32_t base;
};
#define VIRTQUEUE_BASE_SPLIT UINT32_C(0)
#define VIRTQUEUE_BASE_PACKED UINT32_C(0x80008000)

struct virtqueue {
	struct virtqueue_setup setup;
	bool started;
	bool broken;
	/* NULL while the ring is not entirely in RAM. */
	uint8_t *desc, *driver, *device;
	uint16_t next_avail; /* split: free-running; packed: index */
	uint16_t next_used;
	bool avail_wrap, used_wrap; /* packed */
	bool used_known;	    /* split: next_used has been read from the ring */
	uint16_t in_flight; /* entries handed out and not returned yet: sum of token.count */
	uint32_t pushed;    /* entries returned since the last virtqueue_should_notify() */
	bool asked;	    /* virtqueue_should_notify() has been called since the start */
};

enum virtqueue_fault {
	VIRTQUEUE_OK,
	VIRTQUEUE_LOOP,	     /* a chain longer than its table */
	VIRTQUEUE_INDEX,     /* next is outside of the table */
	VIRTQUEUE_INDIRECT,  /* not negotiated, nested, amid a chain, empty, not a whole number of
			      * entries, too large or not in RAM */
	VIRTQUEUE_DIRECTION, /* a readable descriptor after a writable one */
	VIRTQUEUE_EMPTY,     /* a chain without a single byte */
	VIRTQUEUE_FAULT_COUNT
};
/* "loop", "index", …; "unknown" for a value that is none of them. */
const char *virtqueue_fault_name(enum virtqueue_fault fault);

struct virtqueue_segment {
	uint64_t gpa;
	uint32_t length; /* never 0 */
};

/* What has to be kept of a chain in order to return it. */
struct virtqueue_token {
	uint16_t id;	/* split: the head's index; packed: the buffer id */
	uint16_t count; /* split: 1; packed: ring entries that it took */
};

struct virtqueue_chain {
	struct virtqueue_token token;
	enum virtqueue_fault fault;
	unsigned int readable; /* segments[0 .. readable) are for the device to read, */
	unsigned int writable; /* the next @writable ones for it to write */
	uint64_t readable_bytes, writable_bytes;
	struct virtqueue_segment segments[VIRTQUEUE_SEGMENTS_MAX];
};

/*
 * virtqueue_start - start serving the ring that @setup describes
 *
 * 0, or -EINVAL with nothing changed: a size that is 0, above VIRTQUEUE_SIZE_MAX or
 * (split) not a power of two, an address that wraps or is not aligned as VIRTIO
 * 2.7 and 2.8 require, a base outside the ring, a big-endian packed ring.  A ring
 * outside RAM is started, and at rest.
 */
int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_setup *setup);
/* Stops serving the ring; it is not accessed any more. */
void virtqueue_stop(struct virtqueue *queue);
/* Where another process would continue: a base for struct virtqueue_setup.  Also after a stop. */
uint32_t virtqueue_base(const struct virtqueue *queue);

/* Looks up the ring again.  To be called after any change of @memory, before other functions. */
void virtqueue_relocate(struct virtqueue *queue, const struct memory *memory);
/* Is the queue started, not broken, and in RAM? */
bool virtqueue_ready(const struct virtqueue *queue);

/*
 * virtqueue_pop - take the next chain that the driver made available
 *
 * 1 with @chain filled, and its fault to be looked at; 0 if there is none or the
 * queue is not ready; -EPROTO if the ring makes no sense, and then the queue is
 * broken.
 */
int virtqueue_pop(struct virtqueue *queue, const struct memory *memory,
		  struct virtqueue_chain *chain);

/*
 * virtqueue_push - return a chain of which the first @written writable bytes were filled
 *
 * If the queue is not ready, the chain is dropped.
 */
void virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);

/*
 * virtqueue_should_notify - after one or more pushes: does the driver want an interrupt?
 *
 * If so, the caller has to send it: the next call is about later pushes only.  It
 * is not known whether a former process still owed an interrupt, so the first
 * pushes after a start cause one unless the driver has disabled interrupts.
 */
bool virtqueue_should_notify(struct virtqueue *queue);

/* Asks the driver not to kick while the queue is being worked on anyway. */
void virtqueue_disable_kicks(struct virtqueue *queue);
/*
 * Asks the driver to kick for the next chain.  True if one became available
 * meanwhile, for which the driver may not have kicked: call virtqueue_pop() again.
 */
bool virtqueue_enable_kicks(struct virtqueue *queue);

#endif
