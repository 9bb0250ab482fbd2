/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the driver negotiated: features, byte order and status, and which queue
 * has which number.
 *
 * Queues are numbered densely over the features that were acknowledged, as
 * Linux and QEMU do; VIRTIO 5.5.2 has fixed numbers, which no driver uses.
 */
#include "device/state.h"

uint64_t balloon_offered(const struct balloon *balloon)
{
	return balloon->options.features;
}

bool balloon_set_features(struct balloon *balloon, uint64_t features)
{
	/* What waits for its release, and what queues are for, depends on them. */
	if (balloon->driver.driver_ok)
		return features == balloon->driver.acknowledged;
	if (features & ~balloon->options.features ||
	    (features & BALLOON_BIT(VIRTIO_F_RING_PACKED) &&
	     !(features & BALLOON_BIT(VIRTIO_F_VERSION_1))))
		return false;
	balloon->driver.acknowledged = features;
	balloon->driver.features_ok = true;
	return true;
}

uint64_t balloon_acknowledged(const struct balloon *balloon)
{
	return balloon->driver.acknowledged;
}

void balloon_set_big_endian(struct balloon *balloon, bool big_endian)
{
	balloon->driver.big_endian = big_endian;
}

static bool has_queue(const struct balloon *balloon, enum balloon_queue kind)
{
	uint64_t features = balloon->driver.features_ok ? balloon->driver.acknowledged
							: balloon->options.features;

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

void driver_set_ok(struct balloon *balloon)
{
	balloon->driver.driver_ok = true;
}

bool balloon_is_driver_ok(const struct balloon *balloon)
{
	return balloon->driver.driver_ok;
}

void driver_require_reset(struct balloon *balloon, unsigned int queue)
{
	balloon->driver.needs_reset = true;
	balloon_fault(balloon, BALLOON_C_FAULT_RING, "queue", queue);
	balloon->host.notify_config(balloon->host.data);
}

bool balloon_needs_reset(const struct balloon *balloon)
{
	return balloon->driver.needs_reset;
}

void driver_reset(struct balloon *balloon)
{
	balloon->driver = (struct driver_state){ 0 };
}
