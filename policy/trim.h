/* SPDX-License-Identifier: BSD-3-Clause */
/* How much page cache a guest is asked to give up. */
#ifndef AEROSTAT_TRIM_H
#define AEROSTAT_TRIM_H

#include <stdint.h>

struct view;
struct round;

/* The bytes that the guest is to give up now, in whole MiB; 0: none. */
uint64_t trim_bytes(const struct view *view, const struct round *round);

#endif
