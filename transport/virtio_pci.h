/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The balloon as a PCI function: virtio over PCI, modern only (VIRTIO 1.2, 4.1).
 *
 * Theory of operation
 * -------------------
 * What a guest sees of the function is its configuration space and one or two
 * memory BARs; whoever relays a guest's accesses to them (vfio_user.c) calls
 * the functions below, with any offset and any size.  No access fails: bytes
 * that are nothing read as 0, and writes to them are lost.
 *
 *	BAR 0	a page each for the common, ISR, device and notify structures
 *	BAR 1	with MSI-X only: its table and its pending bits
 *
 * virtio_pci_windows[] is the one table of what lies where; the decoder and the
 * capability list both follow it.
 *
 * Interrupts go out through the host's interrupt().  Where it cannot deliver one
 * it says so, and calls virtio_pci_deliverable() once it can: an MSI-X vector
 * is pending until then, and INTx is a level, asserted for as long as the ISR
 * says so.  No interrupt is ever lost to a mask.
 */
#ifndef AEROSTAT_TRANSPORT_VIRTIO_PCI_H
#define AEROSTAT_TRANSPORT_VIRTIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/balloon.h"

#define VIRTIO_PCI_BARS 2
#define VIRTIO_PCI_INTX (-1) /* in place of an MSI-X vector */
#define VIRTIO_PCI_VECTORS (BALLOON_QUEUES_MAX + 1)
#define VIRTIO_PCI_MSIX_ENTRY_BYTES 16
#define VIRTIO_PCI_CONFIG_BYTES 256
#define VIRTIO_PCI_NOTIFY_MULTIPLIER 4 /* bytes of the notify structure for each queue */

struct virtio_pci_host {
	/* False when @vector, or VIRTIO_PCI_INTX, cannot be delivered now. */
	bool (*interrupt)(void *data, int vector);
	void (*log)(void *data, const char *line);
	void *data;
};

struct virtio_pci_queue {
	uint64_t desc, driver, device;
	uint16_t size, vector;
	bool enabled;
};

struct virtio_pci {
	struct balloon *balloon;
	struct virtio_pci_host host;
	unsigned int vectors; /* 0: no MSI-X capability */

	/* PCI configuration space, and which of its bits a guest may write. */
	uint8_t config[VIRTIO_PCI_CONFIG_BYTES];
	uint8_t writable[VIRTIO_PCI_CONFIG_BYTES];
	/* Where in it the capabilities are; 0 when there is none. */
	unsigned int access_cap, msix_cap;

	/* The common configuration structure. */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint16_t config_vector, queue_select;
	uint8_t status, generation;
	struct virtio_pci_queue queues[BALLOON_QUEUES_MAX];

	uint8_t isr;
	/* What the guest wrote, no more: VMMs deliver by a table of their own. */
	uint8_t msix_table[VIRTIO_PCI_VECTORS * VIRTIO_PCI_MSIX_ENTRY_BYTES];
	uint64_t msix_pending;

	uint64_t refused; /* queues that could not be started */
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

/* A stretch of a BAR; read and write get what lies in it only. */
struct virtio_pci_window {
	unsigned int bar;
	uint32_t offset, bytes;
	uint8_t cap_type; /* VIRTIO_PCI_CAP_*, or 0 for what is not virtio's */
	void (*read)(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size);
	void (*write)(struct virtio_pci *pci, unsigned int offset, const void *from,
		      unsigned int size);
};
extern const struct virtio_pci_window virtio_pci_windows[VIRTIO_PCI_WINDOWS];

void virtio_pci_init(struct virtio_pci *pci, struct balloon *balloon, bool msix,
		     const struct virtio_pci_host *host);
/* As RST# does; resets the balloon too. */
void virtio_pci_reset(struct virtio_pci *pci);

/* Size of a BAR, 0 for one that there is not. */
uint32_t virtio_pci_bar_bytes(const struct virtio_pci *pci, unsigned int bar);
void virtio_pci_bar_read(struct virtio_pci *pci, unsigned int bar, uint64_t offset, void *to,
			 size_t size);
void virtio_pci_bar_write(struct virtio_pci *pci, unsigned int bar, uint64_t offset,
			  const void *from, size_t size);
void virtio_pci_config_read(struct virtio_pci *pci, uint64_t offset, void *to, size_t size);
void virtio_pci_config_write(struct virtio_pci *pci, uint64_t offset, const void *from,
			     size_t size);

/* struct balloon_host's calls of the same names. */
void virtio_pci_notify_queue(struct virtio_pci *pci, unsigned int queue);
void virtio_pci_notify_config(struct virtio_pci *pci);
/* What the host's interrupt() refused can be delivered now. */
void virtio_pci_deliverable(struct virtio_pci *pci, int vector);

/* virtio_pci_config.c, for virtio_pci.c. */
void virtio_pci_config_reset(struct virtio_pci *pci);
bool virtio_pci_msix_enabled(const struct virtio_pci *pci);
bool virtio_pci_msix_masked(const struct virtio_pci *pci); /* the whole function */
bool virtio_pci_intx_disabled(const struct virtio_pci *pci);
/* virtio_pci.c, for virtio_pci_config.c: raises what a change of these lets through. */
void virtio_pci_interrupts_changed(struct virtio_pci *pci);

/* Complaints are told of at the 1st, 10th, 100th, … of them. */
static inline bool virtio_pci_is_told(uint64_t count)
{
	while (count && count % 10 == 0)
		count /= 10;
	return count == 1;
}

/* Little-endian numbers of 1 to 8 bytes. */
static inline uint64_t virtio_pci_get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

static inline void virtio_pci_put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (; bytes--; value >>= 8)
		*to++ = (uint8_t)value;
}

#endif
