/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How pages move between the parts of a guest's RAM (guest.h), and what that costs.
 *
 * Amounts are in bytes.  The caller asks for no more than there is.
 */
#ifndef AEROSTAT_SIM_PAGES_H
#define AEROSTAT_SIM_PAGES_H

#include "simulator/guest.h"

#define SIM_KIB INT64_C(1024)
#define SIM_MIB (SIM_KIB << 10)
#define SIM_GIB (SIM_MIB << 10)
#define SIM_PAGE (4 * SIM_KIB)
#define SIM_PER_STEP(bytes_s) ((int64_t)(bytes_s) / SIM_STEPS_PER_SECOND)

#define SIM_DISK_SPEED (150 * SIM_MIB) /* bytes per second */
#define SIM_ZRAM_SPEED SIM_GIB
#define SIM_ZRAM_FACTOR 3 /* how far zram compresses */

static inline int64_t max_zero(int64_t bytes)
{
	return bytes > 0 ? bytes : 0;
}

/* Uses free memory, touched pages first. */
void pages_take(struct sim_guest *guest, int64_t bytes);

/* Frees memory that was in use. */
void pages_free(struct sim_guest *guest, int64_t bytes);

/* From free memory to the balloon: touched and untouched pages in proportion. */
void pages_inflate(struct sim_guest *guest, int64_t bytes);

/* From the balloon to free memory. */
void pages_deflate(struct sim_guest *guest, int64_t bytes);

/*
 * Free page reporting, for the time of one step, if the guest can.  The kernel makes a pass every
 * 2 s, of a sixteenth of free memory or a call's 32 blocks of 4 MiB.  Blocks below 2 MiB are never
 * reported: that share of free memory stays resident if it was touched.
 */
void pages_report(struct sim_guest *guest);

/* What an allocation can have at once: half of the watermark is kept for emergencies. */
int64_t pages_usable(const struct sim_guest *guest);

/* Linux's low watermarks. */
int64_t pages_watermark(const struct sim_guest *guest);

/* Lets the guest's tasks wait for moving @bytes at @speed bytes per second. */
void pages_stall(struct sim_guest *guest, int64_t bytes, int64_t speed);

#endif
