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
 * acknowledged that.  A gated device does so at once up to the guest's credit, as long as the size
 * stays below the ceiling.  Beyond that, it holds the acknowledgement back until there is credit,
 * at most for RELIEF_HOLD_US: the OOM path may be what waits.  A pull beyond the ceiling has no end
 * of waiting, because there the tasks can still reclaim.
 */
#ifndef AEROSTAT_SIM_RELIEF_H
#define AEROSTAT_SIM_RELIEF_H

#include "simulator/guest.h"

/* Slow enough that a swap on disk (150 MiB/s) keeps up with ten guests in need. */
#define RELIEF_HOLD_US INT64_C(5000000)

/* Pulls until @bytes are usable, or the step, the balloon or the credit is used up. */
void relief_pull(struct sim_guest *guest, int64_t bytes);

/*
 * relief_out_of_memory - what the guest gets instead of an OOM kill
 *
 * Returns false if it gets nothing and must kill.  While the gate holds the memory back nothing is
 * given, and nothing is killed.
 */
bool relief_out_of_memory(struct sim_guest *guest);

#endif
