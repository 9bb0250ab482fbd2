/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: where in this process the guest's addresses are.
 *
 * Theory of operation
 * -------------------
 * A guest's RAM is a sorted list of regions that do not overlap.  A VMM tells
 * of each with a file to map (memfd, tmpfs, hugetlbfs), or, when the device
 * lives in the VMM's own process, with the address where it stands already.
 * Each region knows its backing, for that decides how its memory is released
 * (release.h) and in which units.
 *
 * Nothing a guest does makes this allocate; regions come from the VMM, and their
 * number is bounded.  Addresses that a guest names are always looked up here:
 * a range that leaves RAM has no answer.
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
const char *memory_backing_name(enum memory_backing backing); /* "anonymous", "shmem", … */

struct memory_region {
	uint64_t gpa; /* guest physical address */
	uint64_t size;
	uint8_t *host;	     /* where it is mapped here */
	int fd;		     /* -1 for MEMORY_ANONYMOUS */
	uint64_t fd_offset;  /* of @gpa */
	uint64_t file_bytes; /* size of the whole file when it was mapped */
	uint64_t file_dev, file_ino;
	uint64_t page_bytes; /* the least that the backing can release: 4 KiB, or a huge page */
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
 * On success the region owns @fd.  0, or, with nothing changed and @fd still
 * the caller's: -EINVAL (empty, unaligned, wraps, overlaps a region), -ENOSPC
 * (too many regions), -EBADF (not a regular file, or shorter than the range),
 * or what mmap or fstat said.
 */
int memory_map(struct memory *memory, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
	       bool writable);

/* The same for private anonymous memory that the caller has mapped and keeps. */
int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, void *host);

/*
 * memory_unmap - remove the regions that lie wholly inside [@gpa, @gpa + @size)
 *
 * Returns how many were removed, or -EINVAL when the range cuts through one;
 * nothing is changed then.
 */
int memory_unmap(struct memory *memory, uint64_t gpa, uint64_t size);
void memory_clear(struct memory *memory);

/* The region that holds @gpa, or NULL. */
const struct memory_region *memory_find(const struct memory *memory, uint64_t gpa);

/*
 * memory_at - this process's address of [@gpa, @gpa + @size)
 *
 * NULL unless the whole range, which may not be empty, lies in one region, and
 * is writable where @writable asks for that.
 */
void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t size, bool writable);

/*
 * memory_read - copy @size bytes at @gpa out of the guest, once
 *
 * The range may run across regions that touch.  False, with @to undefined, when
 * any of it is not RAM.
 */
bool memory_read(const struct memory *memory, uint64_t gpa, void *to, size_t size);

/*
 * memory_ram_bytes - how much RAM the guest has, as far as the regions tell
 *
 * Every file that is mapped to be written counts once and whole, since VMMs leave
 * small holes in what they map (QEMU: the VGA window), every anonymous region as it is.
 */
uint64_t memory_ram_bytes(const struct memory *memory);

#endif
