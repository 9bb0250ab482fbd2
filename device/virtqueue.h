/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtqueue, seen from the device (VIRTIO 1.2, 2.7 split and 2.8 packed).
 *
 * Theory of operation
 * -------------------
 * A queue hands out chains of descriptors and takes them back.  A chain is a
 * list of guest addresses and lengths, copied out of the guest once, into the
 * caller's struct, and validated there: nothing is read twice, no walk is
 * longer than the queue (or than VIRTQUEUE_SIZE_MAX, for an indirect table),
 * and what the buffers contain is read elsewhere, by memory_read().
 *
 * A chain that is wrong (it loops, is too long, names an indirect table that is
 * not RAM, mixes directions in the wrong order, …) is still handed out, with
 * its fault named and no segments, so that its descriptor can be returned.
 * Only a ring that no longer makes sense (a head outside the table, an avail
 * index that ran further than the ring is long, a packed chain without end or
 * with entries that are not available, more buffers in flight than the queue
 * has entries) breaks the queue: it hands out nothing more until it is started
 * anew, and the device sets DEVICE_NEEDS_RESET.  So a guest cannot make its
 * device hold more than the queue's size of tokens.
 *
 * Rings stay in guest memory.  When the memory map changes their addresses are
 * looked up again (virtqueue_relocate()); a ring that is not wholly in RAM for
 * the moment is at rest, which is no fault.
 *
 * Memory order: what the driver wrote before it published an index is read
 * after that index (acquire), what the device wrote is published by a release,
 * and a full fence stands between publishing and looking at the other side's
 * wish for notifications.
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
	 * Where to begin, for a queue that moves here from another process:
	 * split: the next available index (the used index stands in the ring and is
	 * read there, once).  packed: bits 0-14 the next available
	 * index, 15 its wrap counter, 16-30 the next used index, 31 its wrap
	 * counter (vhost-user's vring base).  A new queue: VIRTQUEUE_BASE_SPLIT
	 * or VIRTQUEUE_BASE_PACKED.
	 */
	uint32_t base;
};
#define VIRTQUEUE_BASE_SPLIT UINT32_C(0)
#define VIRTQUEUE_BASE_PACKED UINT32_C(0x80008000)

struct virtqueue {
	struct virtqueue_setup setup;
	bool started;
	bool broken;
	/* NULL when the ring is not wholly in RAM now. */
	uint8_t *desc, *driver, *device;
	uint16_t next_avail; /* split: free-running; packed: index */
	uint16_t next_used;
	bool avail_wrap, used_wrap; /* packed */
	bool used_known;	    /* split: next_used has been read from the ring */
	uint16_t in_flight; /* entries handed out and not returned yet: sum of token.count */
	uint32_t pushed;    /* entries returned since the last virtqueue_should_notify() */
	bool asked;	    /* virtqueue_should_notify() has looked at the driver's wish before */
};

enum virtqueue_fault {
	VIRTQUEUE_OK,
	VIRTQUEUE_LOOP,	     /* a chain longer than its table */
	VIRTQUEUE_INDEX,     /* next is outside of the table */
	VIRTQUEUE_INDIRECT,  /* not negotiated, nested, amid a chain, empty, ragged, too large or
			      * not in RAM */
	VIRTQUEUE_DIRECTION, /* a readable descriptor behind a writable one */
	VIRTQUEUE_EMPTY,     /* a chain of no bytes at all */
	VIRTQUEUE_FAULT_COUNT
};
const char *virtqueue_fault_name(enum virtqueue_fault fault);

struct virtqueue_segment {
	uint64_t gpa;
	uint32_t length; /* never 0 */
};

/* What has to be kept of a chain to return it. */
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
 * virtqueue_start - take up the ring that @setup describes
 *
 * 0, or -EINVAL with nothing changed: size 0, over VIRTQUEUE_SIZE_MAX or (split)
 * no power of two, an address that is not aligned as VIRTIO 2.7 / 2.8 demand,
 * or that wraps, a base outside of the ring, a big-endian packed ring.  A ring
 * outside of RAM is started and at rest.
 */
int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_setup *setup);
void virtqueue_stop(struct virtqueue *queue);
/* Where another process would begin: a base for struct virtqueue_setup.  Also after a stop. */
uint32_t virtqueue_base(const struct virtqueue *queue);

/* After any change of @memory, before the queue is used again. */
void virtqueue_relocate(struct virtqueue *queue, const struct memory *memory);
/* Started, not broken, and in RAM. */
bool virtqueue_ready(const struct virtqueue *queue);

/*
 * virtqueue_pop - the next chain that the driver made available
 *
 * 1 with @chain filled (look at its fault), 0 when there is none or the queue is
 * not ready, -EPROTO when the ring makes no sense: the queue is broken then.
 */
int virtqueue_pop(struct virtqueue *queue, const struct memory *memory,
		  struct virtqueue_chain *chain);

/* Returns a chain, of whose writable part the first @written bytes were filled.  A queue that is
 * not ready forgets it. */
void virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);

/*
 * After some pushes: does the driver want to be told?  Asking counts as having
 * told.  Since it is not known what a former process owed the driver, the first
 * pushes after a start are told of unless the driver wants to hear of none.
 */
bool virtqueue_should_notify(struct virtqueue *queue);

/* Asks the driver not to kick while the queue is being worked on anyway. */
void virtqueue_quiet(struct virtqueue *queue);
/*
 * Asks the driver to kick for the next chain.  True when one came meanwhile, of
 * which the driver may not have told: pop again.
 */
bool virtqueue_listen(struct virtqueue *queue);

#endif
