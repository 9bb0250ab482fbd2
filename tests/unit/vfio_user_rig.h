/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user server over a balloon, and a client at the other end, in one thread. */
#ifndef AEROSTAT_TESTS_VFIO_USER_RIG_H
#define AEROSTAT_TESTS_VFIO_USER_RIG_H

#include "tests/hostile/guest.h"
#include "tests/unit/vfio_user_client.h"
#include "transport/transport.h"

#define RIG_FEATURES                                                                               \
	(BALLOON_BIT(VIRTIO_F_VERSION_1) | BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |                 \
	 BALLOON_BIT(BALLOON_F_STATS_VQ))

/* Where virtio_pci.c has what a driver uses, in BAR 0. */
#define RIG_COMMON(field) (0x0000 + VIRTIO_PCI_COMMON_##field)
#define RIG_ISR 0x1000
#define RIG_CONFIG 0x2000
#define RIG_NOTIFY 0x3000

#define RIG_ROUND_NS UINT64_C(1000000)

struct vfio_user_rig {
	struct loop *loop;
	struct balloon *balloon;
	struct transport *transport;
	struct vfio_user_client client;
	struct guest guest;
	struct ring ring; /* the inflate queue, once it is driven */
	uint64_t now_ns;  /* the device's clock: RIG_ROUND_NS go by in each round of the loop */
	unsigned int closed, log_lines;
	unsigned int files; /* open before anything was sent */
	char why[128];
};

/* For cmocka; said hello in all but the first. */
int vfio_user_rig_fresh(void **state);
int vfio_user_rig_ready(void **state);
int vfio_user_rig_ready_msix(void **state);
int vfio_user_rig_teardown(void **state);

#define FRESH(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, vfio_user_rig_fresh, vfio_user_rig_teardown)
#define READY(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, vfio_user_rig_ready, vfio_user_rig_teardown)
#define MSIX(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, vfio_user_rig_ready_msix, vfio_user_rig_teardown)

/* Lets the server do all that it can. */
void vfio_user_rig_settle(struct vfio_user_rig *rig);
/* The guest's RAM, mapped. */
void vfio_user_rig_map(struct vfio_user_rig *rig);
/* A driver with its inflate queue, DRIVER_OK; configuration vector @config, the queue's @queue. */
void vfio_user_rig_drive(struct vfio_user_rig *rig, uint16_t config, uint16_t queue);
/* A command and no interest in what it is answered with. */
int vfio_user_rig_call(struct vfio_user_rig *rig, uint16_t command, const void *payload,
		       size_t size);
/* The server serves. */
void vfio_user_rig_assert_alive(struct vfio_user_rig *rig);
/* The connection has ended, once, with a reason that contains @part, and nothing is left of it. */
void vfio_user_rig_assert_ended(struct vfio_user_rig *rig, const char *part);
/* Files that this process has open. */
unsigned int vfio_user_rig_count_files(void);

#endif
