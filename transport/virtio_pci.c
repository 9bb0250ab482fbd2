/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/virtio_pci.h"

#include <string.h>

void virtio_pci_reset(struct virtio_pci *pci)
{
	virtio_pci_device_reset(pci);
	virtio_pci_config_reset(pci);
	memset(pci->irq.msix_table, 0, sizeof(pci->irq.msix_table));
}

void virtio_pci_init(struct virtio_pci *pci, struct balloon *balloon, bool msix,
		     const struct virtio_pci_host *host)
{
	memset(pci, 0, sizeof(*pci));
	pci->balloon = balloon;
	pci->host = *host;
	pci->vectors = msix ? VIRTIO_PCI_VECTORS : 0;
	virtio_pci_registers_reset(pci);
	virtio_pci_config_reset(pci);
}
