/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/memory.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *memory_backing_name(enum memory_backing backing)
{
	switch (backing) {
	case MEMORY_ANONYMOUS:
		return "anonymous";
	case MEMORY_SHMEM:
		return "shmem";
	case MEMORY_HUGETLB:
		return "hugetlb";
	case MEMORY_FILE:
		return "file";
	}
	return "unknown";
}

/* The index of the first region that ends at @gpa or later. */
static unsigned int find_first_ending_at(const struct memory *memory, uint64_t gpa)
{
	unsigned int low = 0, high = memory->count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;
		const struct memory_region *region = &memory->regions[middle];

		if (region->gpa + (region->size - 1) < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* 0 if a region of this address and size may be added. */
static int check_region_range(const struct memory *memory, uint64_t gpa, uint64_t size)
{
	unsigned int next;

	if (!size || (gpa | size) % MEMORY_PAGE_BYTES || gpa + (size - 1) < gpa)
		return -EINVAL;
	next = find_first_ending_at(memory, gpa);
	if (next < memory->count && memory->regions[next].gpa <= gpa + (size - 1))
		return -EINVAL;
	return memory->count == MEMORY_REGIONS_MAX ? -ENOSPC : 0;
}

static void insert_region(struct memory *memory, const struct memory_region *region)
{
	unsigned int at = find_first_ending_at(memory, region->gpa);

	memmove(&memory->regions[at + 1], &memory->regions[at],
		(memory->count - at) * sizeof(*region));
	memory->regions[at] = *region;
	memory->count++;
}

/* Finds out what kind of file @region has, and in which units it can be released. */
static int probe_region_file(struct memory_region *region)
{
	struct statfs fs;
	struct stat st;

	if (fstat(region->fd, &st) < 0 || fstatfs(region->fd, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || region->fd_offset > (uint64_t)st.st_size ||
	    region->size > (uint64_t)st.st_size - region->fd_offset)
		return -EBADF;
	region->file_bytes = (uint64_t)st.st_size;
	region->file_dev = st.st_dev;
	region->file_ino = st.st_ino;
	region->page_bytes = MEMORY_PAGE_BYTES;
	region->backing = MEMORY_FILE;
	if (fs.f_type == TMPFS_MAGIC) {
		region->backing = MEMORY_SHMEM;
	} else if (fs.f_type == HUGETLBFS_MAGIC) {
		region->backing = MEMORY_HUGETLB;
		region->page_bytes = (uint64_t)fs.f_bsize;
	}
	return 0;
}

/*
 * A file of huge pages can be mapped only in whole pages, but a region may begin and end within
 * one.  Then more is mapped than the region contains: this much before it.
 */
static uint64_t slack_bytes(const struct memory_region *region)
{
	return region->fd_offset % region->page_bytes;
}

static uint64_t mapped_bytes(const struct memory_region *region)
{
	uint64_t bytes = slack_bytes(region) + region->size + (region->page_bytes - 1);

	return bytes - bytes % region->page_bytes;
}

int memory_map(struct memory *memory, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
	       bool writable)
{
	struct memory_region region = {
		.gpa = gpa,
		.size = size,
		.fd = fd,
		.fd_offset = fd_offset,
		.writable = writable,
	};
	int error = check_region_range(memory, gpa, size);
	void *host;

	if (!error && fd_offset % MEMORY_PAGE_BYTES)
		error = -EINVAL;
	if (!error)
		error = probe_region_file(&region);
	if (error)
		return error;
	host = mmap(NULL, mapped_bytes(&region), writable ? PROT_READ | PROT_WRITE : PROT_READ,
		    MAP_SHARED | MAP_NORESERVE, fd, (off_t)(fd_offset - slack_bytes(&region)));
	if (host == MAP_FAILED)
		return -errno;
	region.host = (uint8_t *)host + slack_bytes(&region);
	insert_region(memory, &region);
	return 0;
}

int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, void *host)
{
	const struct memory_region region = {
		.gpa = gpa,
		.size = size,
		.host = host,
		.fd = -1,
		.page_bytes = MEMORY_PAGE_BYTES,
		.backing = MEMORY_ANONYMOUS,
		.writable = true,
	};
	int error = check_region_range(memory, gpa, size);

	if (!error && (uintptr_t)host % MEMORY_PAGE_BYTES)
		error = -EINVAL;
	if (!error)
		insert_region(memory, &region);
	return error;
}

static void unmap_region(struct memory_region *region)
{
	if (region->backing == MEMORY_ANONYMOUS)
		return; /* the caller keeps it */
	munmap(region->host - slack_bytes(region), mapped_bytes(region));
	close(region->fd);
}

int memory_unmap(struct memory *memory, uint64_t gpa, uint64_t size)
{
	unsigned int first = find_first_ending_at(memory, gpa);
	unsigned int end = first;
	uint64_t last = gpa + (size - 1);

	if (!size || last < gpa)
		return -EINVAL;
	while (end < memory->count && memory->regions[end].gpa <= last) {
		const struct memory_region *region = &memory->regions[end++];

		if (region->gpa < gpa || region->gpa + (region->size - 1) > last)
			return -EINVAL;
	}
	for (unsigned int i = first; i < end; i++)
		unmap_region(&memory->regions[i]);
	memmove(&memory->regions[first], &memory->regions[end],
		(memory->count - end) * sizeof(memory->regions[0]));
	memory->count -= end - first;
	return (int)(end - first);
}

void memory_clear(struct memory *memory)
{
	for (unsigned int i = 0; i < memory->count; i++)
		unmap_region(&memory->regions[i]);
	memory->count = 0;
}

const struct memory_region *memory_find(const struct memory *memory, uint64_t gpa)
{
	unsigned int at = find_first_ending_at(memory, gpa);

	return at < memory->count && memory->regions[at].gpa <= gpa ? &memory->regions[at] : NULL;
}

void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t size, bool writable)
{
	const struct memory_region *region = memory_find(memory, gpa);

	if (!region || !size || size > region->size - (gpa - region->gpa))
		return NULL;
	if (writable && !region->writable)
		return NULL;
	return region->host + (gpa - region->gpa);
}

bool memory_read(const struct memory *memory, uint64_t gpa, void *to, size_t size)
{
	uint8_t *out = to;

	if (size && gpa + (size - 1) < gpa)
		return false;
	while (size) {
		const struct memory_region *region = memory_find(memory, gpa);
		uint64_t left;
		size_t part;

		if (!region)
			return false;
		left = region->size - (gpa - region->gpa);
		part = size < left ? size : (size_t)left;
		memcpy(out, region->host + (gpa - region->gpa), part);
		out += part;
		gpa += part;
		size -= part;
	}
	return true;
}

/* Does an earlier region, which was counted, belong to the same file? */
static bool is_file_counted(const struct memory *memory, unsigned int at)
{
	const struct memory_region *region = &memory->regions[at];

	for (unsigned int i = 0; i < at; i++) {
		const struct memory_region *other = &memory->regions[i];

		if (other->fd >= 0 && other->writable && other->file_ino == region->file_ino &&
		    other->file_dev == region->file_dev)
			return true;
	}
	return false;
}

uint64_t memory_ram_bytes(const struct memory *memory)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->regions[i];

		if (region->fd < 0)
			bytes += region->size;
		else if (region->writable && !is_file_counted(memory, i))
			bytes += region->file_bytes;
	}
	return bytes;
}
