/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asked last.  Neither QEMU nor libvirt tells a guest's target back, so of
 * two setmem at once the first would wait for a size that nobody asks for any
 * more.  Each setmem therefore writes its claim into a file of the guest's; the
 * newest claim stands, and an older one learns that it was overtaken.  The file
 * stays, or a setmem that came and went between two looks would go unnoticed.
 */
#ifndef AEROSTAT_CLAIM_H
#define AEROSTAT_CLAIM_H

#include "hypervisor/hypervisor.h"

struct claim {
	char *path; /* NULL: no folder for claims here, and none is kept */
	char *text;
};

void claim_take(struct claim *claim, const hv_guest *guest, const hv_info *info,
		uint64_t target_bytes);
/* True while nobody asked anew; else *newer_bytes is the size asked for meanwhile. */
bool claim_stands(const struct claim *claim, uint64_t *newer_bytes);
void claim_clear(struct claim *claim);

#endif
