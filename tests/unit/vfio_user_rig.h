/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user server with a balloon, and its client, in one thread. */
#ifndef AEROSTAT_TESTS_VFIO_USER_RIG_H
#define AEROSTAT_TESTS_VFIO_USER_RIG_H

#include "tests/hostile/guest.h"
#include "tests/unit/vfio_user_client.h"
#include "transport/transport.h"

#define RIG_FEATURES                                                                               \
	(BALLOON_BIT(VIRTIO_F_VERSION_1) | BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |                 \
	 BALLOON_BIT(BALLOON_F_STATS_VQ))

/* The structures in BAR 0, as virtio_pci_registers.c lays them out. */
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
	struct ring ring; /* the inflate queue, after vfio_user_rig_drive() */
	uint64_t now_ns;  /* the device's clock: each round of the loop adds RIG_ROUND_NS */
	unsigned int closed, log_lines;
	unsigned int files; /* open files before anything was sent */
	char why[128];
};

/* For cmocka; all but the first have negotiated the version. */
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

/* Runs the server until it has nothing left to do. */
void vfio_user_rig_settle(struct vfio_user_rig *rig);
/* Maps the guest's RAM. */
void vfio_user_rig_map(struct vfio_user_rig *rig);
/* A driver with its inflate queue, DRIVER_OK; configuration vector @config, the queue's @queue. */
void vfio_user_rig_drive(struct vfio_user_rig *rig, uint16_t config, uint16_t queue);
/* Sends a command and ignores its reply. */
int vfio_user_rig_call(struct vfio_user_rig *rig, uint16_t command, const void *payload,
		       size_t size);
/* Checks that the server still answers. */
void vfio_user_rig_assert_alive(struct vfio_user_rig *rig);
/* Checks that the connection has ended once, because of @part, and that nothing is left of it. */
void vfio_user_rig_assert_ended(struct vfio_user_rig *rig, const char *part);
/* Counts the files that this process has open. */
unsigned int vfio_user_rig_count_files(void);

#endif
