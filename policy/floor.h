/* SPDX-License-Identifier: BSD-3-Clause */
/* The least memory a Linux guest should be left with. */
#ifndef AEROSTAT_FLOOR_H
#define AEROSTAT_FLOOR_H

#include <stdint.h>

/*
 * floor_bytes - bytes below which no guest of @max_bytes RAM should be taken
 *
 * The rule is Hyper-V's for Linux guests (drivers/hv/hv_balloon.c,
 * compute_balloon_floor): a fixed part that shrinks as a share with size.  It
 * grows with @max_bytes and never exceeds it.
 */
uint64_t floor_bytes(uint64_t max_bytes);

#endif
