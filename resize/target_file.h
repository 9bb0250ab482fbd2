/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file per guest that records the target of its latest setmem.
 *
 * Neither QEMU nor libvirt reports a guest's target.  So of two setmem for the same guest, the
 * first would wait for a size that is no longer wanted.  Each setmem therefore writes its target
 * to the guest's file before it sets it; the latest one counts, and an earlier one notices that
 * the file has changed.  The file is never removed: otherwise a setmem that begins and ends
 * between two checks would go unnoticed.
 */
#ifndef AEROSTAT_RESIZE_TARGET_FILE_H
#define AEROSTAT_RESIZE_TARGET_FILE_H

#include "hypervisor/hypervisor.h"

struct target_file {
	char *path; /* NULL: the file cannot be written, and nothing is recorded */
	char *text; /* what we wrote */
};

/*
 * target_file_write - record that this process sets @guest to @target_bytes
 *
 * Fills *file, which target_file_clear() frees.  Cannot fail: where the file cannot be
 * written, target_file_is_current() is always true.
 */
void target_file_write(struct target_file *file, const hv_guest *guest, const hv_info *info,
		       uint64_t target_bytes);

/* Whether our target is still the latest; if not, *newer_bytes is the one that replaced it. */
bool target_file_is_current(const struct target_file *file, uint64_t *newer_bytes);

/* Frees what *file holds; the file itself stays. */
void target_file_clear(struct target_file *file);

#endif
