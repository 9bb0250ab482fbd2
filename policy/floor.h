/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two amounts that a Linux guest must be left with.
 *
 * The *floor* bounds a guest's size: no guest is made smaller, whatever it reports.
 * The *headroom* is memory that must be available inside a guest, whatever its size:
 * with less, its next fork may wake the OOM killer.  The guest driver keeps the same
 * headroom by itself (guest/floor.c, its parameter floor_mib).
 *
 * What is available is the guest's claim, and some guests report less than Linux does: see
 * estimate_available_bytes().
 *
 * All functions are pure and may be called from any thread.
 */
#ifndef AEROSTAT_FLOOR_H
#define AEROSTAT_FLOOR_H

#include <stdint.h>

/*
 * floor_bytes - the least size, in bytes, of a guest with @max_bytes of RAM
 *
 * The rule is Hyper-V's for Linux guests (drivers/hv/hv_balloon.c,
 * compute_balloon_floor): a fixed part, whose share falls with the size.  The result
 * grows with @max_bytes and never exceeds it.
 */
uint64_t floor_bytes(uint64_t max_bytes);

#define HEADROOM_MIN_BYTES (UINT64_C(64) << 20)

/*
 * headroom_bytes - what must be available in a guest of @size_bytes
 *
 * The larger of HEADROOM_MIN_BYTES and 3 %, because the kernel's watermarks grow with the size.
 */
uint64_t headroom_bytes(uint64_t size_bytes);

/*
 * estimate_available_bytes - what is available in a guest, by its statistics
 * @available_bytes: its MemAvailable; UINT64_MAX if it does not report it
 * @free_bytes: its free memory; UINT64_MAX likewise
 *
 * Drivers of Windows and FreeBSD report free memory only.  Free memory is available too, so it
 * is a safe lower bound of what is available.  Returns UINT64_MAX if the guest reports neither.
 */
uint64_t estimate_available_bytes(uint64_t available_bytes, uint64_t free_bytes);

#endif
