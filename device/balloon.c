/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/balloon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/state.h"

struct balloon *balloon_new(const struct balloon_options *options, const struct balloon_host *host)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return NULL;
	balloon->options = *options;
	balloon->host = *host;
	balloon->target_wanted = options->target_bytes ? options->target_bytes : BALLOON_UNSET;
	balloon->full_since_ns = BALLOON_IDLE;
	balloon->age_due_ns = BALLOON_IDLE;
	balloon->reporting = true;
	memset(balloon->stats.value, 0xff, sizeof(balloon->stats.value)); /* BALLOON_UNSET */
	return balloon;
}

void balloon_free(struct balloon *balloon)
{
	if (!balloon)
		return;
	memory_clear(&balloon->memory);
	pages_free(&balloon->pages);
	free(balloon);
}

/* Has a count that grew from @before to @after passed 1, 10, 100, …? */
static bool passed_a_power_of_ten(uint64_t before, uint64_t after)
{
	uint64_t power = 1;

	while (power <= before && power <= UINT64_MAX / 10)
		power *= 10;
	return before < power && power <= after;
}

void balloon_faults(struct balloon *balloon, enum balloon_counter counter, uint32_t count,
		    const char *detail, uint64_t value)
{
	uint64_t before = balloon->counters[counter], after = before + count;
	char line[160];

	balloon->counters[counter] = after;
	if (!passed_a_power_of_ten(before, after))
		return;
	snprintf(line, sizeof(line), "guest: %s: %s %#llx (%llu so far)",
		 balloon_counter_table[counter].name, detail, (unsigned long long)value,
		 (unsigned long long)after);
	balloon->host.log(balloon->host.data, line);
}

void balloon_fault(struct balloon *balloon, enum balloon_counter counter, const char *detail,
		   uint64_t value)
{
	balloon_faults(balloon, counter, 1, detail, value);
}

/*
 * Memory
 */

uint64_t balloon_max_bytes(const struct balloon *balloon)
{
	return balloon->options.max_bytes ? balloon->options.max_bytes
					  : memory_ram_bytes(&balloon->memory);
}

static void set_num_pages(struct balloon *balloon, uint64_t target_bytes)
{
	uint64_t max = balloon_max_bytes(balloon);
	uint64_t pages = target_bytes < max ? (max - target_bytes) / MEMORY_PAGE_BYTES : 0;
	uint32_t before = balloon->num_pages;

	balloon->num_pages = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
	if (balloon->num_pages != before && balloon->driver_ok)
		balloon->host.notify_config(balloon->host.data);
}

/*
 * A target that was asked for before the guest's RAM was known becomes a number
 * of pages as soon as it is, and is final when the driver is there, too: memory
 * that is plugged later is the guest's.
 */
static void settle_target(struct balloon *balloon)
{
	if (balloon->target_wanted == BALLOON_UNSET || !balloon_max_bytes(balloon))
		return;
	set_num_pages(balloon, balloon->target_wanted);
	if (balloon->driver_ok)
		balloon->target_wanted = BALLOON_UNSET;
}

/* Every ring may be elsewhere now, and a kick may have met a queue at rest. */
static void memory_changed(struct balloon *balloon)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		virtqueue_relocate(&balloon->queues[i], &balloon->memory);
		balloon->kicked[i] = balloon->queues[i].started;
	}
	settle_target(balloon);
}

/* @size bytes of RAM came at @gpa. */
static void memory_came(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	if (pages_reserve(&balloon->pages, gpa, size))
		balloon->host.log(balloon->host.data,
				  "no memory for the account: some pages cannot be ballooned");
	memory_changed(balloon);
}

int balloon_map(struct balloon *balloon, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
		bool writable)
{
	int error = memory_map(&balloon->memory, gpa, size, fd, fd_offset, writable);

	if (!error)
		memory_came(balloon, gpa, size);
	return error;
}

int balloon_add(struct balloon *balloon, uint64_t gpa, uint64_t size, void *host)
{
	int error = memory_add(&balloon->memory, gpa, size, host);

	if (!error)
		memory_came(balloon, gpa, size);
	return error;
}

/* What waits in [@gpa, @gpa + @size) is dropped: its memory has gone. */
static void drop_releases(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	uint64_t first = gpa / MEMORY_PAGE_BYTES, last = (gpa + (size - 1)) / MEMORY_PAGE_BYTES;

	if (last >= PAGES_PFNS)
		last = PAGES_PFNS - 1;
	if (first <= last && balloon->pages.pending)
		pages_settle(&balloon->pages, (uint32_t)first, last - first + 1);
}

int balloon_unmap(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	int removed = memory_unmap(&balloon->memory, gpa, size);

	if (removed > 0) {
		drop_releases(balloon, gpa, size);
		memory_changed(balloon);
	}
	return removed;
}

void balloon_unmap_all(struct balloon *balloon)
{
	releases_cancel(balloon);
	memory_clear(&balloon->memory);
	memory_changed(balloon);
}

const struct memory *balloon_memory(const struct balloon *balloon)
{
	return &balloon->memory;
}

/*
 * Features and queues
 */

uint64_t balloon_offered(const struct balloon *balloon)
{
	return balloon->options.features;
}

bool balloon_set_features(struct balloon *balloon, uint64_t features)
{
	/* What waits for its release, and what queues are for, depends on them. */
	if (balloon->driver_ok)
		return features == balloon->acknowledged;
	if (features & ~balloon->options.features ||
	    (features & BALLOON_BIT(VIRTIO_F_RING_PACKED) &&
	     !(features & BALLOON_BIT(VIRTIO_F_VERSION_1))))
		return false;
	balloon->acknowledged = features;
	balloon->features_ok = true;
	return true;
}

uint64_t balloon_acknowledged(const struct balloon *balloon)
{
	return balloon->acknowledged;
}

void balloon_set_big_endian(struct balloon *balloon, bool big_endian)
{
	balloon->big_endian = big_endian;
}

static bool has_queue(const struct balloon *balloon, enum balloon_queue kind)
{
	uint64_t features =
		balloon->features_ok ? balloon->acknowledged : balloon->options.features;

	switch (kind) {
	case BALLOON_INFLATE:
	case BALLOON_DEFLATE:
		return true;
	case BALLOON_STATS:
		return features & BALLOON_BIT(BALLOON_F_STATS_VQ);
	case BALLOON_FREE_PAGE:
		return features & BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT);
	case BALLOON_REPORTING:
		return features & BALLOON_BIT(BALLOON_F_PAGE_REPORTING);
	case BALLOON_QUEUE_KINDS:
		break;
	}
	return false;
}

/* Numbered densely over what was acknowledged, as Linux and QEMU do; VIRTIO 5.5.2 has fixed
 * numbers, which no driver uses. */
enum balloon_queue balloon_queue_kind(const struct balloon *balloon, unsigned int queue)
{
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		if (has_queue(balloon, kind) && queue-- == 0)
			return kind;
	return BALLOON_QUEUE_KINDS;
}

unsigned int balloon_queue_number(const struct balloon *balloon, enum balloon_queue kind)
{
	unsigned int number = 0;

	if (!has_queue(balloon, kind))
		return BALLOON_QUEUES_MAX;
	for (enum balloon_queue before = 0; before < kind; before++)
		number += has_queue(balloon, before);
	return number;
}

unsigned int balloon_queue_count(const struct balloon *balloon)
{
	unsigned int count = 0;

	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		count += has_queue(balloon, kind);
	return count;
}

int balloon_queue_start(struct balloon *balloon, unsigned int queue,
			const struct virtqueue_setup *setup, const uint32_t *base)
{
	struct virtqueue_setup whole = *setup;
	struct virtqueue started;
	int error;

	if (queue >= balloon_queue_count(balloon))
		return -EINVAL;
	whole.packed = acknowledged(balloon, VIRTIO_F_RING_PACKED);
	whole.indirect = acknowledged(balloon, VIRTIO_F_RING_INDIRECT_DESC);
	whole.event_idx = acknowledged(balloon, VIRTIO_F_RING_EVENT_IDX);
	whole.big_endian = is_big_endian(balloon);
	whole.base = base ? *base : whole.packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT;
	error = virtqueue_start(&started, &balloon->memory, &whole);
	if (error)
		return error;
	balloon_queue_stop(balloon, queue);
	balloon->queues[queue] = started;
	/* Buffers may be there already: no kick need come for them. */
	balloon->kicked[queue] = true;
	return 0;
}

/* What is in hand of queue number @queue goes back. */
static void return_buffers(struct balloon *balloon, unsigned int queue)
{
	enum balloon_queue kind = balloon_queue_kind(balloon, queue);

	queues_finish(balloon, queue);
	if (kind == BALLOON_INFLATE && balloon->held_count) {
		releases_cancel(balloon);
		for (unsigned int i = 0; i < balloon->held_count; i++)
			balloon_return(balloon, queue, balloon->held[i]);
		balloon->held_count = 0;
	}
	if (kind == BALLOON_STATS && balloon->stats_held)
		balloon_return(balloon, queue, balloon->stats_token);
	if (kind == BALLOON_STATS)
		stats_forget_buffer(balloon);
}

uint32_t balloon_queue_stop(struct balloon *balloon, unsigned int queue)
{
	uint32_t base;

	if (queue >= BALLOON_QUEUES_MAX || !balloon->queues[queue].started)
		return 0;
	return_buffers(balloon, queue);
	base = virtqueue_base(&balloon->queues[queue]);
	virtqueue_stop(&balloon->queues[queue]);
	balloon->kicked[queue] = false;
	return base;
}

void balloon_return(struct balloon *balloon, unsigned int queue, struct virtqueue_token token)
{
	if (queue >= BALLOON_QUEUES_MAX)
		return;
	/* Nothing is ever written into a guest's buffer. */
	virtqueue_push(&balloon->queues[queue], token, 0);
	if (virtqueue_should_notify(&balloon->queues[queue]))
		balloon->host.notify_queue(balloon->host.data, queue);
}

void balloon_driver_ok(struct balloon *balloon)
{
	if (balloon->driver_ok)
		return;
	/* Before, so that the driver is not told of what it reads anyway; and once for all. */
	settle_target(balloon);
	balloon->driver_ok = true;
	settle_target(balloon);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_DRIVER);
}

bool balloon_is_driver_ok(const struct balloon *balloon)
{
	return balloon->driver_ok;
}

bool balloon_needs_reset(const struct balloon *balloon)
{
	return balloon->needs_reset;
}

void balloon_reset(struct balloon *balloon)
{
	bool had_driver = balloon->driver_ok;

	balloon->hand.busy = false;
	balloon->held_count = 0;
	/* The guest has all its pages again: a late release would destroy them. */
	balloon_forget_account(balloon);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		virtqueue_stop(&balloon->queues[i]);
		balloon->kicked[i] = false;
	}
	balloon->acknowledged = 0;
	balloon->features_ok = false;
	balloon->driver_ok = false;
	balloon->needs_reset = false;
	balloon->big_endian = false;
	balloon->actual = balloon->actual_written = 0;
	balloon->poison = 0;
	stats_forget_buffer(balloon);
	hinting_reset(balloon);
	balloon->counters[BALLOON_C_RESETS]++;
	if (had_driver)
		balloon->host.event(balloon->host.data, BALLOON_EVENT_DRIVER);
}

void balloon_forget_account(struct balloon *balloon)
{
	releases_cancel(balloon);
	pages_clear(&balloon->pages);
}

void balloon_kick(struct balloon *balloon, unsigned int queue)
{
	if (queue < BALLOON_QUEUES_MAX)
		balloon->kicked[queue] = true;
}

/* Tells of releases that the host refused, as balloon_faults() does of the guest's faults. */
static void tell_refusals(struct balloon *balloon)
{
	uint64_t before = balloon->refusals_told, after = balloon->release.failed;
	char line[160];

	balloon->refusals_told = after;
	if (!passed_a_power_of_ten(before, after))
		return;
	snprintf(line, sizeof(line), "host: a release was refused: %s (%llu so far)",
		 strerror(balloon->release.error), (unsigned long long)after);
	balloon->host.log(balloon->host.data, line);
}

/*
 * Are the pages in the balloon the device's to release?  Not while the inflate queue rests: over
 * vhost-user that may be a pause, or the end of a driver whose guest has all its pages again.
 */
static bool owns_pages(const struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_INFLATE);

	return balloon->queues[queue].started || !balloon->pages.ballooned;
}

uint64_t balloon_work(struct balloon *balloon)
{
	bool busy = false;
	uint64_t due, now;

	if (balloon->driver_ok)
		busy |= queues_step(balloon);
	if (owns_pages(balloon)) {
		busy |= releases_step(balloon);
		tell_refusals(balloon);
		busy |= audit_step(balloon);
	}
	if (busy)
		return 0;
	if (!owns_pages(balloon))
		return BALLOON_IDLE;
	due = releases_due_ns(balloon);
	now = now_ns(balloon);
	if (due == BALLOON_IDLE)
		return BALLOON_IDLE;
	return due > now ? due - now : 0;
}

/*
 * The host's side
 */

void balloon_set_target(struct balloon *balloon, uint64_t target_bytes)
{
	uint32_t before = balloon->num_pages;

	balloon->target_wanted = target_bytes < BALLOON_UNSET ? target_bytes : BALLOON_UNSET - 1;
	settle_target(balloon);
	/* Said again, it is for a driver that has moved away from it, as by deflating on OOM. */
	if (balloon->driver_ok && balloon->num_pages == before && before != balloon->actual)
		balloon->host.notify_config(balloon->host.data);
}

static uint64_t less_pages(uint64_t bytes, uint32_t pages)
{
	uint64_t balloon_bytes = (uint64_t)pages * MEMORY_PAGE_BYTES;

	return bytes > balloon_bytes ? bytes - balloon_bytes : 0;
}

void balloon_info(const struct balloon *balloon, struct balloon_info *info)
{
	uint64_t max = balloon_max_bytes(balloon);

	*info = (struct balloon_info){
		.max_bytes = max,
		.target_bytes = less_pages(max, balloon->num_pages),
		.actual_bytes = less_pages(max, balloon->actual),
		.ballooned_bytes = balloon->pages.ballooned * MEMORY_PAGE_BYTES,
		.pending_bytes = balloon->pages.pending * MEMORY_PAGE_BYTES,
	};
}

uint64_t balloon_counter(const struct balloon *balloon, enum balloon_counter counter)
{
	if (counter == BALLOON_C_RELEASE_CALLS)
		return balloon->release.calls;
	if (counter == BALLOON_C_RELEASED_BYTES)
		return balloon->release.bytes;
	if (counter == BALLOON_C_RELEASE_FAILED)
		return balloon->release.failed;
	return balloon->counters[counter];
}

void balloon_set_reporting(struct balloon *balloon, bool on)
{
	balloon->reporting = on;
}

bool balloon_reporting(const struct balloon *balloon)
{
	return balloon->reporting;
}
