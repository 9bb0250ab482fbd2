/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest reports is a claim: its monitor may be anybody's, and its statistics are the
 * guest's own.
 *
 * A maximum is impossible if it is more than this host's RAM and swap and more than the address
 * space of the guest's process, which maps all of its RAM.  A guest with an impossible maximum is
 * treated as one that does not answer: others are not shrunk for it.  Statistics that contradict
 * each other or the maximum are bounded.
 */
#ifndef AEROSTATD_CLAIMS_H
#define AEROSTATD_CLAIMS_H

#include "hypervisor/hypervisor.h"

/*
 * claims_check_maximum - whether a guest can have the maximum that it reports
 * @space_bytes: the address space of its process; HV_UNSET: not known
 * @host_bytes: RAM and swap of this host
 *
 * Returns false with an HV_ERROR that names both.
 */
bool claims_check_maximum(const hv_guest *guest, const hv_info *info, uint64_t space_bytes,
			  uint64_t host_bytes, GError **error);

/* The same with the present numbers.  What is known of guests of other hosts is not checked. */
bool claims_check_guest(const hv_guest *guest, const hv_info *info, GError **error);

/* Bounds @stats by @max_bytes and by each other: all is part of the total, free is available. */
void claims_bound_stats(struct hv_stats *stats, uint64_t max_bytes);

#endif
