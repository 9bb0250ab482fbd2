/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For virtqueue.c, virtqueue_split.c and virtqueue_packed.c only.
 *
 * Ring words are accessed only by the functions below: each access is atomic,
 * happens once, and is in the ring's byte order.  What was read is kept in private
 * memory, since the guest may change its rings at any time.
 */
#ifndef AEROSTAT_DEVICE_VIRTQUEUE_RING_H
#define AEROSTAT_DEVICE_VIRTQUEUE_RING_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/memory.h"
#include "device/virtqueue.h"

#define DESC_BYTES 16
#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u

/* A descriptor in private memory. */
struct descriptor {
	uint64_t gpa;
	uint32_t length;
	uint16_t flags;
	union {
		uint16_t next; /* split */
		uint16_t id;   /* packed */
	};
};

/* One of a ring's three areas. */
struct ring_area {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t alignment;
	bool writable;
};
struct ring_areas {
	struct ring_area desc, driver, device;
};

/* A ring format.  The queue is ready when any of these but areas(), set_base() and base() is
 * called. */
struct ring_ops {
	/* Where the three areas are, how large, and how they must be aligned. */
	void (*areas)(const struct virtqueue_setup *setup, struct ring_areas *areas);
	/* False if setup.base is not a position in the ring. */
	bool (*set_base)(struct virtqueue *queue);
	/* As virtqueue_base(). */
	uint32_t (*base)(const struct virtqueue *queue);
	/* As virtqueue_pop(); only sets the token and the fault, and adds segments. */
	int (*pop)(struct virtqueue *queue, const struct memory *memory,
		   struct virtqueue_chain *chain);
	/* As virtqueue_push(). */
	void (*push)(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);
	/* Does the driver want a notification for the last @pushed entries? */
	bool (*should_notify)(const struct virtqueue *queue);
	/* As virtqueue_disable_kicks(). */
	void (*disable_kicks)(struct virtqueue *queue);
	/* As virtqueue_enable_kicks(). */
	bool (*enable_kicks)(struct virtqueue *queue);
};
extern const struct ring_ops ring_split_ops, ring_packed_ops;

/* Appends the segment that @desc describes, if it is not empty; returns the fault, if any. */
enum virtqueue_fault ring_add_segment(struct virtqueue_chain *chain, const struct descriptor *desc);
/* How many entries the indirect table has to which @desc refers; 0 if it may not be read. */
unsigned int ring_table_entries(const struct virtqueue *queue, const struct descriptor *desc);
/* Reads entry @index of the indirect table at @table; false if it is not in RAM. */
bool ring_read_table(const struct virtqueue *queue, const struct memory *memory, uint64_t table,
		     unsigned int index, struct descriptor *desc);

/*
 * Can @count more entries be in flight?  If not, the driver offers entries that it has not got
 * back yet, and could do so without end.
 */
bool ring_has_room(const struct virtqueue *queue, uint16_t count);

/* Converts between the ring's byte order and this machine's, in either direction. */
static inline uint16_t ring_cpu16(const struct virtqueue *queue, uint16_t word)
{
	return queue->setup.big_endian ? be16toh(word) : le16toh(word);
}

/* The same for 32 bits. */
static inline uint32_t ring_cpu32(const struct virtqueue *queue, uint32_t word)
{
	return queue->setup.big_endian ? be32toh(word) : le32toh(word);
}

/* The same for 64 bits. */
static inline uint64_t ring_cpu64(const struct virtqueue *queue, uint64_t word)
{
	return queue->setup.big_endian ? be64toh(word) : le64toh(word);
}

/* Reads 16 bits of the ring, once. */
static inline uint16_t ring_load16(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu16(queue,
			  __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* The same; what the driver wrote before these 16 bits can be read after this. */
static inline uint16_t ring_load16_acquire(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu16(queue,
			  __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE));
}

/* Reads 32 bits of the ring, once. */
static inline uint32_t ring_load32(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu32(queue,
			  __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* Reads 64 bits of the ring, once. */
static inline uint64_t ring_load64(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu64(queue,
			  __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* Writes 16 bits of the ring. */
static inline void ring_store16(const struct virtqueue *queue, uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, ring_cpu16(queue, value), __ATOMIC_RELAXED);
}

/* The same; the driver sees what was written before this once it sees these 16 bits. */
static inline void ring_store16_release(const struct virtqueue *queue, uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, ring_cpu16(queue, value), __ATOMIC_RELEASE);
}

/* Writes 32 bits of the ring. */
static inline void ring_store32(const struct virtqueue *queue, uint8_t *at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)at, ring_cpu32(queue, value), __ATOMIC_RELAXED);
}

/* Between publishing something and reading what the other side wants or did meanwhile. */
static inline void ring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
