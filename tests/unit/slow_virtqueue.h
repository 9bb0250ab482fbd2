/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A deliberately slow and simple virtqueue, written from the text of VIRTIO 1.2
 * (2.7 and 2.8), for comparison with device/virtqueue.c: a device, that sees
 * what the real one sees, and a driver that keeps the rules.
 *
 * Both count entries in 64 bits that never wrap and work out places and wrap
 * counters from that by division; numbers are put together byte by byte; a
 * chain is first listed and then judged; whether to notify is found by looking
 * at every entry.  Nothing is shared with the real one but the types of its
 * interface.
 *
 * Guest memory is one block of bytes at SLOW_GPA.
 */
#ifndef AEROSTAT_TESTS_SLOW_VIRTQUEUE_H
#define AEROSTAT_TESTS_SLOW_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/virtqueue.h"

#define SLOW_GPA UINT64_C(0x100000)
#define SLOW_BYTES UINT64_C(0x80000)
#define SLOW_WRITE 2u	 /* VIRTQ_DESC_F_WRITE */
#define SLOW_NEXT 1u	 /* VIRTQ_DESC_F_NEXT */
#define SLOW_INDIRECT 4u /* VIRTQ_DESC_F_INDIRECT */

/* Numbers in guest memory, of 2, 4 or 8 bytes; outside of it reads give 0. */
uint64_t slow_get(const uint8_t *ram, uint64_t gpa, unsigned int bytes, bool big_endian);
void slow_put(uint8_t *ram, uint64_t gpa, unsigned int bytes, uint64_t value, bool big_endian);
bool slow_in_ram(uint64_t gpa, uint64_t bytes);

/* Rings in fixed places of guest memory, the rest of @setup as it was. */
void slow_place_rings(struct virtqueue_setup *setup);

/* The device. */
struct slow_device {
	struct virtqueue_setup setup;
	uint8_t *ram;
	uint64_t taken;	 /* split: heads, packed: ring entries, since the ring began */
	uint64_t used;	 /* the same, returned */
	uint64_t told;	 /* @used when the driver's wish was last looked at */
	uint64_t flying; /* taken and not returned */
	bool used_known, asked, broken;
};

void slow_device_start(struct slow_device *device, uint8_t *ram,
		       const struct virtqueue_setup *setup);
uint32_t slow_device_base(const struct slow_device *device);
int slow_device_pop(struct slow_device *device, struct virtqueue_chain *chain);
void slow_device_push(struct slow_device *device, struct virtqueue_token token, uint32_t written);
bool slow_device_should_notify(struct slow_device *device);
void slow_device_quiet(struct slow_device *device);
bool slow_device_listen(struct slow_device *device);

/* The driver. */
#define SLOW_BUFFER_SEGMENTS 24
struct slow_buffer {
	struct virtqueue_segment segments[SLOW_BUFFER_SEGMENTS]; /* lengths may be 0 */
	unsigned int count, readable;				 /* the first @readable of @count */
	unsigned int direct; /* so many stand in the ring, the rest in a table; packed: 0 or all */
};

struct slow_driver {
	struct virtqueue_setup setup;
	uint8_t *ram;
	uint64_t offered, collected; /* split: buffers; packed: ring entries */
	uint64_t kicked;	     /* @offered when the device's wish was last looked at */
	unsigned int room;	     /* free descriptors */
	unsigned int entries[VIRTQUEUE_SIZE_MAX]; /* by id: descriptors that it takes, 0: free */
	bool in_use[VIRTQUEUE_SIZE_MAX];	  /* split: descriptor is part of a chain */
	uint16_t next[VIRTQUEUE_SIZE_MAX];	  /* split: links as the driver knows them */
};

/* Writes empty rings. */
void slow_driver_start(struct slow_driver *driver, uint8_t *ram,
		       const struct virtqueue_setup *setup);
/* The id, or -1 when the ring has no room. */
int slow_driver_offer(struct slow_driver *driver, const struct slow_buffer *buffer);
/* The next used buffer, or false. */
bool slow_driver_collect(struct slow_driver *driver, uint16_t *id, uint32_t *written);
/* After some offers: must the device be kicked? */
bool slow_driver_should_kick(struct slow_driver *driver);
/* Asks for no notification, or for one when the @after-th buffer from now (1: next) is used. */
void slow_driver_quiet(struct slow_driver *driver);
void slow_driver_listen(struct slow_driver *driver, unsigned int after);

#endif
