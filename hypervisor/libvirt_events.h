/* SPDX-License-Identifier: BSD-3-Clause */
/* Events of a libvirt domain (private to libvirt*.c). */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_EVENTS_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_EVENTS_H

#include "hypervisor/libvirt_link.h"

/* Waits for the next event of the link's guest, as hv_guest_event_wait() does. */
bool libvirt_link_wait_event(struct libvirt_link *link, int64_t deadline, struct hv_event *event,
			     GError **error);

#endif
