/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Discards that do nothing, for the program that loads this library with LD_PRELOAD.
 *
 * Whoever discards memory is told that it worked, and the memory stays: so QEMU's balloon takes
 * memory that the host never gets back, for a cause that nothing reports.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define REAL(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

int madvise(void *memory, size_t size, int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_REMOVE
		       ? 0
		       : REAL(madvise)(memory, size, advice);
}

#define DEFINE_FALLOCATE(function, offset)                                                         \
	int function(int fd, int mode, offset start, offset size)                                  \
	{                                                                                          \
		return mode & FALLOC_FL_PUNCH_HOLE ? 0 : REAL(function)(fd, mode, start, size);    \
	}
DEFINE_FALLOCATE(fallocate, off_t)
DEFINE_FALLOCATE(fallocate64, off64_t)
