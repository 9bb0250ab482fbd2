/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read of a guest reached through libvirt: operations of struct hv_ops (private to
 * libvirt*.c). */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_READ_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_READ_H

#include "hypervisor/hypervisor.h"

/* As hv_guest_info(). */
bool libvirt_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error);

/* As hv_guest_balloon_get(). */
bool libvirt_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			 GError **error);

/* As hv_guest_stats_get(). */
bool libvirt_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
		       GError **error);

/* As hv_guest_obstacle(). */
bool libvirt_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		      GError **error);

#endif
