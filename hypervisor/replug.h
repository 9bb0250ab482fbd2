/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The only way to a new process of our balloon device under a running guest:
 * unplug the device, which the guest has to let go, and plug it in again.
 */
#ifndef AEROSTAT_HYPERVISOR_REPLUG_H
#define AEROSTAT_HYPERVISOR_REPLUG_H

#include "hypervisor/hypervisor.h"

/*
 * replug_unplug - take the device away, if it is there
 * @device: its JSON, see adopt_xml_device()
 *
 * Waits until the guest has let it go.  HV_ERROR_TIMEOUT when it does not.
 */
bool replug_unplug(hv_guest *guest, int64_t deadline, const char *device, GError **error);

/* Plugs it in; whoever listens on its socket then serves it. */
bool replug_plug(hv_guest *guest, int64_t deadline, const char *device, GError **error);

#endif
