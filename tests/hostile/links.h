/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two links have beside struct link, for those who go around it. */
#ifndef AEROSTAT_TESTS_LINKS_H
#define AEROSTAT_TESTS_LINKS_H

#include "tests/hostile/vm.h"

extern const struct link link_vfio_user, link_vhost_user;

/* Where transport/virtio_pci_registers.c places what a driver uses, in BAR 0. */
#define VFIO_COMMON(field) (0x0000 + VIRTIO_PCI_COMMON_##field)
#define VFIO_CONFIG 0x2000
#define VFIO_NOTIFY 0x3000

/* The address at which a vhost-user VMM claims to have the guest's memory. */
#define VHOST_USER_BASE UINT64_C(0x7f0000000000)

#endif
