/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver counts, each in a file of its own in the device's folder
 * `balloon`.  The table is the only list of them.
 */
#ifndef GUEST_COUNTERS_H
#define GUEST_COUNTERS_H

#define BALLOON_COUNTERS(C)                                                                        \
	C(harvested, "pages isolated from the free lists, not allocated")                          \
	C(inflated, "pages the host was told to take")                                             \
	C(deflated, "pages taken back from the host")                                              \
	C(merged, "blocks that went back to the allocator whole")                                  \
	C(migrated, "pages that compaction moved")                                                 \
	C(requests, "buffers sent to the device")                                                  \
	C(waits, "times the driver slept until the device answered")                               \
	C(retries, "times it had to try again, memory or pages being short")                       \
	C(floored, "times it stopped short to leave the guest enough")                             \
	C(oom_relief, "pages given to a guest that was out of memory")                             \
	C(reported, "free pages reported to the host")                                             \
	C(hinted, "free pages offered for a migration")                                            \
	C(stats_sent, "answers to the host's question for statistics")

#define BALLOON_COUNTER_ENUM(name, text) COUNT_##name,
enum balloon_counter { BALLOON_COUNTERS(BALLOON_COUNTER_ENUM) NR_BALLOON_COUNTERS };

#endif
