/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The balloon of a running libvirt guest that has our own device: it is steered
 * by that device's control socket (private to libvirt*.c).
 *
 * Theory of operation: libvirt takes such a guest for one without a balloon.
 * The XML it runs with tells the control socket, which is one more QMP guest,
 * and what concerns the balloon is asked there.  Whose fault it is when nobody
 * answers, the device's or the whole guest's, libvirt is asked afterwards.
 */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_DEVICE_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_DEVICE_H

#include "hypervisor/libvirt_link.h"

struct libvirt_guest {
	struct hv_guest base;
	struct libvirt_link *link;
	bool settled;		 /* it is known whether there is a device of ours */
	struct hv_guest *device; /* its control socket; NULL: the balloon is QEMU's, or none */
};

/* @control: where the running guest's device is steered, NULL when it has none of ours. */
void libvirt_device_update(struct libvirt_guest *guest, const char *control);

/*
 * The guest has our device, so that the device_*() below are to be asked.  Finds
 * out whether it has when that is not known.
 */
bool libvirt_device_find(struct hv_guest *guest, int64_t deadline);

/* Puts what the device knows into what libvirt told.  A device that does not answer is
 * has_balloon with an unknown size. */
void libvirt_device_add_info(struct libvirt_guest *guest, int64_t deadline, struct hv_info *info);

/* As the hv_ops of the same names; balloon_set and stats_period_set for the running guest. */
bool libvirt_device_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
				GError **error);
bool libvirt_device_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
				GError **error);
bool libvirt_device_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			      GError **error);
bool libvirt_device_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
				     GError **error);
bool libvirt_device_wait_event(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			       GError **error);

#endif
