/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a guest takes memory back from its balloon by itself.
 *
 * Theory of operation
 * -------------------
 * There are two ways, and each needs an ability:
 *
 *   out of memory  Instead of an OOM kill, the driver gives back some MiB per step: the in-tree
 *                  driver 32, ours 64.  The tasks wait for it.
 *   pull           Our driver gives back blocks of 64 MiB as soon as tasks begin to reclaim what is
 *                  not useless cache.  A block takes 3 ms, and its bytes 4 GiB/s; the tasks wait.
 *
 * The guest then keeps the memory until a new target comes with the in-tree driver, unless that is
 * about to inflate, and for 5 s with ours.
 *
 * The gate
 * --------
 * A driver that must tell the host first may use a page of the balloon only once the device has
 * acknowledged that.  As in device/gate.c, a gated device does so at once up to the guest's credit.
 * Beyond that, each RELIEF_STEP_BYTES wait for RELIEF_HOLD_US; at the ceiling ten times
 * as long, and twice as long each time while the guest has no credit.  A credit is in effect for
 * RELIEF_CREDIT_US.  Meanwhile the tasks reclaim, except those that are out of memory: they wait
 * until the driver gives up, after RELIEF_PATIENCE_US.
 */
#ifndef AEROSTAT_SIM_RELIEF_H
#define AEROSTAT_SIM_RELIEF_H

#include "simulator/guest.h"

#define RELIEF_HOLD_US INT64_C(500000)
#define RELIEF_CEILING_HOLD_US (10 * RELIEF_HOLD_US)
#define RELIEF_DOUBLINGS 6
#define RELIEF_STEP_BYTES (INT64_C(16) << 20)
#define RELIEF_CREDIT_US INT64_C(5000000)
#define RELIEF_PATIENCE_US INT64_C(1000000)

/* The host says what the guest may take back; POLICY_UNSET: without bound. */
void relief_set_gate(struct sim_guest *guest, uint64_t credit, uint64_t ceiling, int64_t now_us);

/* Pulls until @bytes are usable, or the step, the balloon or the credit is used up. */
void relief_pull(struct sim_guest *guest, int64_t bytes);

/*
 * relief_out_of_memory - what the guest gets instead of an OOM kill
 *
 * Returns false if it gets nothing and must kill.  While the driver waits at the gate nothing is
 * given, and nothing is killed.
 */
bool relief_out_of_memory(struct sim_guest *guest);

#endif
