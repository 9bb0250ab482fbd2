/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of the PCI function: INTx, or MSI-X where the guest has enabled it.
 *
 * Theory of operation
 * -------------------
 * Interrupts are sent with the host's interrupt().  When the host cannot deliver
 * one, it says so and calls virtio_pci_retry_interrupt() later.  Until then an
 * MSI-X vector is pending, and INTx is a level that stays asserted as long as
 * the ISR register is not 0.  So masking never loses an interrupt.
 */
#ifndef AEROSTAT_TRANSPORT_VIRTIO_PCI_IRQ_H
#define AEROSTAT_TRANSPORT_VIRTIO_PCI_IRQ_H

#include <stdint.h>

#include "device/balloon.h"

#define VIRTIO_PCI_INTX (-1)			    /* in place of an MSI-X vector */
#define VIRTIO_PCI_VECTORS (BALLOON_QUEUES_MAX + 1) /* one per queue, one for the configuration */
#define VIRTIO_PCI_MSIX_ENTRY_BYTES 16

struct virtio_pci;

struct virtio_pci_irq {
	uint8_t isr;
	/* Stores what the guest writes.  VMMs deliver by a table of their own. */
	uint8_t msix_table[VIRTIO_PCI_VECTORS * VIRTIO_PCI_MSIX_ENTRY_BYTES];
	uint64_t msix_pending; /* one bit per vector */
};

/* Drops all interrupts; the MSI-X table stays. */
void virtio_pci_irq_reset(struct virtio_pci *pci);
/* Tells the driver that queue number @queue has used buffers: struct balloon_host's call. */
void virtio_pci_notify_queue(struct virtio_pci *pci, unsigned int queue);
/* Tells the driver that the configuration has changed: struct balloon_host's call. */
void virtio_pci_notify_config(struct virtio_pci *pci);
/* The host can deliver @vector, or VIRTIO_PCI_INTX, again: sends it if it is pending. */
void virtio_pci_retry_interrupt(struct virtio_pci *pci, int vector);
/* Sends what is pending, after the guest may have unmasked interrupts in configuration space. */
void virtio_pci_retry_all_interrupts(struct virtio_pci *pci);
/* Reads the ISR register, which clears it (VIRTIO 4.1.4.5). */
uint8_t virtio_pci_read_isr(struct virtio_pci *pci);

#endif
