/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers in the BARs of the PCI function.
 *
 * Theory of operation
 * -------------------
 * Registers can be read and written at any width: VIRTIO asks for the natural
 * width and for halves of 64-bit registers, VMMs split accesses as they like, and
 * a guest may try anything.  So the common structure is a table of fields.  A
 * read composes the structure and copies the part that was asked for.  A write
 * lays its bytes over each field that it touches, in ascending order, and sets
 * each of these fields as a whole.  That is safe because writing a field's
 * current value has no effect, except for queue_enable and device_status, which
 * ignore it.
 *
 * Bits are only ever added to the device status until 0 is written, as
 * VIRTIO 2.1.1 demands of drivers.  FEATURES_OK stays off when the features were
 * refused or lack VERSION_1, and DRIVER_OK is not accepted without it.
 * DEVICE_NEEDS_RESET comes from the balloon.
 *
 * A queue is started when it is enabled.  A queue that cannot be started (an
 * unaligned ring, a size that is not a power of two, features not negotiated)
 * stays disabled, which the driver can read back; it is counted, and logged the
 * 1st, 10th, 100th, … time.
 */
#ifndef AEROSTAT_TRANSPORT_VIRTIO_PCI_REGISTERS_H
#define AEROSTAT_TRANSPORT_VIRTIO_PCI_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/balloon.h"

#define VIRTIO_PCI_BARS 2
#define VIRTIO_PCI_NOTIFY_MULTIPLIER 4 /* bytes of the notify structure per queue */

struct virtio_pci;

struct virtio_pci_queue {
	uint64_t desc, driver, device;
	uint16_t size, vector;
	bool enabled;
};

/* The common configuration structure (VIRTIO 4.1.4.3). */
struct virtio_pci_registers {
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint16_t config_vector, queue_select;
	uint8_t status, generation;
	struct virtio_pci_queue queues[BALLOON_QUEUES_MAX];

	uint64_t refused; /* how often a queue could not be started */
};

enum virtio_pci_window_name {
	VIRTIO_PCI_WINDOW_COMMON,
	VIRTIO_PCI_WINDOW_ISR,
	VIRTIO_PCI_WINDOW_DEVICE,
	VIRTIO_PCI_WINDOW_NOTIFY,
	VIRTIO_PCI_WINDOW_MSIX_TABLE,
	VIRTIO_PCI_WINDOW_MSIX_PENDING,
	VIRTIO_PCI_WINDOWS
};

/* A range of a BAR.  read() and write() are called with offsets and sizes within it. */
struct virtio_pci_window {
	unsigned int bar;
	uint32_t offset, bytes;
	uint8_t cap_type; /* VIRTIO_PCI_CAP_*, or 0: not one of virtio's structures */
	void (*read)(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size);
	void (*write)(struct virtio_pci *pci, unsigned int offset, const void *from,
		      unsigned int size);
};
/* The layout of the BARs, from which both accesses and capabilities are derived. */
extern const struct virtio_pci_window virtio_pci_windows[VIRTIO_PCI_WINDOWS];

/* The size of a BAR; 0 for one that does not exist. */
uint32_t virtio_pci_bar_bytes(const struct virtio_pci *pci, unsigned int bar);
/* Reads @size bytes at @offset of a BAR; any offset and size will do. */
void virtio_pci_bar_read(struct virtio_pci *pci, unsigned int bar, uint64_t offset, void *to,
			 size_t size);
/* Writes @size bytes at @offset of a BAR; any offset and size will do. */
void virtio_pci_bar_write(struct virtio_pci *pci, unsigned int bar, uint64_t offset,
			  const void *from, size_t size);

/* Sets the registers and interrupts to their state after a reset; the balloon is not touched. */
void virtio_pci_registers_reset(struct virtio_pci *pci);
/* Resets the virtio device, as writing 0 to device_status does: the balloon, the registers. */
void virtio_pci_device_reset(struct virtio_pci *pci);

#endif
