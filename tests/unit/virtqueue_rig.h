/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of single rules share: guest memory, a queue whose rings
 * stand where slow_place_rings() puts them, and helpers that write rings word
 * by word, so that they can be wrong.  Queues have SIZE entries where nothing
 * else is said.  A test includes nothing else for cmocka.
 */
#ifndef AEROSTAT_TESTS_VIRTQUEUE_RIG_H
#define AEROSTAT_TESTS_VIRTQUEUE_RIG_H

#include "tests/unit/slow_virtqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NEXT SLOW_NEXT
#define WRITE SLOW_WRITE
#define INDIRECT SLOW_INDIRECT
#define SIZE 4
#define BUFFER (SLOW_GPA + 0x40000)
#define TABLE (SLOW_GPA + 0x50000)
#define RAM_END (SLOW_GPA + SLOW_BYTES)
#define NOWHERE UINT64_C(0x9000000)

struct rig {
	struct memory memory;
	struct virtqueue_setup setup;
	struct virtqueue queue;
	struct virtqueue_chain chain;
	uint8_t *ram;
	uint16_t offered; /* split: the available index */
};

int rig_setup_split(void **state);
int rig_setup_event(void **state);
int rig_setup_packed(void **state);
int rig_setup_packed_event(void **state);
int rig_teardown(void **state);

/* Starts the queue, also again, with rig->setup. */
void start(struct rig *rig);
/* @setup is refused, and a queue left as it was. */
void refused(const struct rig *rig, const struct virtqueue_setup *setup);

/* Words of guest memory, in the ring's byte order. */
void put(struct rig *rig, uint64_t gpa, unsigned int bytes, uint64_t value);
uint64_t get(const struct rig *rig, uint64_t gpa, unsigned int bytes);
/* Entry @i of a split table, and of a packed ring or table. */
void desc(struct rig *rig, uint64_t table, unsigned int i, uint64_t gpa, uint32_t length,
	  unsigned int flags, unsigned int next);
void entry(struct rig *rig, uint64_t table, unsigned int i, uint64_t gpa, uint32_t length,
	   unsigned int flags, unsigned int id);
/* A table of one readable descriptor, at TABLE. */
void good_table(struct rig *rig);

/* Split: one more head in the available ring. */
void offer(struct rig *rig, unsigned int head);
/* Heads 0 to @count - 1, each a buffer of one readable descriptor. */
void offer_simple(struct rig *rig, unsigned int count);

int pop(struct rig *rig);
void pop_and_push(struct rig *rig);
/* Pops one chain with this fault; a faulty one has no segments. */
void pops_fault(struct rig *rig, enum virtqueue_fault fault);
/* The chain popped last has this segment. */
void has_segment(const struct rig *rig, unsigned int i, uint64_t gpa, uint32_t length);
/* The next pop breaks the queue. */
void breaks(struct rig *rig);

#endif
