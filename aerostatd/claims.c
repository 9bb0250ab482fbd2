/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/claims.h"

#include <string.h>
#include <sys/sysinfo.h>

#include "common/size.h"
#include "hypervisor/vmm_process.h"

bool claims_check_maximum(const hv_guest *guest, const hv_info *info, uint64_t space_bytes,
			  uint64_t host_bytes, GError **error)
{
	g_autofree char *claimed = NULL, *host = NULL;

	if (info->max_bytes <= host_bytes ||
	    (space_bytes != HV_UNSET && info->max_bytes <= space_bytes))
		return true;
	claimed = size_format(info->max_bytes);
	host = size_format(host_bytes);
	g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL,
		    "%s: it claims to have %s; this host has %s of RAM and swap, and its process "
		    "maps less than that",
		    guest->address, claimed, host);
	return false;
}

/* RAM and swap of this host; HV_UNSET if unknown. */
static uint64_t read_host_bytes(void)
{
	struct sysinfo host;

	if (sysinfo(&host))
		return HV_UNSET;
	return ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
}

bool claims_check_guest(const hv_guest *guest, const hv_info *info, GError **error)
{
	if (strcmp(guest->source, "qmp") != 0 && !hv_uri_is_local(guest->source))
		return true;
	return claims_check_maximum(guest, info,
				    info->pid ? vmm_process_address_bytes(info->pid) : HV_UNSET,
				    read_host_bytes(), error);
}

/* HV_UNSET, which is above any size, stays. */
static void bound_stat(struct hv_stats *stats, enum hv_stat stat, uint64_t most_bytes)
{
	if (stats->value[stat] != HV_UNSET)
		stats->value[stat] = MIN(stats->value[stat], most_bytes);
}

void claims_bound_stats(struct hv_stats *stats, uint64_t max_bytes)
{
	uint64_t total_bytes;

	bound_stat(stats, HV_STAT_ACTUAL, max_bytes);
	bound_stat(stats, HV_STAT_AVAILABLE, max_bytes);
	total_bytes = MIN(stats->value[HV_STAT_AVAILABLE], max_bytes);
	bound_stat(stats, HV_STAT_USABLE, total_bytes);
	bound_stat(stats, HV_STAT_UNUSED, total_bytes);
	bound_stat(stats, HV_STAT_DISK_CACHES, total_bytes);
}
