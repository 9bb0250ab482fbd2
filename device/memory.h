/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: where in this process the guest's addresses are.
 *
 * Theory of operation
 * -------------------
 * A guest's RAM is a sorted list of regions that do not overlap.  For each region
 * the VMM passes a file to map (memfd, tmpfs, hugetlbfs), or, if the device is
 * part of the VMM's own process, the address at which it is mapped already.  A
 * region's backing decides how its memory is released, and in which units
 * (release.h).
 *
 * Nothing is allocated on behalf of a guest; regions come from the VMM, and their
 * number is bounded.  Every address that a guest names is looked up here: a range
 * that is not entirely RAM is not found.  The functions are called by one thread.
 */
#ifndef AEROSTAT_DEVICE_MEMORY_H
#define AEROSTAT_DEVICE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_REGIONS_MAX 512
#define MEMORY_PAGE_BYTES UINT64_C(4096)
/* PFNs have 32 bits, so no balloon page lies above this (16 TiB). */
#define MEMORY_BALLOON_LIMIT (MEMORY_PAGE_BYTES << 32)

enum memory_backing {
	MEMORY_ANONYMOUS, /* private anonymous memory of this process */
	MEMORY_SHMEM,	  /* memfd or a file of tmpfs */
	MEMORY_HUGETLB,	  /* memfd with MFD_HUGETLB or a file of hugetlbfs */
	MEMORY_FILE,	  /* a file of another file system */
};
/* "anonymous", "shmem", … */
const char *memory_backing_name(enum memory_backing backing);

struct memory_region {
	uint64_t gpa; /* guest physical address */
	uint64_t size;
	uint8_t *host;	     /* where it is mapped here */
	int fd;		     /* -1 for MEMORY_ANONYMOUS */
	uint64_t fd_offset;  /* of @gpa */
	uint64_t file_bytes; /* size of the whole file when it was mapped */
	uint64_t file_dev, file_ino;
	uint64_t page_bytes; /* the unit in which it can be released: 4 KiB, or a huge page */
	enum memory_backing backing;
	bool writable;
};

struct memory {
	struct memory_region regions[MEMORY_REGIONS_MAX]; /* ascending by gpa */
	unsigned int count;
};

/*
 * memory_map - map @size bytes of @fd from @fd_offset and add them at @gpa
 *
 * On success the region owns @fd, and 0 is returned.  On failure nothing has
 * changed, and the caller keeps @fd: -EINVAL (empty, unaligned, wraps, overlaps a
 * region), -ENOSPC (too many regions), -EBADF (not a regular file, or shorter than
 * the range), or the error of mmap(), fstat() or fstatfs().
 */
int memory_map(struct memory *memory, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
	       bool writable);

/*
 * memory_add - add private anonymous memory that the caller has mapped at @host
 *
 * The caller keeps it, and unmaps it after the region was removed.  0, -EINVAL or -ENOSPC, as
 * memory_map().
 */
int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, void *host);

/*
 * memory_unmap - remove the regions that lie wholly inside [@gpa, @gpa + @size)
 *
 * Returns how many were removed, or -EINVAL, with nothing changed, if the range
 * is empty, wraps, or contains only a part of a region.
 */
int memory_unmap(struct memory *memory, uint64_t gpa, uint64_t size);
/* Removes all regions. */
void memory_clear(struct memory *memory);

/* The region that contains @gpa, or NULL. */
const struct memory_region *memory_find(const struct memory *memory, uint64_t gpa);

/*
 * memory_at - this process's address of [@gpa, @gpa + @size)
 *
 * NULL unless the whole range lies in one region, is not empty, and is writable
 * if @writable is set.
 */
void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t size, bool writable);

/*
 * memory_read - copy @size bytes at @gpa out of the guest, once
 *
 * The range may extend over adjacent regions.  False, with the content of @to
 * undefined, if any of it is not RAM.
 */
bool memory_read(const struct memory *memory, uint64_t gpa, void *to, size_t size);

/*
 * memory_ram_bytes - how much RAM the guest has, judging by the regions
 *
 * Every file with a writable region counts once and in full, since VMMs leave small
 * holes in what they map (QEMU: the VGA window).  Anonymous regions count as they are.
 */
uint64_t memory_ram_bytes(const struct memory *memory);

#endif
