/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration space (VIRTIO 5.5.4), little-endian for legacy drivers too,
 * and the target, which is a field of it.
 *
 *	 0 num_pages			the target; the device writes
 *	 4 actual			the driver writes
 *	 8 free_page_hint_cmd_id	the device writes
 *	12 poison_val			the driver writes, before DRIVER_OK
 *	64 magic, 68 trim		private, read only; with BALLOON_F_TRIM only
 *
 * A VMM may relay any part of it, or all of it for a change of one field (and
 * then its copy of the device's own fields may be stale).  So a write is laid over
 * what the driver would read, and only the driver's fields are looked at.
 * Drivers from before VIRTIO 1 write byte by byte, in ascending order: what they
 * write to actual counts when its last byte arrives.  It is clamped where it is
 * used.
 */
#include "device/state.h"

struct config {
	uint32_t num_pages, actual, free_page_hint_cmd_id, poison_val;
};
_Static_assert(sizeof(struct config) == BALLOON_CONFIG_BYTES, "VIRTIO 5.5.4");

uint64_t config_max_bytes(const struct balloon *balloon)
{
	return balloon->options.max_bytes ? balloon->options.max_bytes
					  : memory_ram_bytes(&balloon->memory);
}

static void set_num_pages(struct balloon *balloon, uint64_t target_bytes)
{
	uint64_t max = config_max_bytes(balloon);
	uint64_t pages = target_bytes < max ? (max - target_bytes) / MEMORY_PAGE_BYTES : 0;
	uint32_t before = balloon->config.num_pages;

	balloon->config.num_pages = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
	if (balloon->config.num_pages != before && balloon->driver.driver_ok)
		balloon->host.notify_config(balloon->host.data);
}

void config_apply_target(struct balloon *balloon)
{
	if (balloon->config.target_wanted == BALLOON_UNSET || !config_max_bytes(balloon))
		return;
	set_num_pages(balloon, balloon->config.target_wanted);
	if (balloon->driver.driver_ok)
		balloon->config.target_wanted = BALLOON_UNSET;
}

void balloon_set_target(struct balloon *balloon, uint64_t target_bytes)
{
	struct config_space *config = &balloon->config;
	uint32_t before = config->num_pages;

	config->target_wanted = target_bytes < BALLOON_UNSET ? target_bytes : BALLOON_UNSET - 1;
	config_apply_target(balloon);
	/* The same target again is for a driver that has left it, as by deflating on OOM. */
	if (balloon->driver.driver_ok && config->num_pages == before && before != config->actual)
		balloon->host.notify_config(balloon->host.data);
}

void config_init(struct balloon *balloon)
{
	uint64_t target = balloon->options.target_bytes;

	balloon->config.target_wanted = target ? target : BALLOON_UNSET;
}

void config_reset(struct balloon *balloon)
{
	balloon->config.actual = balloon->config.actual_written = 0;
	balloon->config.poison = 0;
	balloon->config.trim = 0;
}

bool balloon_trim(struct balloon *balloon, uint64_t bytes)
{
	uint64_t mib = bytes >> 20 < BALLOON_TRIM_MAX_MIB ? bytes >> 20 : BALLOON_TRIM_MAX_MIB;
	uint32_t number = (balloon->config.trim >> 24) + 1;

	if (!balloon->driver.driver_ok || !is_acknowledged(balloon, BALLOON_F_TRIM))
		return false;
	balloon->config.trim = number << 24 | (uint32_t)mib;
	balloon_count(balloon, BALLOON_C_TRIMS, 1);
	balloon->host.notify_config(balloon->host.data);
	return true;
}

static struct config read_config_now(const struct balloon *balloon)
{
	return (struct config){
		.num_pages = htole32(balloon->config.num_pages),
		.actual = htole32(balloon->config.actual_written),
		.free_page_hint_cmd_id = htole32(hinting_config_id(balloon)),
		.poison_val = htole32(balloon->config.poison),
	};
}

/* Copies what a read of [@offset, @offset + @size) sees of @bytes bytes at @at. */
static void copy_part(void *to, unsigned int offset, unsigned int size, const void *from,
		      unsigned int at, unsigned int bytes)
{
	unsigned int begin = offset > at ? offset : at;
	unsigned int end = offset + size < at + bytes ? offset + size : at + bytes;

	if (offset < at + bytes && begin < end)
		memcpy((uint8_t *)to + (begin - offset), (const uint8_t *)from + (begin - at),
		       end - begin);
}

void balloon_config_read(const struct balloon *balloon, unsigned int offset, void *to,
			 unsigned int size)
{
	const struct config config = read_config_now(balloon);
	const uint32_t fields[] = { htole32(BALLOON_PRIVATE_MAGIC), htole32(balloon->config.trim) };

	memset(to, 0, size);
	copy_part(to, offset, size, &config, 0, sizeof(config));
	if (balloon->options.features & BALLOON_BIT(BALLOON_F_TRIM))
		copy_part(to, offset, size, fields, BALLOON_PRIVATE_OFFSET, sizeof(fields));
}

static void apply_actual(struct balloon *balloon)
{
	struct config_space *config = &balloon->config;
	uint32_t actual = config->actual_written;

	if (actual == config->actual)
		return;
	if (actual > config_max_bytes(balloon) / MEMORY_PAGE_BYTES)
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "actual is more than the RAM",
			      actual);
	config->actual = actual;
	/* The driver has reached the target: nothing more will complete the blocks that wait. */
	if (actual == config->num_pages)
		releases_flush(balloon);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_ACTUAL);
}

static void set_poison(struct balloon *balloon, uint32_t poison)
{
	if (!is_acknowledged(balloon, BALLOON_F_PAGE_POISON) || balloon->driver.driver_ok)
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "poison_val cannot be set now",
			      poison);
	else
		balloon->config.poison = poison;
}

#define ACTUAL offsetof(struct config, actual)
#define POISON offsetof(struct config, poison_val)

/* Does [@offset, @offset + @size) overlap the @bytes at @field? */
static bool covers_field(unsigned int offset, unsigned int size, size_t field, unsigned int bytes)
{
	return offset < field + bytes && offset + size > field;
}

void balloon_config_write(struct balloon *balloon, unsigned int offset, const void *from,
			  unsigned int size)
{
	const struct config before = read_config_now(balloon);
	struct config after = before;

	if (offset >= sizeof(after) || size > sizeof(after) - offset) {
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "a write beyond its end", offset);
		return;
	}
	memcpy((uint8_t *)&after + offset, from, size);
	if (!covers_field(offset, size, ACTUAL, 4) && !covers_field(offset, size, POISON, 4))
		balloon_fault(balloon, BALLOON_C_FAULT_CONFIG, "a write to a field of the device",
			      offset);
	balloon->config.actual_written = le32toh(after.actual);
	if (is_acknowledged(balloon, VIRTIO_F_VERSION_1) ||
	    covers_field(offset, size, ACTUAL + 3, 1))
		apply_actual(balloon);
	if (after.poison_val != before.poison_val)
		set_poison(balloon, le32toh(after.poison_val));
}
