/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_memory.h"

#include <errno.h>

#include "transport/vhost_user.h"

int vhost_user_memory_add(struct vhost_user *vu, const struct vhost_user_region *region, int fd)
{
	int error;

	if (region->user + region->size < region->user)
		return -EINVAL;
	/* balloon_map() fails when there are MEMORY_REGIONS_MAX, so there is room below. */
	error = balloon_map(vhost_user_balloon(vu), region->gpa, region->size, fd,
			    region->fd_offset, true);
	if (error)
		return error;
	vu->memory.mappings[vu->memory.count++] = (struct vhost_user_mapping){
		.user = region->user,
		.gpa = region->gpa,
		.size = region->size,
	};
	return 0;
}

bool vhost_user_memory_remove(struct vhost_user *vu, const struct vhost_user_region *region)
{
	struct vhost_user_memory *memory = &vu->memory;

	for (unsigned int i = 0; i < memory->count; i++) {
		const struct vhost_user_mapping *mapping = &memory->mappings[i];

		if (mapping->gpa != region->gpa || mapping->user != region->user ||
		    mapping->size != region->size)
			continue;
		balloon_unmap(vhost_user_balloon(vu), mapping->gpa, mapping->size);
		memory->mappings[i] = memory->mappings[--memory->count];
		return true;
	}
	return false;
}

void vhost_user_memory_clear(struct vhost_user *vu)
{
	balloon_unmap_all(vhost_user_balloon(vu));
	vu->memory.count = 0;
}

bool vhost_user_memory_translate(const struct vhost_user_memory *memory, uint64_t user,
				 uint64_t *gpa)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct vhost_user_mapping *mapping = &memory->mappings[i];

		if (user >= mapping->user && user - mapping->user < mapping->size) {
			*gpa = mapping->gpa + (user - mapping->user);
			return true;
		}
	}
	return false;
}
