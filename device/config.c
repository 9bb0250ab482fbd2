/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration space (VIRTIO 5.5.4), little-endian for legacy drivers too.
 *
 *	 0 num_pages			the target; the device writes
 *	 4 actual			the driver writes
 *	 8 free_page_hint_cmd_id	the device writes
 *	12 poison_val			the driver writes, before DRIVER_OK
 *
 * A VMM may relay any part of it, or the whole for a change of one field (then
 * with a copy of the device's own fields that may be stale): so a write is laid
 * over what the driver would read, and only the driver's fields are looked at.
 * Drivers from before VIRTIO 1 write byte by byte, upwards: what they write to
 * actual counts when its last byte is there.  It is clamped where it is used.
 */
#include <endian.h>
#include <string.h>

#include "device/state.h"

struct config {
	uint32_t num_pages, actual, free_page_hint_cmd_id, poison_val;
};
_Static_assert(sizeof(struct config) == BALLOON_CONFIG_BYTES, "VIRTIO 5.5.4");

static struct config config_now(const struct balloon *balloon)
{
	return (struct config){
		.num_pages = htole32(balloon->num_pages),
		.actual = htole32(balloon->actual_written),
		.free_page_hint_cmd_id = htole32(hinting_config_id(balloon)),
		.poison_val = htole32(balloon->poison),
	};
}

void balloon_config_read(const struct balloon *balloon, unsigned int offset, void *to,
			 unsigned int size)
{
	const struct config config = config_now(balloon);

	memset(to, 0, size);
	if (offset >= sizeof(config))
		return;
	if (size > sizeof(config) - offset)
		size = sizeof(config) - offset;
	memcpy(to, (const uint8_t *)&config + offset, size);
}

static void settle_actual(struct balloon *balloon)
{
	uint32_t actual = balloon->actual_written;

	if (actual == balloon->actual)
		return;
	if (actual > balloon_max_bytes(balloon) / MEMORY_PAGE_BYTES)
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "actual is more than the RAM",
			      actual);
	balloon->actual = actual;
	/* The driver is done for now: nothing more will complete the blocks that wait. */
	if (actual == balloon->num_pages)
		balloon->flush = true;
	balloon->host.event(balloon->host.data, BALLOON_EVENT_ACTUAL);
}

static void write_poison(struct balloon *balloon, uint32_t poison)
{
	if (!acknowledged(balloon, BALLOON_F_PAGE_POISON) || balloon->driver_ok)
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "poison_val cannot be set now",
			      poison);
	else
		balloon->poison = poison;
}

#define ACTUAL offsetof(struct config, actual)
#define POISON offsetof(struct config, poison_val)

/* Does [@offset, @offset + @size) reach into the @bytes at @field? */
static bool reaches(unsigned int offset, unsigned int size, size_t field, unsigned int bytes)
{
	return offset < field + bytes && offset + size > field;
}

void balloon_config_write(struct balloon *balloon, unsigned int offset, const void *from,
			  unsigned int size)
{
	const struct config before = config_now(balloon);
	struct config after = before;

	if (offset >= sizeof(after) || size > sizeof(after) - offset) {
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "a write behind its end", offset);
		return;
	}
	memcpy((uint8_t *)&after + offset, from, size);
	if (!reaches(offset, size, ACTUAL, 4) && !reaches(offset, size, POISON, 4))
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "a write to the device's own",
			      offset);
	balloon->actual_written = le32toh(after.actual);
	if (acknowledged(balloon, VIRTIO_F_VERSION_1) || reaches(offset, size, ACTUAL + 3, 1))
		settle_actual(balloon);
	if (after.poison_val != before.poison_val)
		write_poison(balloon, le32toh(after.poison_val));
}
