/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of balloon statistics, and how old statistics are. */
#include "hypervisor/hypervisor.h"

#include <libvirt/libvirt.h>

#define NO_TAG (-1)
#define MARKED_BYTES UINT64_C(4096) /* pages are multiples of it */

const struct hv_stat_row hv_stat_table[HV_STAT_COUNT] = {
	[HV_STAT_ACTUAL] = { "actual", NULL, VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, false,
			     "memory the guest has now: max minus the balloon" },
	[HV_STAT_SWAP_IN] = { "swap_in", "stat-swap-in", VIR_DOMAIN_MEMORY_STAT_SWAP_IN, false,
			      "read back from the guest's swap since it booted" },
	[HV_STAT_SWAP_OUT] = { "swap_out", "stat-swap-out", VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, false,
			       "written to the guest's swap since it booted" },
	[HV_STAT_MAJOR_FAULT] = { "major_fault", "stat-major-faults",
				  VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, true,
				  "page faults that waited for a disk" },
	[HV_STAT_MINOR_FAULT] = { "minor_fault", "stat-minor-faults",
				  VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, true,
				  "page faults that did not" },
	[HV_STAT_UNUSED] = { "unused", "stat-free-memory", VIR_DOMAIN_MEMORY_STAT_UNUSED, false,
			     "memory nothing uses (the guest's MemFree)" },
	[HV_STAT_AVAILABLE] = { "available", "stat-total-memory", VIR_DOMAIN_MEMORY_STAT_AVAILABLE,
				false, "all memory the guest counts as its own (its MemTotal)" },
	[HV_STAT_USABLE] = { "usable", "stat-available-memory", VIR_DOMAIN_MEMORY_STAT_USABLE,
			     false,
			     "memory to be had without swapping (the guest's MemAvailable)" },
	[HV_STAT_DISK_CACHES] = { "disk_caches", "stat-disk-caches",
				  VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, false,
				  "file caches, which the guest can drop" },
	[HV_STAT_HUGETLB_PGALLOC] = { "hugetlb_pgalloc", "stat-htlb-pgalloc",
				      VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, true,
				      "huge page allocations that succeeded" },
	[HV_STAT_HUGETLB_PGFAIL] = { "hugetlb_pgfail", "stat-htlb-pgfail",
				     VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, true,
				     "huge page allocations that failed" },
	[HV_STAT_OOM_KILLS] = { "oom_kills", "stat-oom-kills", NO_TAG, true,
				"times the guest's OOM killer struck" },
	[HV_STAT_ALLOC_STALLS] = { "alloc_stalls", "stat-alloc-stalls", NO_TAG, true,
				   "allocations that had to wait for reclaim" },
	[HV_STAT_ASYNC_SCANS] = { "async_scans", "stat-async-scans", NO_TAG, false,
				  "memory looked at by background reclaim" },
	[HV_STAT_DIRECT_SCANS] = { "direct_scans", "stat-direct-scans", NO_TAG, false,
				   "memory looked at by reclaim that somebody waited for" },
	[HV_STAT_ASYNC_RECLAIMS] = { "async_reclaims", "stat-async-reclaims", NO_TAG, false,
				     "memory freed by background reclaim" },
	[HV_STAT_DIRECT_RECLAIMS] = { "direct_reclaims", "stat-direct-reclaims", NO_TAG, false,
				      "memory freed by reclaim that somebody waited for" },
	[HV_STAT_PSI_SOME] = { "psi_some_us", "psi-some-us", NO_TAG, true,
			       "µs that some task of the guest waited for memory" },
	[HV_STAT_PSI_FULL] = { "psi_full_us", "psi-full-us", NO_TAG, true,
			       "µs that all tasks of the guest waited for memory" },
	[HV_STAT_REFAULTS_ANON] = { "refaults_anon", "refaults-anon", NO_TAG, true,
				    "pages swapped out and needed again soon" },
	[HV_STAT_REFAULTS_FILE] = { "refaults_file", "refaults-file", NO_TAG, true,
				    "pages of cache dropped and needed again soon" },
	[HV_STAT_FREE_SWAP] = { "free_swap", "free-swap", NO_TAG, false,
				"the guest's swap that is free" },
	[HV_STAT_ANON_MEMORY] = { "anon_memory", "anon-memory", NO_TAG, false,
				  "memory of the guest's processes, without files" },
	[HV_STAT_TRIMMED] = { "trimmed", "trimmed", NO_TAG, false,
			      "page cache that the guest gave up on request" },
	[HV_STAT_RSS] = { "rss", NULL, VIR_DOMAIN_MEMORY_STAT_RSS, false,
			  "resident memory of the guest's process on the host" },
};

void hv_stats_take_mark(struct hv_stats *stats)
{
	uint64_t *bytes = &stats->value[HV_STAT_DISK_CACHES];

	stats->relieves_early = *bytes != HV_UNSET && *bytes % MARKED_BYTES == HV_RELIEF_MARK;
	if (stats->relieves_early)
		*bytes -= HV_RELIEF_MARK;
}

unsigned int hv_find_abilities(const struct hv_info *info, const struct hv_stats *stats)
{
	unsigned int abilities = info->abilities;

	if (info->driver == HV_DRIVER_ABSENT)
		return 0;
	/* What the driver acknowledged is not known, as over libvirt.  Only Linux reports what is
	 * available, and its driver acknowledges both. */
	if (info->driver == HV_DRIVER_UNKNOWN && stats->value[HV_STAT_USABLE] != HV_UNSET) {
		abilities |= info->free_page_reporting > 0 ? HV_CAN_REPORT : 0;
		abilities |= info->autodeflate > 0 ? HV_CAN_RELIEVE : 0;
	}
	/* Only if the host allows it. */
	if (stats->relieves_early && abilities & HV_CAN_RELIEVE)
		abilities |= HV_CAN_PULL;
	return abilities;
}

int64_t hv_stats_age_s(const struct hv_stats *stats)
{
	if (stats->last_update_s <= 0)
		return -1;
	return MAX(stats->taken_s - stats->last_update_s, 0);
}

static int64_t stats_limit_s(const struct hv_stats *stats)
{
	return MAX(5, 3 * (int64_t)stats->period_s);
}

bool hv_stats_early(const struct hv_stats *stats)
{
	return stats->last_update_s > 0 &&
	       stats->last_update_s - stats->taken_s > stats_limit_s(stats);
}

bool hv_stats_stale(const struct hv_stats *stats)
{
	int64_t age = hv_stats_age_s(stats);

	return age < 0 || age > stats_limit_s(stats) || hv_stats_early(stats);
}
