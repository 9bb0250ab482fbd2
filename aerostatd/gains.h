/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What guests would gain by what their devices and drivers could do for them, and do not.
 *
 * Theory of operation
 * -------------------
 * Two gains are a switch of the guest's present device, and count only where that is known to be
 * off: a driver that does not use what it is offered has to be replaced, which is another gain. The
 * others need aerostat's driver or device.  A trim by itself is worth little, so it is none.
 */
#ifndef AEROSTATD_GAINS_H
#define AEROSTATD_GAINS_H

#include "aerostatd/managed.h"

/*
 * gains_find - whether @guest would gain by @ability, which it lacks
 * @bytes: what is known of how much: for POLICY_CAN_REPORT, the memory that is free in it and that
 *	the host still pays for; for POLICY_CAN_RELIEVE, what it could take back rather than kill a
 *	process; otherwise POLICY_UNSET
 *
 * A guest that does not answer, has no driver, or is left alone gains nothing.
 */
bool gains_find(const struct managed *guest, enum policy_ability ability, uint64_t *bytes);

#endif
