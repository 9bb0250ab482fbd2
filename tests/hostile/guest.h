/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest as a device sees one: memory, and split rings in it, that are written
 * by hand.  Nothing here checks anything, so that every mistake can be made.
 *
 *	0		32 MiB	RAM, the first half of a memfd
 *	32 MiB		32 MiB	nothing
 *	64 MiB		32 MiB	RAM, its second half
 */
#ifndef AEROSTAT_TESTS_GUEST_H
#define AEROSTAT_TESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_MIB UINT64_C(0x100000)
#define GUEST_PAGE UINT64_C(4096)
#define GUEST_PART (32 * GUEST_MIB)
#define GUEST_PARTS 2
#define GUEST_LOW UINT64_C(0)
#define GUEST_HOLE (32 * GUEST_MIB)
#define GUEST_HIGH (64 * GUEST_MIB)
#define GUEST_END (96 * GUEST_MIB)
#define GUEST_RAM (GUEST_PART * GUEST_PARTS)

struct guest {
	int fd;
	uint8_t *ram;
};

/* 0 or -errno. */
int guest_open(struct guest *guest);
void guest_close(struct guest *guest);
/* Where [0, 32) and [64, 96) MiB are; NULL elsewhere. */
void *guest_at(const struct guest *guest, uint64_t gpa);
/* Writes to every page, so that the host allocates all of them. */
void guest_touch(const struct guest *guest);
/* How many bytes the host has allocated for the guest. */
uint64_t guest_allocated(const struct guest *guest);

enum { RING_NEXT = 1, RING_WRITE = 2, RING_INDIRECT = 4 };

struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

#define RING_SIZE 64
#define RING_BYTES GUEST_PAGE
struct ring {
	const struct guest *guest;
	uint64_t desc, avail, used; /* the guest's addresses */
	uint16_t size;
	uint16_t offered; /* the available index */
	uint16_t taken;	  /* used entries that were looked at */
};

/* Lays out an empty ring in the page at @gpa. */
void ring_init(struct ring *ring, const struct guest *guest, uint64_t gpa);
struct ring_desc *ring_desc(const struct ring *ring, unsigned int index);
void ring_fill(const struct ring *ring, unsigned int index, uint64_t addr, uint32_t len,
	       uint16_t flags, uint16_t next);
/* Makes the chain at @head available. */
void ring_offer(struct ring *ring, uint16_t head);
void ring_set_avail_index(struct ring *ring, uint16_t index);
/* The device's index, and whether there is an entry that was not taken yet. */
uint16_t ring_used_index(const struct ring *ring);
bool ring_take(struct ring *ring, uint32_t *id, uint32_t *len);

#endif
