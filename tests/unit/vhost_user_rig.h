/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the vhost-user backend share: a device, its loop, a guest's
 * memory with three rings, and a VMM that is connected by a socket pair.
 * Everything runs in one thread: waiting for the device means running it.
 */
#ifndef AEROSTAT_TESTS_VHOST_USER_RIG_H
#define AEROSTAT_TESTS_VHOST_USER_RIG_H

#include "transport/transport.h"

#include "tests/hostile/guest.h"
#include "tests/unit/vhost_user_client.h"

#define BIT(number) (UINT64_C(1) << (number))
#define PROTOCOL_BIT BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define FEATURES                                                                                   \
	(BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) | BALLOON_BIT(BALLOON_F_STATS_VQ) |                 \
	 BALLOON_BIT(VIRTIO_F_VERSION_1))
#define OFFERED                                                                                    \
	(FEATURES | BALLOON_BIT(BALLOON_F_DEFLATE_ON_OOM) | BALLOON_BIT(VIRTIO_F_RING_PACKED))
/* The VMM's own addresses of the guest's memory. */
#define USER UINT64_C(0x7f0000000000)
#define RINGS 3
#define RING_GPA(index) (GUEST_LOW + GUEST_MIB + (index)*GUEST_PAGE)
#define PFNS_GPA (GUEST_LOW + 2 * GUEST_MIB)
#define PAGE_GPA (GUEST_HIGH + 4 * GUEST_MIB)

struct vmm {
	struct loop *loop;
	struct balloon *balloon;
	struct transport *transport;
	struct vhost_user_client client;
	struct guest guest;
	struct ring rings[RINGS];
	int kicks[RINGS], calls[RINGS];
	char why[160];
	unsigned int closed, log_lines;
	uint64_t now_ns; /* the device's clock */
};

void vmm_pump(void *data);
void vmm_pump_much(struct vmm *vmm);
/* Moves the clock so far that all that waits for it is due, and runs it. */
void vmm_pass_time(struct vmm *vmm);
void vmm_connect(struct vmm *vmm);
void vmm_disconnect(struct vmm *vmm);
int vmm_setup(void **state);
int vmm_teardown(void **state);
struct vhost_user_region vmm_region(unsigned int part);
int vmm_send_table(struct vmm *vmm, unsigned int count);
int vmm_send_addr(struct vmm *vmm, unsigned int index, const struct ring *ring);
int vmm_vring(struct vmm *vmm, enum vhost_user_request request, unsigned int index,
	      unsigned int num);
void vmm_set_up_ring(struct vmm *vmm, unsigned int index, uint16_t base);
void vmm_enable_all(struct vmm *vmm, bool enabled);
void vmm_greet(struct vmm *vmm);
int vmm_set_features(struct vmm *vmm, uint64_t features);
void vmm_start(struct vmm *vmm);
uint32_t vmm_halt(struct vmm *vmm, unsigned int index);
/* As QEMU does for a pause, or a reset of the guest. */
void vmm_halt_all(struct vmm *vmm, uint32_t bases[RINGS]);
void vmm_kick(struct vmm *vmm, unsigned int index);
void vmm_offer_page(struct vmm *vmm, unsigned int index, uint64_t gpa);
bool vmm_was_called(struct vmm *vmm, unsigned int index);
uint64_t vmm_ballooned_pages(const struct vmm *vmm);
unsigned int vmm_open_fds(void);
void vmm_assert_over(struct vmm *vmm, const char *why);

#endif
