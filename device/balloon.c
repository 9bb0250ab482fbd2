/* SPDX-License-Identifier: BSD-3-Clause */
/* The device as a whole: its life, its memory, its reset, and its step of work. */
#include "device/balloon.h"

#include <stdlib.h>

#include "device/state.h"

struct balloon *balloon_new(const struct balloon_options *options, const struct balloon_host *host)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return NULL;
	balloon->options = *options;
	balloon->host = *host;
	balloon_set_reporting(balloon, true);
	stats_clear_sample(balloon);
	releases_cancel(balloon);
	config_init(balloon);
	gate_init(balloon);
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

static void apply_memory_change(struct balloon *balloon)
{
	buffers_relocate(balloon);
	config_apply_target(balloon);
}

/* @size bytes of RAM were added at @gpa. */
static void account_for_memory(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	if (pages_reserve(&balloon->pages, gpa, size))
		balloon->host.log(balloon->host.data,
				  "no memory for the account: some pages cannot be ballooned");
	apply_memory_change(balloon);
}

int balloon_map(struct balloon *balloon, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
		bool writable)
{
	int error = memory_map(&balloon->memory, gpa, size, fd, fd_offset, writable);

	if (!error)
		account_for_memory(balloon, gpa, size);
	return error;
}

int balloon_add(struct balloon *balloon, uint64_t gpa, uint64_t size, void *host)
{
	int error = memory_add(&balloon->memory, gpa, size, host);

	if (!error)
		account_for_memory(balloon, gpa, size);
	return error;
}

int balloon_unmap(struct balloon *balloon, uint64_t gpa, uint64_t size)
{
	int removed = memory_unmap(&balloon->memory, gpa, size);

	if (removed > 0) {
		releases_cancel_range(balloon, gpa, size);
		apply_memory_change(balloon);
	}
	return removed;
}

void balloon_unmap_all(struct balloon *balloon)
{
	releases_cancel(balloon);
	memory_clear(&balloon->memory);
	apply_memory_change(balloon);
}

const struct memory *balloon_memory(const struct balloon *balloon)
{
	return &balloon->memory;
}

void balloon_driver_ok(struct balloon *balloon)
{
	if (balloon->driver.driver_ok)
		return;
	/* Once before DRIVER_OK, so that the driver is not notified of what it reads anyway, and
	 * once after it, which makes the target final. */
	config_apply_target(balloon);
	driver_set_ok(balloon);
	config_apply_target(balloon);
	balloon->host.event(balloon->host.data, BALLOON_EVENT_DRIVER);
}

void balloon_reset(struct balloon *balloon)
{
	bool had_driver = balloon->driver.driver_ok;

	buffers_reset(balloon);
	inflate_reset(balloon);
	/* The guest owns all its pages again: a late release would destroy them. */
	releases_clear_account(balloon);
	driver_reset(balloon);
	config_reset(balloon);
	stats_reset(balloon);
	hinting_reset(balloon);
	gate_reset(balloon);
	balloon_count(balloon, BALLOON_C_RESETS, 1);
	if (had_driver)
		balloon->host.event(balloon->host.data, BALLOON_EVENT_DRIVER);
}

/*
 * May pages in the balloon be released?  Not while the inflate queue is stopped: over vhost-user
 * that may be a pause, or the end of a driver whose guest owns all its pages again.
 */
static bool owns_pages(const struct balloon *balloon)
{
	unsigned int queue = balloon_queue_number(balloon, BALLOON_INFLATE);

	return balloon->buffers.queues[queue].started || !balloon->pages.ballooned;
}

uint64_t balloon_work(struct balloon *balloon)
{
	bool busy = false;
	uint64_t due, gate_due, now;

	if (balloon->driver.driver_ok)
		busy |= queues_step(balloon);
	if (owns_pages(balloon)) {
		busy |= releases_step(balloon);
		busy |= audit_step(balloon);
	}
	if (busy)
		return 0;
	now = balloon_now_ns(balloon);
	due = owns_pages(balloon) ? releases_due_ns(balloon) : BALLOON_IDLE;
	if (due != BALLOON_IDLE)
		due = due > now ? due - now : 0;
	gate_due = gate_due_ns(balloon);
	/* A wait that is over, and was not ended, is that of a queue that does not run. */
	if (gate_due != BALLOON_IDLE && gate_due > now && gate_due - now < due)
		due = gate_due - now;
	return due;
}

static uint64_t subtract_pages(uint64_t bytes, uint32_t pages)
{
	uint64_t balloon_bytes = (uint64_t)pages * MEMORY_PAGE_BYTES;

	return bytes > balloon_bytes ? bytes - balloon_bytes : 0;
}

void balloon_info(const struct balloon *balloon, struct balloon_info *info)
{
	uint64_t max = config_max_bytes(balloon);

	*info = (struct balloon_info){
		.max_bytes = max,
		.target_bytes = subtract_pages(max, balloon->config.num_pages),
		.actual_bytes =
			gate_bound_size(balloon, subtract_pages(max, balloon->config.actual)),
		.ballooned_bytes = balloon->pages.ballooned * MEMORY_PAGE_BYTES,
		.pending_bytes = balloon->pages.pending * MEMORY_PAGE_BYTES,
	};
}
