/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/hostile/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define AVAIL_OFFSET (RING_SIZE * sizeof(struct ring_desc))
#define USED_OFFSET (AVAIL_OFFSET + 256)

int guest_open(struct guest *guest)
{
	guest->fd = memfd_create("guest", MFD_CLOEXEC);
	if (guest->fd < 0)
		return -errno;
	if (!ftruncate(guest->fd, (off_t)GUEST_RAM)) {
		guest->ram =
			mmap(NULL, GUEST_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
		if (guest->ram != MAP_FAILED)
			return 0;
	}
	close(guest->fd);
	return -ENOMEM;
}

void guest_close(struct guest *guest)
{
	munmap(guest->ram, GUEST_RAM);
	close(guest->fd);
}

void *guest_at(const struct guest *guest, uint64_t gpa)
{
	if (gpa < GUEST_PART)
		return guest->ram + gpa;
	if (gpa >= GUEST_HIGH && gpa < GUEST_END)
		return guest->ram + GUEST_PART + (gpa - GUEST_HIGH);
	return NULL;
}

void guest_touch(const struct guest *guest)
{
	for (uint64_t at = 0; at < GUEST_RAM; at += GUEST_PAGE)
		__atomic_fetch_or(guest->ram + at + GUEST_PAGE - 1, 1, __ATOMIC_RELAXED);
}

uint64_t guest_allocated(const struct guest *guest)
{
	struct stat st;

	return fstat(guest->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

void ring_init(struct ring *ring, const struct guest *guest, uint64_t gpa)
{
	*ring = (struct ring){
		.guest = guest,
		.desc = gpa,
		.avail = gpa + AVAIL_OFFSET,
		.used = gpa + USED_OFFSET,
		.size = RING_SIZE,
	};
	memset(guest_at(guest, gpa), 0, RING_BYTES);
}

struct ring_desc *ring_desc(const struct ring *ring, unsigned int index)
{
	return (struct ring_desc *)guest_at(ring->guest, ring->desc) + index;
}

void ring_fill(const struct ring *ring, unsigned int index, uint64_t addr, uint32_t len,
	       uint16_t flags, uint16_t next)
{
	*ring_desc(ring, index) = (struct ring_desc){ addr, len, flags, next };
}

static uint16_t *avail(const struct ring *ring)
{
	return guest_at(ring->guest, ring->avail);
}

void ring_set_avail_index(struct ring *ring, uint16_t index)
{
	ring->offered = index;
	__atomic_store_n(avail(ring) + 1, index, __ATOMIC_RELEASE);
}

void ring_offer(struct ring *ring, uint16_t head)
{
	avail(ring)[2 + ring->offered % ring->size] = head;
	ring_set_avail_index(ring, (uint16_t)(ring->offered + 1));
}

uint16_t ring_used_index(const struct ring *ring)
{
	return __atomic_load_n((uint16_t *)guest_at(ring->guest, ring->used) + 1, __ATOMIC_ACQUIRE);
}

bool ring_take(struct ring *ring, uint32_t *id, uint32_t *len)
{
	const uint32_t *entry;

	if (ring_used_index(ring) == ring->taken)
		return false;
	entry = (const uint32_t *)guest_at(ring->guest, ring->used) + 1 +
		2 * (ring->taken++ % ring->size);
	*id = entry[0];
	*len = entry[1];
	return true;
}
