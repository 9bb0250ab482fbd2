/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI configuration space of the function.
 *
 * Theory of operation
 * -------------------
 * Two arrays of bytes: what is there, and which of its bits a guest may write.
 * Capabilities are laid one behind the other: one for each of virtio's windows,
 * the window through configuration space (VIRTIO 4.1.4.9), and MSI-X.
 *
 * That window is the one place where an access to configuration space has an
 * effect elsewhere: bar, offset and length are set first, then pci_cfg_data is
 * read or written.  It reaches BARs only, so nothing can recur.
 *
 * BARs can be sized the usual way, by writing ones and reading back the mask,
 * although QEMU keeps BARs of its own.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "transport/virtio_pci.h"

#define VENDOR 0x1af4
#define DEVICE (0x1040 + BALLOON_VIRTIO_ID)
#define SUBSYSTEM 0x1100 /* what drivers' installers look for: QEMU's */
#define REVISION 1	 /* not transitional */
#define CLASS 0x00ff00	 /* as QEMU's balloon: unclassified */

#define CAP_ALIGN 4
#define CAPS_BEGIN PCI_STD_HEADER_SIZEOF

static void set(struct virtio_pci *pci, unsigned int offset, uint64_t value, unsigned int bytes)
{
	virtio_pci_put(pci->config + offset, value, bytes);
}

static void allow(struct virtio_pci *pci, unsigned int offset, uint64_t mask, unsigned int bytes)
{
	virtio_pci_put(pci->writable + offset, mask, bytes);
}

static uint64_t get(const struct virtio_pci *pci, unsigned int offset, unsigned int bytes)
{
	return virtio_pci_get(pci->config + offset, bytes);
}

static void set_header(struct virtio_pci *pci)
{
	set(pci, PCI_VENDOR_ID, VENDOR, 2);
	set(pci, PCI_DEVICE_ID, DEVICE, 2);
	set(pci, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	set(pci, PCI_CLASS_REVISION, CLASS << 8 | REVISION, 4);
	set(pci, PCI_SUBSYSTEM_VENDOR_ID, VENDOR, 2);
	set(pci, PCI_SUBSYSTEM_ID, SUBSYSTEM, 2);
	set(pci, PCI_INTERRUPT_PIN, 1, 1);
	allow(pci, PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		      PCI_COMMAND_INTX_DISABLE,
	      2);
	allow(pci, PCI_CACHE_LINE_SIZE, 0xff, 1);
	allow(pci, PCI_INTERRUPT_LINE, 0xff, 1);
	for (unsigned int bar = 0; bar < VIRTIO_PCI_BARS; bar++) {
		uint32_t bytes = virtio_pci_bar_bytes(pci, bar);

		if (bytes)
			allow(pci, PCI_BASE_ADDRESS_0 + 4 * bar, ~(bytes - 1), 4);
	}
}

/* Where the list of capabilities ends: the link that is to name the next one. */
struct tail {
	unsigned int link, next;
};

static unsigned int add_cap(struct virtio_pci *pci, struct tail *tail, uint8_t id,
			    unsigned int bytes)
{
	unsigned int cap = tail->next;

	set(pci, tail->link, cap, 1);
	set(pci, cap + PCI_CAP_LIST_ID, id, 1);
	tail->link = cap + PCI_CAP_LIST_NEXT;
	tail->next = (cap + bytes + CAP_ALIGN - 1) / CAP_ALIGN * CAP_ALIGN;
	return cap;
}

static unsigned int add_virtio_cap(struct virtio_pci *pci, struct tail *tail, uint8_t type,
				   unsigned int bytes)
{
	unsigned int cap = add_cap(pci, tail, PCI_CAP_ID_VNDR, bytes);

	set(pci, cap + VIRTIO_PCI_CAP_LEN, bytes, 1);
	set(pci, cap + VIRTIO_PCI_CAP_CFG_TYPE, type, 1);
	return cap;
}

static void add_window_cap(struct virtio_pci *pci, struct tail *tail,
			   const struct virtio_pci_window *window)
{
	bool notify = window->cap_type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned int cap = add_virtio_cap(pci, tail, window->cap_type,
					  notify ? sizeof(struct virtio_pci_notify_cap)
						 : sizeof(struct virtio_pci_cap));

	set(pci, cap + VIRTIO_PCI_CAP_BAR, window->bar, 1);
	set(pci, cap + VIRTIO_PCI_CAP_OFFSET, window->offset, 4);
	set(pci, cap + VIRTIO_PCI_CAP_LENGTH, window->bytes, 4);
	if (notify)
		set(pci, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, VIRTIO_PCI_NOTIFY_MULTIPLIER, 4);
}

static void add_access_cap(struct virtio_pci *pci, struct tail *tail)
{
	unsigned int cap = add_virtio_cap(pci, tail, VIRTIO_PCI_CAP_PCI_CFG,
					  sizeof(struct virtio_pci_cfg_cap));

	allow(pci, cap + VIRTIO_PCI_CAP_BAR, 0xff, 1);
	allow(pci, cap + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX, 4);
	allow(pci, cap + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX, 4);
	allow(pci, cap + sizeof(struct virtio_pci_cap), UINT32_MAX, 4);
	pci->access_cap = cap;
}

static void add_msix_cap(struct virtio_pci *pci, struct tail *tail)
{
	const struct virtio_pci_window *table = &virtio_pci_windows[VIRTIO_PCI_WINDOW_MSIX_TABLE];
	const struct virtio_pci_window *pending =
		&virtio_pci_windows[VIRTIO_PCI_WINDOW_MSIX_PENDING];
	unsigned int cap = add_cap(pci, tail, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

	set(pci, cap + PCI_MSIX_FLAGS, pci->vectors - 1, 2);
	set(pci, cap + PCI_MSIX_TABLE, table->offset | table->bar, 4);
	set(pci, cap + PCI_MSIX_PBA, pending->offset | pending->bar, 4);
	allow(pci, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	pci->msix_cap = cap;
}

void virtio_pci_config_reset(struct virtio_pci *pci)
{
	struct tail tail = { .link = PCI_CAPABILITY_LIST, .next = CAPS_BEGIN };

	memset(pci->config, 0, sizeof(pci->config));
	memset(pci->writable, 0, sizeof(pci->writable));
	set_header(pci);
	for (unsigned int i = 0; i < VIRTIO_PCI_WINDOWS; i++)
		if (virtio_pci_windows[i].cap_type)
			add_window_cap(pci, &tail, &virtio_pci_windows[i]);
	add_access_cap(pci, &tail);
	if (pci->vectors)
		add_msix_cap(pci, &tail);
}

bool virtio_pci_msix_enabled(const struct virtio_pci *pci)
{
	return pci->msix_cap && get(pci, pci->msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE;
}

bool virtio_pci_msix_masked(const struct virtio_pci *pci)
{
	return pci->msix_cap &&
	       get(pci, pci->msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL;
}

bool virtio_pci_intx_disabled(const struct virtio_pci *pci)
{
	return get(pci, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
}

/* Does an access of @size bytes at @offset reach into the @bytes at @at? */
static bool touches(uint64_t offset, size_t size, unsigned int at, unsigned int bytes)
{
	return offset < at + bytes && offset + size > at;
}

/* What the access capability points at: false when that is nothing an access can be made to. */
static bool access_target(const struct virtio_pci *pci, unsigned int *bar, uint32_t *offset,
			  uint32_t *bytes)
{
	*bar = (unsigned int)get(pci, pci->access_cap + VIRTIO_PCI_CAP_BAR, 1);
	*offset = (uint32_t)get(pci, pci->access_cap + VIRTIO_PCI_CAP_OFFSET, 4);
	*bytes = (uint32_t)get(pci, pci->access_cap + VIRTIO_PCI_CAP_LENGTH, 4);
	return (*bytes == 1 || *bytes == 2 || *bytes == 4) && *offset % *bytes == 0;
}

static unsigned int access_data(const struct virtio_pci *pci)
{
	return pci->access_cap + (unsigned int)sizeof(struct virtio_pci_cap);
}

void virtio_pci_config_read(struct virtio_pci *pci, uint64_t offset, void *to, size_t size)
{
	unsigned int bar;
	uint32_t bar_offset, bytes;

	memset(to, 0, size);
	if (offset >= sizeof(pci->config))
		return;
	if (size > sizeof(pci->config) - offset)
		size = sizeof(pci->config) - offset;
	if (touches(offset, size, access_data(pci), 4) &&
	    access_target(pci, &bar, &bar_offset, &bytes))
		virtio_pci_bar_read(pci, bar, bar_offset, pci->config + access_data(pci), bytes);
	set(pci, PCI_STATUS, PCI_STATUS_CAP_LIST | (pci->isr ? PCI_STATUS_INTERRUPT : 0), 2);
	memcpy(to, pci->config + offset, size);
}

void virtio_pci_config_write(struct virtio_pci *pci, uint64_t offset, const void *from, size_t size)
{
	unsigned int bar;
	uint32_t bar_offset, bytes;

	if (offset >= sizeof(pci->config))
		return;
	if (size > sizeof(pci->config) - offset)
		size = sizeof(pci->config) - offset;
	for (size_t i = 0; i < size; i++) {
		uint8_t *byte = &pci->config[offset + i], mask = pci->writable[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (((const uint8_t *)from)[i] & mask));
	}
	if (touches(offset, size, access_data(pci), 4) &&
	    access_target(pci, &bar, &bar_offset, &bytes))
		virtio_pci_bar_write(pci, bar, bar_offset, pci->config + access_data(pci), bytes);
	virtio_pci_interrupts_changed(pci);
}
