/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The balloon as a PCI function: virtio over PCI, modern only (VIRTIO 1.2, 4.1).
 *
 * Theory of operation
 * -------------------
 * A guest sees the function as its configuration space and one or two memory
 * BARs.  The transport (vfio_user.c) relays the guest's accesses by calling the
 * functions below with any offset and any size.  No access fails: bytes that do
 * not exist read as 0, and writes to them are ignored.
 *
 *	BAR 0	one page each for the common, ISR, device and notify structures
 *	BAR 1	only with MSI-X: its table and its pending bits
 *
 * The files, each of which calls only those above it in this list:
 *
 * virtio_pci_irq.c		interrupts: INTx and MSI-X
 * virtio_pci_registers.c	the registers in the BARs
 * virtio_pci_config.c		PCI configuration space
 * virtio_pci.c			creation and reset
 */
#ifndef AEROSTAT_TRANSPORT_VIRTIO_PCI_H
#define AEROSTAT_TRANSPORT_VIRTIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/balloon.h"
#include "transport/virtio_pci_config.h"
#include "transport/virtio_pci_irq.h"
#include "transport/virtio_pci_registers.h"

/* What the function needs from its transport.  @data is passed to each call. */
struct virtio_pci_host {
	/* Interrupts the guest; false when @vector, or VIRTIO_PCI_INTX, cannot be delivered now.
	 * The host then calls virtio_pci_retry_interrupt() once it can. */
	bool (*interrupt)(void *data, int vector);
	/* Logs one line, which has no newline. */
	void (*log)(void *data, const char *line);
	void *data;
};

struct virtio_pci {
	struct balloon *balloon;
	struct virtio_pci_host host;
	unsigned int vectors; /* of MSI-X; 0: no MSI-X capability */

	struct virtio_pci_config config;
	struct virtio_pci_registers registers;
	struct virtio_pci_irq irq;
};

/*
 * virtio_pci_init - make @balloon a PCI function
 * @pci: embedded by the caller; holds no resources, so there is nothing to free
 * @msix: offer MSI-X besides INTx
 * @host: copied
 */
void virtio_pci_init(struct virtio_pci *pci, struct balloon *balloon, bool msix,
		     const struct virtio_pci_host *host);
/* Resets the function, as RST# does, and the balloon. */
void virtio_pci_reset(struct virtio_pci *pci);

/* Little-endian integers of 1 to 8 bytes. */
static inline uint64_t virtio_pci_get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

/* The counterpart of virtio_pci_get(). */
static inline void virtio_pci_put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (; bytes--; value >>= 8)
		*to++ = (uint8_t)value;
}

#endif
