/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest does with its memory beyond the balloon's size, over QMP (private to qmp*.c).
 *
 * Theory of operation: what the driver has acknowledged decides.  QEMU lists it in the answer to
 * x-query-virtio-status (since 7.2), which also shows whether there is a driver.  aerostat-device
 * lists it in the answer to x-query-balloon, which shows by "gate" that it has a gate.
 */
#ifndef AEROSTAT_HYPERVISOR_QMP_LOAN_H
#define AEROSTAT_HYPERVISOR_QMP_LOAN_H

#include "hypervisor/qmp_guest.h"

/* Reads @driver, @abilities and @control of @info, whose version is known.  For work functions. */
bool qmp_read_driver(struct qmp_guest *g, int64_t deadline, struct hv_info *info, GError **error);

/* Implements hv_ops.credit_set. */
bool qmp_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
		    uint64_t ceiling_bytes, GError **error);

/* Implements hv_ops.trim. */
bool qmp_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error);

#endif
