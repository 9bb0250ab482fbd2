/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VMM with its guest, over either protocol: honest unless a row makes it otherwise.
 *
 * Results are 0 or -errno, -ECONNRESET when the device has hung up.
 */
#ifndef AEROSTAT_TESTS_VM_H
#define AEROSTAT_TESTS_VM_H

#include "device/balloon.h"
#include "tests/hang.h"
#include "tests/hostile/device.h"
#include "tests/hostile/guest.h"
#include "tests/unit/vfio_user_client.h"
#include "tests/unit/vhost_user_client.h"

/* Queues by their numbers when everything that makes one is acknowledged. */
enum { INFLATE, DEFLATE, STATS, HINTS, REPORTS, QUEUES };

#define BIT(number) (UINT64_C(1) << (number))
#define VM_FEATURES                                                                                \
	(BIT(BALLOON_F_MUST_TELL_HOST) | BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_FREE_PAGE_HINT) | \
	 BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_PAGE_REPORTING) |                              \
	 BIT(VIRTIO_F_RING_INDIRECT_DESC) | BIT(VIRTIO_F_VERSION_1))

/* The guest's memory layout. */
#define RING_GPA(queue) (GUEST_MIB + (queue)*GUEST_PAGE)
#define BUFFERS (2 * GUEST_MIB)		   /* to be filled, up to 4 MiB */
#define TABLES (8 * GUEST_MIB)		   /* indirect */
#define PAGES (GUEST_HIGH + 4 * GUEST_MIB) /* that nobody uses */

enum protocol { VFIO_USER, VHOST_USER, PROTOCOLS };

struct vm {
	const struct link *link;
	struct device *device;
	enum protocol protocol;
	struct guest guest;
	struct ring rings[QUEUES];
	uint64_t features; /* acknowledged when it starts */
	uint32_t poison;
	int kicks[QUEUES], calls[QUEUES];
	struct vfio_user_client vfio;
	struct vhost_user_client vhost;
	char failure[256]; /* what was expected and did not happen */
};

/* How a VM reaches its device. */
struct link {
	const char *name;
	/* The connection, with its hello. */
	int (*connect)(struct vm *vm);
	void (*close)(struct vm *vm);
	bool (*is_over)(struct vm *vm);
	int (*map)(struct vm *vm, uint64_t gpa, uint64_t size, int fd, uint64_t offset);
	int (*unmap)(struct vm *vm, uint64_t gpa, uint64_t size);
	/* The driver up to DRIVER_OK; then vm_set_up_queue() for each queue, then driver_ok(). */
	int (*begin)(struct vm *vm, uint64_t features);
	int (*set_up_queue)(struct vm *vm, unsigned int queue, const struct ring *ring);
	int (*driver_ok)(struct vm *vm);
	int (*kick)(struct vm *vm, unsigned int queue);
	int (*config_read)(struct vm *vm, unsigned int offset, void *to, unsigned int size);
	int (*config_write)(struct vm *vm, unsigned int offset, const void *from,
			    unsigned int size);
	int (*reset)(struct vm *vm);
};
const struct link *vm_link(enum protocol protocol);

/* For links: a connected socket, once the device serves it; or -errno. */
int vm_dial(struct vm *vm);

/* Memory and eventfds, no connection yet. */
int vm_open(struct vm *vm, struct device *device, enum protocol protocol);
void vm_close(struct vm *vm);
/* Connects, maps both parts, and starts the driver with all its queues. */
int vm_start(struct vm *vm);
int vm_map_all(struct vm *vm);

void vm_kick(struct vm *vm, unsigned int queue);
/* Puts a chain of one descriptor into a ring, whose next slot it takes, without a kick. */
void vm_offer(struct vm *vm, unsigned int queue, uint64_t gpa, uint32_t length, uint16_t flags);
/* Writes PFNs where buffers are, @stride pages apart; returns where they begin. */
uint64_t vm_write_pfns(struct vm *vm, uint32_t first, unsigned int count, int stride);
/* Offers pages, kicks, and waits until they are returned. */
bool vm_send_pages(struct vm *vm, unsigned int queue, uint64_t gpa, unsigned int count);

/*
 * Waits until all that was offered has been returned, but for a held buffer of statistics.  The
 * other ends of it: the device asks for its reset, or the connection is over.  False when the
 * device takes too long, or has died.
 */
bool vm_settles(struct vm *vm);
/* For a guest that has lost its rings: nothing was offered. */
void vm_forget_rings(struct vm *vm);
/* Waits until the host has so many bytes for the guest's memory. */
bool vm_wait_allocated(struct vm *vm, uint64_t bytes);
/* The same, or up to a page more for each queue: rings that are released are written again. */
bool vm_wait_all_but_rings(struct vm *vm, uint64_t bytes);

/* Records what was expected; returns false. */
__attribute__((format(printf, 2, 3))) bool vm_fail(struct vm *vm, const char *format, ...);
#define EXPECT(vm, condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return vm_fail(vm, "%s:%d: not so: %s", __func__, __LINE__, #condition);   \
	} while (0)

/*
 * What every guest expects: pages are taken, released, and given back with what is written to
 * them afterwards, and statistics arrive.  On a VM that was opened and not connected.
 */
bool honest_guest(struct vm *vm);
/* The same on one that has started, and whose balloon is empty. */
bool honest_cycle(struct vm *vm);

#endif
