/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

/* A signal handler gets no context, so this is a global: the only one of this program. */
static struct {
	const struct memory *memory;
	volatile sig_atomic_t count;
} sigbus;

static const struct memory_region *find_region(const struct memory *memory, const uint8_t *address)
{
	for (unsigned int i = 0; memory && i < memory->count; i++) {
		const struct memory_region *region = &memory->regions[i];

		if (address >= region->host && address < region->host + region->size)
			return region;
	}
	return NULL;
}

/* Maps zeros from the page of @address to the end of @region. */
static bool map_zeros(const struct memory_region *region, const uint8_t *address)
{
	size_t offset = (size_t)(address - region->host);
	int protection = region->writable ? PROT_READ | PROT_WRITE : PROT_READ;

	offset -= offset % region->page_bytes;
	return mmap(region->host + offset, region->size - offset, protection,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void handle_sigbus(int number, siginfo_t *info, void *context)
{
	const struct memory_region *region = NULL;
	int saved = errno;

	(void)context;
	/* A signal sent by a process (si_code <= 0) has no address. */
	if (info->si_code > 0)
		region = find_region(sigbus.memory, info->si_addr);
	if (region && map_zeros(region, info->si_addr)) {
		sigbus.count++;
	} else {
		signal(number, SIG_DFL);
		raise(number);
	}
	errno = saved;
}

int sigbus_install(const struct memory *memory)
{
	struct sigaction action = { .sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO };

	sigbus.memory = memory;
	sigbus.count = 0;
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

void sigbus_uninstall(void)
{
	signal(SIGBUS, SIG_DFL);
	sigbus.memory = NULL;
}

unsigned int sigbus_count(void)
{
	return (unsigned int)sigbus.count;
}
