/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of features, statistics and counters, and what documents say about them. */
#include "device/balloon.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct balloon_feature_row balloon_features[] = {
	{ BALLOON_F_MUST_TELL_HOST, "must-tell-host", true,
	  "the guest reports a page before it reuses it, so releases can be batched" },
	{ BALLOON_F_STATS_VQ, "stats", true, "the guest reports how it uses its memory" },
	{ BALLOON_F_DEFLATE_ON_OOM, "deflate-on-oom", false,
	  "the guest takes pages back before its OOM killer runs" },
	{ BALLOON_F_FREE_PAGE_HINT, "free-page-hint", true,
	  "the guest lists its free pages on request" },
	{ BALLOON_F_PAGE_POISON, "page-poison", true,
	  "the guest reports what it fills free pages with" },
	{ BALLOON_F_PAGE_REPORTING, "free-page-reporting", false,
	  "the guest reports free pages when they become free, and they are released" },
	{ VIRTIO_F_RING_INDIRECT_DESC, "indirect", true,
	  "descriptor chains may be in tables of their own" },
	{ VIRTIO_F_RING_EVENT_IDX, "event-idx", true, "fewer kicks and interrupts" },
	{ VIRTIO_F_VERSION_1, "version-1", true, "VIRTIO 1; off: for drivers older than that" },
	{ VIRTIO_F_RING_PACKED, "packed", true, "packed rings" },
	{ BALLOON_F_TRIM, "trim", true,
	  "private: the guest gives up page cache on request, if its driver is ours" },
};
const size_t balloon_feature_count = COUNT(balloon_features);

uint64_t balloon_default_features(void)
{
	uint64_t features = 0;

	for (size_t i = 0; i < balloon_feature_count; i++)
		if (balloon_features[i].by_default)
			features |= BALLOON_BIT(balloon_features[i].bit);
	return features;
}

/* Rows as balloon.h says; docs/device.md describes the private tags. */
const struct balloon_stat_row balloon_stat_table[BALLOON_STATS_KNOWN] = {
	{ 0, "stat-swap-in", "bytes swapped in" },
	{ 1, "stat-swap-out", "bytes swapped out" },
	{ 2, "stat-major-faults", "page faults that waited for a disk" },
	{ 3, "stat-minor-faults", "other page faults" },
	{ 4, "stat-free-memory", "bytes not used for anything (MemFree)" },
	{ 5, "stat-total-memory", "bytes that the guest sees (MemTotal)" },
	{ 6, "stat-available-memory", "bytes available without swapping (MemAvailable)" },
	{ 7, "stat-disk-caches", "bytes of cache that can be dropped" },
	{ 8, "stat-htlb-pgalloc", "huge pages allocated" },
	{ 9, "stat-htlb-pgfail", "huge pages that could not be allocated" },
	{ 10, "stat-oom-kills", "processes killed by the OOM killer" },
	{ 11, "stat-alloc-stalls", "allocations that had to reclaim first" },
	{ 12, "stat-async-scans", "bytes scanned by kswapd" },
	{ 13, "stat-direct-scans", "bytes scanned by allocations" },
	{ 14, "stat-async-reclaims", "bytes reclaimed by kswapd" },
	{ 15, "stat-direct-reclaims", "bytes reclaimed by allocations" },
	{ 0xae00, "psi-some-us", "µs in which some task waited for memory" },
	{ 0xae01, "psi-full-us", "µs in which all tasks waited for memory" },
	{ 0xae02, "refaults-anon", "pages swapped out and soon needed again" },
	{ 0xae03, "refaults-file", "pages of cache dropped and soon needed again" },
	{ 0xae04, "free-swap", "bytes of swap that are free" },
	{ 0xae05, "anon-memory", "bytes of memory of processes" },
	{ 0xae06, "trimmed", "bytes of page cache given up on request" },
};

const struct balloon_counter_row balloon_counter_table[BALLOON_C_COUNT] = {
	[BALLOON_C_INFLATED_PAGES] = { "inflated-pages", "pages put into the balloon" },
	[BALLOON_C_DEFLATED_PAGES] = { "deflated-pages", "pages taken out of it" },
	[BALLOON_C_RELEASE_CALLS] = { "release-calls", "system calls that released memory" },
	[BALLOON_C_RELEASED_BYTES] = { "released-bytes", "bytes released by them" },
	[BALLOON_C_RELEASE_CANCELLED_PAGES] = { "release-cancelled-pages",
						"pages deflated before they were released" },
	[BALLOON_C_RELEASE_FAILED] = { "release-failed", "releases that the host refused" },
	[BALLOON_C_POPULATED_BYTES] = { "populated-bytes",
					"bytes allocated in advance for deflated pages" },
	[BALLOON_C_REPORTED_BYTES] = { "reported-bytes",
				       "bytes of free memory that the guest reported" },
	[BALLOON_C_HINTED_BYTES] = { "hinted-bytes",
				     "bytes of free memory that the guest hinted at" },
	[BALLOON_C_STATS_RECEIVED] = { "stats-received", "samples of statistics" },
	[BALLOON_C_AUDITS] = { "audits", "audits that ended" },
	[BALLOON_C_AUDIT_RESIDENT_PAGES] = { "audit-resident-pages",
					     "ballooned pages that were resident again" },
	[BALLOON_C_TRIMS] = { "trims", "requests to give up page cache" },
	[BALLOON_C_PULLED_PAGES] = { "pulled-pages",
				     "pages that the guest took back beyond its target" },
	[BALLOON_C_GATE_WAITS] = { "gate-waits", "deflations that had to wait, as the guest was "
						 "beyond its credit" },
	[BALLOON_C_GATE_TIMEOUTS] = { "gate-timeouts",
				      "waits that were over before there was credit" },
	[BALLOON_C_RESETS] = { "resets", "resets of the device" },
	[BALLOON_C_FAULT_CHAIN] = { "fault-chain",
				    "chains that loop, are too long or make no sense" },
	[BALLOON_C_FAULT_DIRECTION] = { "fault-direction", "buffers with the wrong direction" },
	[BALLOON_C_FAULT_LENGTH] = { "fault-length", "buffers with a wrong length" },
	[BALLOON_C_FAULT_MEMORY] = { "fault-memory", "buffers that are not in RAM" },
	[BALLOON_C_FAULT_PFN] = { "fault-pfn", "pages that are not in RAM" },
	[BALLOON_C_FAULT_INFLATE_TWICE] = { "fault-inflate-twice",
					    "inflated pages that were in the balloon already" },
	[BALLOON_C_FAULT_DEFLATE_NEVER] = { "fault-deflate-never",
					    "deflated pages that were not in the balloon" },
	[BALLOON_C_FAULT_STATS] = { "fault-stats", "more than one statistics buffer at a time" },
	[BALLOON_C_FAULT_HINT] = { "fault-hint", "hints outside a round, or of another round" },
	[BALLOON_C_FAULT_CONFIG] = { "fault-config",
				     "writes to fields that only the device may write" },
	[BALLOON_C_FAULT_RING] = { "fault-ring",
				   "rings that make no sense: the device needs a reset" },
};
