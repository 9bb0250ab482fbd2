/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory as the VMM shares it.  The addresses of rings are the VMM's
 * own, so each region's address in the VMM is kept beside the balloon's mapping.
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_MEMORY_H
#define AEROSTAT_TRANSPORT_VHOST_USER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "device/memory.h"
#include "transport/vhost_user_wire.h"

struct vhost_user;

/* Where a region is in the VMM and in the guest. */
struct vhost_user_mapping {
	uint64_t user;
	uint64_t gpa;
	uint64_t size;
};

struct vhost_user_memory {
	struct vhost_user_mapping mappings[MEMORY_REGIONS_MAX];
	unsigned int count;
};

/* Maps @region of the file @fd, which is owned by the balloon on success.  0 or -errno. */
int vhost_user_memory_add(struct vhost_user *vu, const struct vhost_user_region *region, int fd);
/* Unmaps @region, all of whose addresses must match; false when there is none like it. */
bool vhost_user_memory_remove(struct vhost_user *vu, const struct vhost_user_region *region);
/* Unmaps all regions. */
void vhost_user_memory_clear(struct vhost_user *vu);
/* Translates an address of the VMM into one of the guest; false when no region holds it. */
bool vhost_user_memory_translate(const struct vhost_user_memory *memory, uint64_t user,
				 uint64_t *gpa);

#endif
