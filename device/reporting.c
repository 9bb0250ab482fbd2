/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free page reporting (VIRTIO 5.5.6.7): a buffer's memory is free, and is
 * released before the buffer is returned.  It is not in the balloon, so the
 * account does not know of it.
 */
#include "device/state.h"

#define REPORT_STEP_BYTES (UINT64_C(16) << 20)

bool reporting_check_buffer(struct balloon *balloon)
{
	if (!balloon->buffers.chain.readable)
		return true;
	balloon_fault(balloon, BALLOON_C_FAULT_DIRECTION, "a readable report, length",
		      balloon->buffers.chain.readable_bytes);
	return false;
}

/* A released page reads as zero, but VIRTIO wants a reported one to come back with its poison. */
static bool may_release_reports(const struct balloon *balloon)
{
	return balloon->reporting.on &&
	       !(is_acknowledged(balloon, BALLOON_F_PAGE_POISON) && balloon->config.poison);
}

/*
 * Cuts [@gpa, @gpa + *@size) down to whole pages of its backing: returns the first address, and
 * sets *@size, to 0 if there is no whole page.
 */
static uint64_t align_report(const struct memory_region *region, uint64_t gpa, uint64_t *size)
{
	uint64_t unit = region->page_bytes;
	uint64_t slack = (gpa - region->gpa + region->fd_offset) % unit;
	uint64_t skip = slack ? unit - slack : 0;

	*size = *size > skip ? (*size - skip) / unit * unit : 0;
	return gpa + skip;
}

/* Releases the report at @gpa, up to the end of its region or of the step; returns how far. */
static uint32_t release_report(struct balloon *balloon, uint64_t gpa, uint32_t length)
{
	const struct memory_region *region = memory_find(&balloon->memory, gpa);
	uint64_t size = length, aligned;

	if (!region || !region->writable || gpa % MEMORY_PAGE_BYTES || length % MEMORY_PAGE_BYTES) {
		balloon_fault(balloon, BALLOON_C_FAULT_PFN, "report of address", gpa);
		return length;
	}
	if (size > region->size - (gpa - region->gpa))
		size = region->size - (gpa - region->gpa);
	if (size > REPORT_STEP_BYTES && region->page_bytes <= REPORT_STEP_BYTES)
		size = REPORT_STEP_BYTES;
	balloon_count(balloon, BALLOON_C_REPORTED_BYTES, size);
	buffers_spend(balloon, size / MEMORY_PAGE_BYTES);
	aligned = size;
	gpa = align_report(region, gpa, &aligned);
	if (aligned && may_release_reports(balloon))
		release_range(&balloon->release, region, gpa, aligned);
	return (uint32_t)size;
}

void reporting_take_part(struct balloon *balloon)
{
	const struct buffers *buffers = &balloon->buffers;
	const struct virtqueue_segment *segment = &buffers->chain.segments[buffers->segment];
	uint32_t done = release_report(balloon, segment->gpa + buffers->offset,
				       segment->length - buffers->offset);

	buffers_advance(balloon, done);
	if (buffers->segment == buffers->chain.writable)
		buffers_finish(balloon);
}

void balloon_set_reporting(struct balloon *balloon, bool on)
{
	balloon->reporting.on = on;
}

bool balloon_reporting(const struct balloon *balloon)
{
	return balloon->reporting.on;
}
