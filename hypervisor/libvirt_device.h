/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The balloon of a running libvirt guest that has aerostat's own device, reached
 * through the device's control socket (private to libvirt*.c).
 *
 * Theory of operation: for libvirt such a guest has no balloon.  Its live XML
 * contains the path of the device's control socket (domain_xml.h), which is one
 * more QMP guest.  What concerns the balloon is asked there.  When nothing answers,
 * libvirt is asked afterwards whether the whole guest has stopped.
 */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_DEVICE_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_DEVICE_H

#include "hypervisor/libvirt_link.h"

struct libvirt_guest {
	struct hv_guest base;
	struct libvirt_link *link;
	bool device_known;	 /* @device is up to date */
	struct hv_guest *device; /* its control socket; NULL when it has no device of aerostat's */
};

/* libvirt_call_new() for the link of a guest, which is a struct libvirt_guest. */
struct libvirt_call *libvirt_guest_new_call(struct hv_guest *guest, int64_t deadline,
					    bool (*work)(struct libvirt_call *, virDomainPtr),
					    char *asked);

/* Whether the guest has aerostat's device; valid after libvirt_device_find(). */
bool libvirt_guest_has_device(const struct hv_guest *guest);

/*
 * Stores what the live XML says of the device.  @control: its control socket; NULL
 * when the guest has no device of aerostat's.
 */
void libvirt_device_update(struct libvirt_guest *guest, const char *control);

/*
 * libvirt_device_find - find out whether the guest has aerostat's device
 * @asked: what it is needed for, see struct libvirt_call
 *
 * Reads the live XML if that is not known.  On success @device of the guest is
 * either the device, so that the functions below can be used, or NULL.  Returns
 * false if nobody could tell; then neither may be assumed.
 */
bool libvirt_device_find(struct hv_guest *guest, int64_t deadline, const char *asked,
			 GError **error);

/*
 * Adds the device's settings to @info, which has libvirt's.  When the device does
 * not answer, has_balloon is true and the size unknown.
 */
void libvirt_device_add_info(struct libvirt_guest *guest, int64_t deadline, struct hv_info *info);

/* As hv_guest_balloon_get(). */
bool libvirt_device_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
				GError **error);

/* As hv_guest_balloon_set() with HV_SCOPE_LIVE. */
bool libvirt_device_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
				GError **error);

/* As hv_guest_stats_get(). */
bool libvirt_device_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			      GError **error);

/* As hv_guest_stats_period_set() with HV_SCOPE_LIVE. */
bool libvirt_device_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
				     GError **error);

/* Implements hv_ops.credit_set; without a device of aerostat's it fails. */
bool libvirt_device_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
			       uint64_t ceiling_bytes, GError **error);

/* Implements hv_ops.trim; likewise. */
bool libvirt_device_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error);

/* As hv_guest_event_wait(): the device's balloon changes, and libvirt's events. */
bool libvirt_device_wait_event(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			       GError **error);

#endif
