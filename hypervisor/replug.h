/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unplugging aerostat's balloon device from a running guest and plugging it in
 * again: the only way to give the guest a new device process.
 */
#ifndef AEROSTAT_HYPERVISOR_REPLUG_H
#define AEROSTAT_HYPERVISOR_REPLUG_H

#include "hypervisor/hypervisor.h"

/*
 * replug_unplug - unplug the device, if it is plugged in
 * @device: its JSON, see adopt_xml_device()
 *
 * Waits until the guest has released it; HV_ERROR_TIMEOUT if it does not.
 */
bool replug_unplug(hv_guest *guest, int64_t deadline, const char *device, GError **error);

/* Plugs the device in.  The process that listens on its socket then serves it. */
bool replug_plug(hv_guest *guest, int64_t deadline, const char *device, GError **error);

#endif
