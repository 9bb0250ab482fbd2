/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's counters.  Each is a file in the device's sysfs directory
 * `balloon`.  This table is the only list of them.
 */
#ifndef GUEST_COUNTERS_H
#define GUEST_COUNTERS_H

#include <linux/atomic.h>
#include <linux/sysfs.h>

#include "compat.h"

#define VB_COUNTERS(C)                                                                             \
	C(harvested, "pages isolated from the free lists without being allocated")                 \
	C(inflated, "pages that the host has taken")                                               \
	C(deflated, "pages taken out of the balloon")                                              \
	C(merged, "whole blocks returned to the allocator")                                        \
	C(migrated, "pages moved by compaction")                                                   \
	C(requests, "buffers sent to the device")                                                  \
	C(waits, "times the driver needed an answer that the device had not given yet")            \
	C(retries, "times the worker got no pages and tried again later")                          \
	C(floored, "times inflation stopped at the floor")                                         \
	C(oom_relief, "pages returned to a guest that was out of memory")                          \
	C(pulls, "times the guest took memory back because it began to reclaim")                   \
	C(early_relief, "pages that it took back so")                                              \
	C(trimmed, "pages of cache given up because the host asked for it")                        \
	C(reported, "free pages reported to the host")                                             \
	C(hinted, "free pages hinted to the host for a migration")                                 \
	C(stats_sent, "statistics buffers sent to the host")

#define VB_COUNTER_ENUM(name, text) VB_COUNT_##name,
enum vb_counter { VB_COUNTERS(VB_COUNTER_ENUM) VB_NR_COUNTERS };

/**
 * struct vb_counters - what has happened since the driver was loaded
 * @value: one value per &enum vb_counter
 * @allocated: blocks from the allocator, by order
 *
 * Written by vb_count() and vb_count_allocated(), without a lock.
 */
struct vb_counters {
	atomic_long_t value[VB_NR_COUNTERS];
	atomic_long_t allocated[NR_PAGE_ORDERS];
};

/* The sysfs directory `balloon` of each device. */
extern const struct attribute_group *vb_attribute_groups[];

#endif
