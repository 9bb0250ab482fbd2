/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI function with a real balloon.  A guest of 4 MiB has its rings in the
 * first pages.  Interrupts are counted, and can be refused.
 */
#ifndef AEROSTAT_TESTS_VIRTIO_PCI_RIG_H
#define AEROSTAT_TESTS_VIRTIO_PCI_RIG_H

#include "transport/virtio_pci.h"

#define RAM_BYTES (UINT64_C(4) << 20)
#define DESC 0x0000
#define AVAIL 0x1000
#define USED 0x2000
#define BUFFER 0x3000
#define FEATURES                                                                                   \
	(BALLOON_BIT(VIRTIO_F_VERSION_1) | BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |                 \
	 BALLOON_BIT(BALLOON_F_STATS_VQ) | BALLOON_BIT(BALLOON_F_PAGE_REPORTING))
#define COMMON(field) (0x0000 + VIRTIO_PCI_COMMON_##field)
#define ISR 0x1000
#define CONFIG 0x2000
#define NOTIFY 0x3000
#define ACTUAL (CONFIG + 4)
#define DRIVER_THERE 0x0b /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
#define DRIVER_OK 0x04
#define NEEDS_RESET 0x40

struct pci_rig {
	struct virtio_pci pci;
	struct balloon *balloon;
	uint8_t *ram;
	bool deaf; /* interrupts are refused */
	unsigned int intx, vectors[VIRTIO_PCI_VECTORS], log_lines;
};

int rig_setup(void **state);
int rig_setup_msix(void **state);
int rig_teardown(void **state);

/* Read and write registers in BAR 0 and in configuration space. */
uint64_t rig_get(struct pci_rig *rig, uint64_t offset, unsigned int bytes);
void rig_put(struct pci_rig *rig, uint64_t offset, uint64_t value, unsigned int bytes);
uint32_t rig_config(struct pci_rig *rig, unsigned int offset, unsigned int bytes);
void rig_set_config(struct pci_rig *rig, unsigned int offset, uint32_t value, unsigned int bytes);
/* The first capability of virtio's @type, or with PCI's @id; 0: none. */
unsigned int rig_find_cap(struct pci_rig *rig, uint8_t id, uint8_t type);

/* A driver: up to FEATURES_OK; a queue with its rings at @page; all of it, with inflateq. */
void rig_negotiate(struct pci_rig *rig, uint64_t features);
void rig_enable(struct pci_rig *rig, unsigned int queue, uint64_t page);
void rig_drive(struct pci_rig *rig);

/* Does all work that there is. */
void rig_work(struct pci_rig *rig);
/* Makes one inflate buffer of one page available, as buffer number @n. */
void rig_inflate(struct pci_rig *rig, uint32_t pfn, uint16_t n);
uint16_t rig_used(const struct pci_rig *rig);
/* Kicks queue number @queue and does the work. */
void rig_kick(struct pci_rig *rig, unsigned int queue);

#endif
