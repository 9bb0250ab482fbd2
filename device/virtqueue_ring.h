/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What virtqueue.c, virtqueue_split.c and virtqueue_packed.c share, and nobody
 * else uses.
 *
 * Ring words are read and written by the functions below only: each access is
 * atomic, happens once, and knows the ring's byte order.  What is read is kept
 * in private memory, for the guest may change its rings at any time.
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

/* The two formats; a queue is ready when any of these but areas() and set_base() is called. */
struct ring_ops {
	void (*areas)(const struct virtqueue_setup *setup, struct ring_areas *areas);
	/* False when setup.base is no place in the ring. */
	bool (*set_base)(struct virtqueue *queue);
	uint32_t (*base)(const struct virtqueue *queue);
	/* As virtqueue_pop(); tells the fault and adds segments, the rest is the caller's work. */
	int (*pop)(struct virtqueue *queue, const struct memory *memory,
		   struct virtqueue_chain *chain);
	void (*push)(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);
	bool (*should_notify)(const struct virtqueue *queue);
	void (*quiet)(struct virtqueue *queue);
	bool (*listen)(struct virtqueue *queue);
};
extern const struct ring_ops ring_split_ops, ring_packed_ops;

/* Appends what @desc describes; an empty descriptor adds nothing. */
enum virtqueue_fault ring_add_segment(struct virtqueue_chain *chain, const struct descriptor *desc);
/* How many entries the table has that @desc refers to; 0 when it is no table that may be read. */
unsigned int ring_table_entries(const struct virtqueue *queue, const struct descriptor *desc);
/* Entry @index of an indirect table; false when it is not in RAM. */
bool ring_read_table(const struct virtqueue *queue, const struct memory *memory, uint64_t table,
		     unsigned int index, struct descriptor *desc);

/*
 * Whether @count more entries can be in flight.  When not, the driver offers
 * what it has not got back yet, and could do so without end.
 */
bool ring_has_room(const struct virtqueue *queue, uint16_t count);

static inline uint16_t ring_cpu16(const struct virtqueue *queue, uint16_t word)
{
	return queue->setup.big_endian ? be16toh(word) : le16toh(word);
}

static inline uint32_t ring_cpu32(const struct virtqueue *queue, uint32_t word)
{
	return queue->setup.big_endian ? be32toh(word) : le32toh(word);
}

static inline uint64_t ring_cpu64(const struct virtqueue *queue, uint64_t word)
{
	return queue->setup.big_endian ? be64toh(word) : le64toh(word);
}

static inline uint16_t ring_load16(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu16(queue,
			  __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED));
}

static inline uint16_t ring_load16_acquire(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu16(queue,
			  __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE));
}

static inline uint32_t ring_load32(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu32(queue,
			  __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED));
}

static inline uint64_t ring_load64(const struct virtqueue *queue, const uint8_t *at)
{
	return ring_cpu64(queue,
			  __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* Swapping bytes is its own inverse, so ring_cpu16() and ring_cpu32() go both ways. */
static inline void ring_store16(const struct virtqueue *queue, uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, ring_cpu16(queue, value), __ATOMIC_RELAXED);
}

static inline void ring_store16_release(const struct virtqueue *queue, uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, ring_cpu16(queue, value), __ATOMIC_RELEASE);
}

static inline void ring_store32(const struct virtqueue *queue, uint8_t *at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)at, ring_cpu32(queue, value), __ATOMIC_RELAXED);
}

/* Between publishing something and looking at what the other side wishes or did meanwhile. */
static inline void ring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
