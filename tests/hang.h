/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time limit of every wait in the C tests.
 *
 * A test waits for a condition, and its limit only ends one that hangs: a machine with ten times
 * as much to do as it has processors must not reach it.  No test asserts how long something takes.
 */
#ifndef AEROSTAT_TESTS_HANG_H
#define AEROSTAT_TESTS_HANG_H

#include <stdint.h>

#define HANG_S 600
#define HANG_MS (HANG_S * 1000)
#define HANG_US (INT64_C(1000000) * HANG_S)
#define HANG_NS (UINT64_C(1000000000) * HANG_S)

#endif
