/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/slow_virtqueue.h"

#include <errno.h>
#include <string.h>

#define DESC_AT (SLOW_GPA)
#define DRIVER_AT (SLOW_GPA + 0x8000)
#define DEVICE_AT (SLOW_GPA + 0xa000)
#define TABLES_AT (SLOW_GPA + 0x10000) /* an indirect table for every id */
#define TABLE_BYTES (SLOW_BUFFER_SEGMENTS * UINT64_C(16))

bool slow_in_ram(uint64_t gpa, uint64_t bytes)
{
	return gpa >= SLOW_GPA && bytes <= SLOW_BYTES && gpa - SLOW_GPA <= SLOW_BYTES - bytes;
}

uint64_t slow_get(const uint8_t *ram, uint64_t gpa, unsigned int bytes, bool big_endian)
{
	uint64_t value = 0;

	if (!slow_in_ram(gpa, bytes))
		return 0;
	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | ram[gpa - SLOW_GPA + (big_endian ? i : bytes - 1 - i)];
	return value;
}

void slow_put(uint8_t *ram, uint64_t gpa, unsigned int bytes, uint64_t value, bool big_endian)
{
	if (!slow_in_ram(gpa, bytes))
		return;
	for (unsigned int i = 0; i < bytes; i++, value >>= 8)
		ram[gpa - SLOW_GPA + (big_endian ? bytes - 1 - i : i)] = (uint8_t)value;
}

void slow_place_rings(struct virtqueue_setup *setup)
{
	setup->desc = DESC_AT;
	setup->driver = DRIVER_AT;
	setup->device = DEVICE_AT;
}

/*
 * Words of the rings, for both sides.
 */
static uint64_t used_event_at(const struct virtqueue_setup *setup)
{
	return setup->driver + 4 + UINT64_C(2) * setup->size;
}

static uint64_t avail_event_at(const struct virtqueue_setup *setup)
{
	return setup->device + 4 + UINT64_C(8) * setup->size;
}

static unsigned int place_of(const struct virtqueue_setup *setup, uint64_t entry)
{
	return (unsigned int)(entry % setup->size);
}

/* Wrap counters begin with 1. */
static bool wrap_of(const struct virtqueue_setup *setup, uint64_t entry)
{
	return entry / setup->size % 2 == 0;
}

/* Place and wrap counter as VIRTIO 2.8.14 writes them. */
static uint64_t place_word(const struct virtqueue_setup *setup, uint64_t entry)
{
	return place_of(setup, entry) + (wrap_of(setup, entry) ? 0x8000u : 0u);
}

static uint64_t entry_of_word(const struct virtqueue_setup *setup, unsigned int word)
{
	return (word & 0x7fff) + (word & 0x8000 ? 0u : setup->size);
}

/* What a side writes to ask for no, or any, or one notification (packed). */
static void put_suppression(const struct virtqueue_setup *setup, uint8_t *ram, uint64_t at,
			    unsigned int flags, uint64_t place)
{
	slow_put(ram, at, 2, place, setup->big_endian);
	slow_put(ram, at + 2, 2, flags, setup->big_endian);
}

/*
 * The device
 */
struct listed {
	uint64_t gpa;
	uint32_t length;
	bool write;
};

/* A chain as it is found, before it is judged. */
struct list {
	struct listed items[2 * VIRTQUEUE_SIZE_MAX];
	unsigned int count;
	enum virtqueue_fault fault; /* what ended the list too early */
};

struct raw {
	uint64_t gpa;
	uint32_t length;
	unsigned int flags, other; /* @other: next or id */
};

static struct raw get_raw(const struct slow_device *device, uint64_t at)
{
	bool packed = device->setup.packed, swap = device->setup.big_endian;

	return (struct raw){
		.gpa = slow_get(device->ram, at, 8, swap),
		.length = (uint32_t)slow_get(device->ram, at + 8, 4, swap),
		.flags = (unsigned int)slow_get(device->ram, at + (packed ? 14 : 12), 2, swap),
		.other = (unsigned int)slow_get(device->ram, at + (packed ? 12 : 14), 2, swap),
	};
}

static void append(struct list *list, const struct raw *raw)
{
	list->items[list->count++] =
		(struct listed){ raw->gpa, raw->length, (raw->flags & SLOW_WRITE) != 0 };
}

static bool table_is_good(const struct slow_device *device, const struct raw *raw)
{
	return device->setup.indirect && raw->length > 0 && raw->length % 16 == 0 &&
	       raw->length / 16 <= VIRTQUEUE_SIZE_MAX && raw->gpa + raw->length >= raw->gpa;
}

static void list_split_table(const struct slow_device *device, uint64_t gpa, unsigned int length,
			     struct list *list)
{
	unsigned int index = 0;

	for (unsigned int steps = 0; steps < length; steps++) {
		uint64_t at = gpa + UINT64_C(16) * index;
		struct raw raw = get_raw(device, at);

		list->fault = VIRTQUEUE_INDIRECT;
		if (!slow_in_ram(at, 16) || raw.flags & SLOW_INDIRECT)
			return;
		append(list, &raw);
		list->fault = raw.flags & SLOW_NEXT ? VIRTQUEUE_INDEX : VIRTQUEUE_OK;
		if (!(raw.flags & SLOW_NEXT) || raw.other >= length)
			return;
		index = raw.other;
	}
	list->fault = VIRTQUEUE_LOOP;
}

static void list_split(const struct slow_device *device, unsigned int index, struct list *list)
{
	for (unsigned int steps = 0; steps < device->setup.size; steps++) {
		struct raw raw = get_raw(device, device->setup.desc + UINT64_C(16) * index);

		if (raw.flags & SLOW_INDIRECT) {
			list->fault = VIRTQUEUE_INDIRECT;
			if (table_is_good(device, &raw) && !(raw.flags & SLOW_NEXT))
				list_split_table(device, raw.gpa, raw.length / 16, list);
			return;
		}
		append(list, &raw);
		list->fault = raw.flags & SLOW_NEXT ? VIRTQUEUE_INDEX : VIRTQUEUE_OK;
		if (!(raw.flags & SLOW_NEXT) || raw.other >= device->setup.size)
			return;
		index = raw.other;
	}
	list->fault = VIRTQUEUE_LOOP;
}

static void list_packed_table(const struct slow_device *device, const struct raw *table,
			      struct list *list)
{
	list->fault = VIRTQUEUE_INDIRECT;
	if (!table_is_good(device, table))
		return;
	for (unsigned int i = 0; i < table->length / 16; i++) {
		struct raw raw = get_raw(device, table->gpa + UINT64_C(16) * i);

		if (!slow_in_ram(table->gpa + UINT64_C(16) * i, 16))
			return;
		append(list, &raw);
	}
	list->fault = VIRTQUEUE_OK;
}

/* Segments and faults in the order in which they stand. */
static void judge(const struct list *list, struct virtqueue_chain *chain)
{
	enum virtqueue_fault fault = VIRTQUEUE_OK;

	for (unsigned int i = 0; i < list->count && fault == VIRTQUEUE_OK; i++) {
		const struct listed *item = &list->items[i];

		if (item->length == 0)
			continue;
		if (chain->readable + chain->writable == VIRTQUEUE_SEGMENTS_MAX) {
			fault = VIRTQUEUE_INDIRECT;
		} else if (!item->write && chain->writable) {
			fault = VIRTQUEUE_DIRECTION;
		} else {
			chain->segments[chain->readable + chain->writable] =
				(struct virtqueue_segment){ item->gpa, item->length };
			chain->readable += !item->write;
			chain->writable += item->write;
			chain->readable_bytes += item->write ? 0 : item->length;
			chain->writable_bytes += item->write ? item->length : 0;
		}
	}
	if (fault == VIRTQUEUE_OK)
		fault = list->fault;
	if (fault == VIRTQUEUE_OK && chain->readable + chain->writable == 0)
		fault = VIRTQUEUE_EMPTY;
	chain->fault = fault;
	if (fault != VIRTQUEUE_OK) {
		chain->readable = chain->writable = 0;
		chain->readable_bytes = chain->writable_bytes = 0;
	}
}

static uint16_t avail_index(const struct slow_device *device)
{
	return (uint16_t)slow_get(device->ram, device->setup.driver + 2, 2,
				  device->setup.big_endian);
}

static int take_split(struct slow_device *device, struct list *list, struct virtqueue_token *token)
{
	const struct virtqueue_setup *setup = &device->setup;
	unsigned int waiting = (avail_index(device) + 0x10000u - device->taken % 0x10000) % 0x10000;
	unsigned int head = (unsigned int)slow_get(
		device->ram, setup->driver + 4 + UINT64_C(2) * place_of(setup, device->taken), 2,
		setup->big_endian);

	if (waiting == 0)
		return 0;
	if (waiting > setup->size || head >= setup->size)
		return -EPROTO;
	*token = (struct virtqueue_token){ .id = (uint16_t)head, .count = 1 };
	list_split(device, head, list);
	return 1;
}

static bool is_available(const struct slow_device *device, uint64_t entry)
{
	struct raw raw = get_raw(device, device->setup.desc +
						 UINT64_C(16) * place_of(&device->setup, entry));
	bool avail = raw.flags & 0x80, used = raw.flags & 0x8000;
	bool wrap = wrap_of(&device->setup, entry);

	return wrap ? avail && !used : !avail && used;
}

static int take_packed(struct slow_device *device, struct list *list, struct virtqueue_token *token)
{
	const struct virtqueue_setup *setup = &device->setup;
	unsigned int length = 0;
	bool spoiled = false;
	struct raw raw;

	if (!is_available(device, device->taken))
		return 0;
	/* First where the chain ends, */
	do {
		if (length == setup->size || !is_available(device, device->taken + length))
			return -EPROTO;
		raw = get_raw(device,
			      setup->desc +
				      UINT64_C(16) * place_of(setup, device->taken + length++));
	} while (raw.flags & SLOW_NEXT);
	*token = (struct virtqueue_token){ .id = (uint16_t)raw.other, .count = (uint16_t)length };
	/* then what it is. */
	if (length == 1 && raw.flags & SLOW_INDIRECT) {
		list_packed_table(device, &raw, list);
		return 1;
	}
	for (unsigned int i = 0; i < length && !spoiled; i++) {
		raw = get_raw(device,
			      setup->desc + UINT64_C(16) * place_of(setup, device->taken + i));
		spoiled = raw.flags & SLOW_INDIRECT;
		if (!spoiled)
			append(list, &raw);
	}
	if (spoiled)
		list->fault = VIRTQUEUE_INDIRECT;
	return 1;
}

int slow_device_pop(struct slow_device *device, struct virtqueue_chain *chain)
{
	struct list list = { .count = 0 };
	struct virtqueue_token token = { 0 };
	int result;

	chain->token = token;
	chain->fault = VIRTQUEUE_OK;
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	if (device->broken)
		return 0;
	result = device->setup.packed ? take_packed(device, &list, &token)
				      : take_split(device, &list, &token);
	if (result > 0 && device->flying + token.count > device->setup.size)
		result = -EPROTO;
	device->broken = result < 0;
	if (result <= 0)
		return result;
	device->taken += token.count;
	device->flying += token.count;
	chain->token = token;
	judge(&list, chain);
	return 1;
}

void slow_device_push(struct slow_device *device, struct virtqueue_token token, uint32_t written)
{
	const struct virtqueue_setup *setup = &device->setup;
	bool swap = setup->big_endian;
	uint64_t at;

	device->flying -= token.count;
	if (device->broken)
		return;
	if (!setup->packed && !device->used_known)
		device->used = device->told = slow_get(device->ram, setup->device + 2, 2, swap);
	device->used_known = true;
	if (setup->packed) {
		at = setup->desc + UINT64_C(16) * place_of(setup, device->used);
		slow_put(device->ram, at + 8, 4, written, swap);
		slow_put(device->ram, at + 12, 2, token.id, swap);
		slow_put(device->ram, at + 14, 2,
			 (wrap_of(setup, device->used) ? 0x8080u : 0u) |
				 (written ? SLOW_WRITE : 0u),
			 swap);
	} else {
		at = setup->device + 4 + UINT64_C(8) * place_of(setup, device->used);
		slow_put(device->ram, at, 4, token.id, swap);
		slow_put(device->ram, at + 4, 4, written, swap);
		slow_put(device->ram, setup->device + 2, 2, device->used + 1, swap);
	}
	device->used += token.count;
}

/* Was an entry made used at which the driver wants to be told? */
static bool event_reached(const struct slow_device *device)
{
	const struct virtqueue_setup *setup = &device->setup;
	uint64_t at = setup->packed ? setup->driver : used_event_at(setup);
	uint64_t event = slow_get(device->ram, at, 2, setup->big_endian);

	if (setup->packed && (event & 0x7fff) >= setup->size)
		return true;
	for (uint64_t entry = device->told; entry < device->used; entry++)
		if (event == (setup->packed ? place_word(setup, entry) : entry % 0x10000))
			return true;
	return false;
}

bool slow_device_should_notify(struct slow_device *device)
{
	const struct virtqueue_setup *setup = &device->setup;
	unsigned int flags = (unsigned int)slow_get(
		device->ram, setup->driver + (setup->packed ? 2 : 0), 2, setup->big_endian);
	bool by_event = setup->event_idx, notify;

	if (device->broken || device->used == device->told)
		return false;
	if (setup->packed) {
		notify = flags % 4 != 1;
		by_event = by_event && flags % 4 == 2;
	} else {
		notify = by_event || flags % 2 == 0;
	}
	if (notify && by_event && device->asked)
		notify = event_reached(device);
	device->told = device->used;
	device->asked = true;
	return notify;
}

void slow_device_quiet(struct slow_device *device)
{
	const struct virtqueue_setup *setup = &device->setup;

	if (device->broken)
		return;
	if (setup->packed)
		put_suppression(setup, device->ram, setup->device, 1, 0);
	else if (!setup->event_idx)
		slow_put(device->ram, setup->device, 2, 1, setup->big_endian);
}

bool slow_device_listen(struct slow_device *device)
{
	const struct virtqueue_setup *setup = &device->setup;
	uint64_t place = setup->event_idx ? place_word(setup, device->taken) : 0;

	if (device->broken)
		return false;
	if (setup->packed) {
		put_suppression(setup, device->ram, setup->device, setup->event_idx ? 2 : 0, place);
		return is_available(device, device->taken);
	}
	if (setup->event_idx)
		slow_put(device->ram, avail_event_at(setup), 2, device->taken, setup->big_endian);
	else
		slow_put(device->ram, setup->device, 2, 0, setup->big_endian);
	return avail_index(device) != device->taken % 0x10000;
}

void slow_device_start(struct slow_device *device, uint8_t *ram,
		       const struct virtqueue_setup *setup)
{
	*device = (struct slow_device){ .setup = *setup, .ram = ram };
	device->taken = setup->base;
	if (setup->packed) {
		device->taken = entry_of_word(setup, setup->base & 0xffff);
		device->used = device->told = entry_of_word(setup, setup->base >> 16);
	}
}

uint32_t slow_device_base(const struct slow_device *device)
{
	const struct virtqueue_setup *setup = &device->setup;

	if (!setup->packed)
		return (uint32_t)(device->taken % 0x10000);
	return (uint32_t)(place_word(setup, device->used) << 16 | place_word(setup, device->taken));
}

/*
 * The driver
 */
void slow_driver_start(struct slow_driver *driver, uint8_t *ram,
		       const struct virtqueue_setup *setup)
{
	memset(driver, 0, sizeof(*driver));
	driver->setup = *setup;
	driver->ram = ram;
	driver->room = setup->size;
	memset(ram + (setup->desc - SLOW_GPA), 0, (size_t)16 * setup->size);
	memset(ram + (setup->driver - SLOW_GPA), 0,
	       setup->packed ? 4 : 6 + (size_t)2 * setup->size);
	memset(ram + (setup->device - SLOW_GPA), 0,
	       setup->packed ? 4 : 6 + (size_t)8 * setup->size);
}

static void put_desc(const struct slow_driver *driver, uint64_t at,
		     const struct virtqueue_segment *segment, unsigned int flags,
		     unsigned int other)
{
	bool packed = driver->setup.packed, swap = driver->setup.big_endian;

	slow_put(driver->ram, at, 8, segment->gpa, swap);
	slow_put(driver->ram, at + 8, 4, segment->length, swap);
	slow_put(driver->ram, at + (packed ? 14 : 12), 2, flags, swap);
	slow_put(driver->ram, at + (packed ? 12 : 14), 2, other, swap);
}

static unsigned int direction(const struct slow_buffer *buffer, unsigned int i)
{
	return i >= buffer->readable ? SLOW_WRITE : 0;
}

/* Segments from @buffer->direct on, as the table of @id; the descriptor that refers to it. */
static struct virtqueue_segment put_table(const struct slow_driver *driver,
					  const struct slow_buffer *buffer, unsigned int id)
{
	uint64_t table = TABLES_AT + TABLE_BYTES * id;
	unsigned int count = buffer->count - buffer->direct;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int flags = direction(buffer, buffer->direct + i);

		/* In a packed queue's table only WRITE counts. */
		if (!driver->setup.packed && i + 1 < count)
			flags |= SLOW_NEXT;
		put_desc(driver, table + UINT64_C(16) * i, &buffer->segments[buffer->direct + i],
			 flags, i + 1);
	}
	return (struct virtqueue_segment){ table, count * 16 };
}

static unsigned int free_descriptor(struct slow_driver *driver)
{
	unsigned int i = 0;

	while (driver->in_use[i])
		i++;
	driver->in_use[i] = true;
	return i;
}

static int offer_split(struct slow_driver *driver, const struct slow_buffer *buffer,
		       unsigned int entries)
{
	const struct virtqueue_setup *setup = &driver->setup;
	unsigned int head = free_descriptor(driver), at = head;

	for (unsigned int i = 0; i < entries; i++) {
		bool last = i + 1 == entries;
		unsigned int next = last ? 0 : free_descriptor(driver);
		struct virtqueue_segment segment;
		unsigned int flags;

		if (i < buffer->direct) {
			segment = buffer->segments[i];
			flags = direction(buffer, i);
		} else {
			segment = put_table(driver, buffer, head);
			flags = SLOW_INDIRECT;
		}
		put_desc(driver, setup->desc + UINT64_C(16) * at, &segment,
			 flags | (last ? 0 : SLOW_NEXT), next);
		driver->next[at] = (uint16_t)next;
		at = next;
	}
	driver->entries[head] = entries;
	slow_put(driver->ram, setup->driver + 4 + UINT64_C(2) * place_of(setup, driver->offered), 2,
		 head, setup->big_endian);
	driver->offered++;
	slow_put(driver->ram, setup->driver + 2, 2, driver->offered, setup->big_endian);
	return (int)head;
}

static int offer_packed(struct slow_driver *driver, const struct slow_buffer *buffer,
			unsigned int entries)
{
	const struct virtqueue_setup *setup = &driver->setup;
	unsigned int id = setup->size;

	/* The highest free id, so that ids and places differ. */
	while (driver->entries[id - 1])
		id--;
	id--;
	/* Backwards, for the first entry publishes them all. */
	for (unsigned int i = entries; i-- > 0;) {
		bool last = i + 1 == entries, indirect = buffer->direct == 0;
		uint64_t entry = driver->offered + i;
		struct virtqueue_segment segment =
			indirect ? put_table(driver, buffer, id) : buffer->segments[i];
		unsigned int flags = indirect ? SLOW_INDIRECT : direction(buffer, i);

		flags |= wrap_of(setup, entry) ? 0x80 : 0x8000;
		put_desc(driver, setup->desc + UINT64_C(16) * place_of(setup, entry), &segment,
			 flags | (last ? 0 : SLOW_NEXT), last ? id : 0xbeef);
	}
	driver->entries[id] = entries;
	driver->offered += entries;
	return (int)id;
}

int slow_driver_offer(struct slow_driver *driver, const struct slow_buffer *buffer)
{
	unsigned int entries = buffer->direct + (buffer->direct < buffer->count);

	if (entries > driver->room)
		return -1;
	driver->room -= entries;
	return driver->setup.packed ? offer_packed(driver, buffer, entries)
				    : offer_split(driver, buffer, entries);
}

static bool used_entry(const struct slow_driver *driver, uint16_t *id, uint32_t *written)
{
	const struct virtqueue_setup *setup = &driver->setup;
	unsigned int place = place_of(setup, driver->collected);
	bool swap = setup->big_endian;
	unsigned int flags;
	uint64_t at;

	if (!setup->packed) {
		if (slow_get(driver->ram, setup->device + 2, 2, swap) ==
		    driver->collected % 0x10000)
			return false;
		at = setup->device + 4 + UINT64_C(8) * place;
		*id = (uint16_t)slow_get(driver->ram, at, 4, swap);
		*written = (uint32_t)slow_get(driver->ram, at + 4, 4, swap);
		return true;
	}
	at = setup->desc + UINT64_C(16) * place;
	flags = (unsigned int)slow_get(driver->ram, at + 14, 2, swap);
	if ((flags & 0x8080) != (wrap_of(setup, driver->collected) ? 0x8080u : 0u))
		return false;
	*id = (uint16_t)slow_get(driver->ram, at + 12, 2, swap);
	*written = flags & SLOW_WRITE ? (uint32_t)slow_get(driver->ram, at + 8, 4, swap) : 0;
	return true;
}

bool slow_driver_collect(struct slow_driver *driver, uint16_t *id, uint32_t *written)
{
	unsigned int entries, at;

	if (driver->room == driver->setup.size || !used_entry(driver, id, written))
		return false;
	entries = *id < driver->setup.size ? driver->entries[*id] : 0;
	if (entries == 0)
		return false;
	driver->entries[*id] = 0;
	driver->room += entries;
	driver->collected += driver->setup.packed ? entries : 1;
	at = *id;
	for (unsigned int i = 0; i < entries && !driver->setup.packed; i++) {
		driver->in_use[at] = false;
		at = driver->next[at];
	}
	return true;
}

bool slow_driver_should_kick(struct slow_driver *driver)
{
	const struct virtqueue_setup *setup = &driver->setup;
	bool swap = setup->big_endian, kick = false;
	uint64_t at = setup->packed ? setup->device : avail_event_at(setup);
	uint64_t event = slow_get(driver->ram, at, 2, swap);
	unsigned int flags = (unsigned int)slow_get(
		driver->ram, setup->device + (setup->packed ? 2 : 0), 2, swap);

	if (setup->packed ? flags % 4 != 2 : !setup->event_idx) {
		kick = flags % 4 == 0 && driver->offered != driver->kicked;
	} else {
		for (uint64_t entry = driver->kicked; entry < driver->offered; entry++)
			if (event == (setup->packed ? place_word(setup, entry) : entry % 0x10000))
				kick = true;
	}
	driver->kicked = driver->offered;
	return kick;
}

void slow_driver_quiet(struct slow_driver *driver)
{
	const struct virtqueue_setup *setup = &driver->setup;

	if (setup->packed)
		put_suppression(setup, driver->ram, setup->driver, 1, 0);
	else if (!setup->event_idx)
		slow_put(driver->ram, setup->driver, 2, 1, setup->big_endian);
	else /* the entry before the next one was passed already */
		slow_put(driver->ram, used_event_at(setup), 2, driver->collected - 1,
			 setup->big_endian);
}

void slow_driver_listen(struct slow_driver *driver, unsigned int after)
{
	const struct virtqueue_setup *setup = &driver->setup;
	uint64_t entry = driver->collected + after - 1;

	if (setup->packed && setup->event_idx)
		put_suppression(setup, driver->ram, setup->driver, 2, place_word(setup, entry));
	else if (setup->packed)
		put_suppression(setup, driver->ram, setup->driver, 0, 0);
	else if (setup->event_idx)
		slow_put(driver->ram, used_event_at(setup), 2, entry, setup->big_endian);
	else
		slow_put(driver->ram, setup->driver, 2, 0, setup->big_endian);
}
