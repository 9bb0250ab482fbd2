/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI configuration space of the function.
 *
 * Theory of operation
 * -------------------
 * There are two arrays of bytes: the values, and which bits of them a guest may
 * write.  The capabilities follow one another: one for each of virtio's
 * structures, the access window of VIRTIO 4.1.4.9, and MSI-X.
 *
 * The access window is the only part of configuration space through which an
 * access has an effect elsewhere: the guest sets bar, offset and length, and
 * then reads or writes pci_cfg_data.  It reaches only BARs, so it cannot recurse.
 *
 * BARs can be sized the usual way, by writing ones and reading back the mask,
 * although QEMU emulates the BAR registers itself.
 */
#ifndef AEROSTAT_TRANSPORT_VIRTIO_PCI_CONFIG_H
#define AEROSTAT_TRANSPORT_VIRTIO_PCI_CONFIG_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTIO_PCI_CONFIG_BYTES 256

struct virtio_pci;

struct virtio_pci_config {
	uint8_t bytes[VIRTIO_PCI_CONFIG_BYTES];
	uint8_t writable[VIRTIO_PCI_CONFIG_BYTES]; /* bits that a guest may change */
	/* Offsets of capabilities; 0 when there is none. */
	unsigned int access_cap, msix_cap;
};

/* Sets configuration space to its state after a reset. */
void virtio_pci_config_reset(struct virtio_pci *pci);
/* Reads @size bytes at @offset; any offset and size will do. */
void virtio_pci_config_read(struct virtio_pci *pci, uint64_t offset, void *to, size_t size);
/* Writes @size bytes at @offset; any offset and size will do. */
void virtio_pci_config_write(struct virtio_pci *pci, uint64_t offset, const void *from,
			     size_t size);

/* Message Control of MSI-X; 0 without the capability. */
static inline unsigned int virtio_pci_config_msix_flags(const struct virtio_pci_config *config)
{
	const uint8_t *flags = &config->bytes[config->msix_cap + PCI_MSIX_FLAGS];

	return config->msix_cap ? flags[0] | (unsigned int)flags[1] << 8 : 0;
}

/* True when the guest uses MSI-X and not INTx. */
static inline bool virtio_pci_config_msix_enabled(const struct virtio_pci_config *config)
{
	return virtio_pci_config_msix_flags(config) & PCI_MSIX_FLAGS_ENABLE;
}

/* True when the guest has masked all vectors at once. */
static inline bool virtio_pci_config_msix_masked(const struct virtio_pci_config *config)
{
	return virtio_pci_config_msix_flags(config) & PCI_MSIX_FLAGS_MASKALL;
}

/* True when the guest has disabled INTx. */
static inline bool virtio_pci_config_intx_disabled(const struct virtio_pci_config *config)
{
	return config->bytes[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8;
}

#endif
