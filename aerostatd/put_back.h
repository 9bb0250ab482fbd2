/* SPDX-License-Identifier: BSD-3-Clause */
/* Putting one guest back to how it was before it was managed: at an orderly end and after a crash.
 */
#ifndef AEROSTAT_PUT_BACK_H
#define AEROSTAT_PUT_BACK_H

#include "hypervisor/hypervisor.h"

/*
 * put_back_guest - its size and its period of statistics
 * @info: how it is now
 * @before_period_s: -1 to leave it as it is
 *
 * Waits until the guest has its size.  One that had less before gives back only what it
 * can spare, and nothing when its statistics are too old to tell; then, and when it has not
 * arrived at @deadline, that is an error.
 */
bool put_back_guest(hv_guest *reached, int64_t deadline, const struct hv_info *info,
		    uint64_t before_bytes, int before_period_s, GError **error);

#endif
