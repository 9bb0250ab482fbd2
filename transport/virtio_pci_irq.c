/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/virtio_pci_irq.h"

#include <linux/virtio_config.h>

#include "transport/virtio_pci.h"

enum isr_bit { ISR_QUEUE = 1, ISR_CONFIG = 2 };

static void raise_vector(struct virtio_pci *pci, uint16_t vector)
{
	if (vector >= pci->vectors)
		return;
	if (virtio_pci_config_msix_masked(&pci->config) ||
	    !pci->host.interrupt(pci->host.data, vector))
		pci->irq.msix_pending |= UINT64_C(1) << vector;
}

static void raise_intx(struct virtio_pci *pci)
{
	if (pci->irq.isr && !virtio_pci_config_msix_enabled(&pci->config) &&
	    !virtio_pci_config_intx_disabled(&pci->config))
		pci->host.interrupt(pci->host.data, VIRTIO_PCI_INTX);
}

void virtio_pci_irq_reset(struct virtio_pci *pci)
{
	pci->irq.isr = 0;
	pci->irq.msix_pending = 0;
}

void virtio_pci_notify_queue(struct virtio_pci *pci, unsigned int queue)
{
	if (!(pci->registers.status & VIRTIO_CONFIG_S_DRIVER_OK) || queue >= BALLOON_QUEUES_MAX)
		return;
	if (virtio_pci_config_msix_enabled(&pci->config)) {
		raise_vector(pci, pci->registers.queues[queue].vector);
		return;
	}
	pci->irq.isr |= ISR_QUEUE;
	raise_intx(pci);
}

void virtio_pci_notify_config(struct virtio_pci *pci)
{
	pci->registers.generation++;
	/* A driver that is not ready yet will read the configuration anyway. */
	if (!(pci->registers.status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	pci->irq.isr |= ISR_CONFIG;
	if (virtio_pci_config_msix_enabled(&pci->config))
		raise_vector(pci, pci->registers.config_vector);
	else
		raise_intx(pci);
}

void virtio_pci_retry_interrupt(struct virtio_pci *pci, int vector)
{
	uint64_t bit;

	if (vector == VIRTIO_PCI_INTX) {
		raise_intx(pci);
		return;
	}
	bit = UINT64_C(1) << vector;
	if (!(pci->irq.msix_pending & bit) || !virtio_pci_config_msix_enabled(&pci->config))
		return;
	pci->irq.msix_pending &= ~bit;
	raise_vector(pci, (uint16_t)vector);
}

void virtio_pci_retry_all_interrupts(struct virtio_pci *pci)
{
	raise_intx(pci);
	for (unsigned int vector = 0; vector < pci->vectors; vector++)
		virtio_pci_retry_interrupt(pci, (int)vector);
}

uint8_t virtio_pci_read_isr(struct virtio_pci *pci)
{
	uint8_t isr = pci->irq.isr;

	pci->irq.isr = 0;
	return isr;
}
