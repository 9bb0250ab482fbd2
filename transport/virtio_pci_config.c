/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/virtio_pci_config.h"

#include <linux/virtio_pci.h>
#include <string.h>

#include "transport/virtio_pci.h"

#define VENDOR 0x1af4
#define DEVICE (0x1040 + BALLOON_VIRTIO_ID)
#define SUBSYSTEM 0x1100 /* as QEMU's, for the installers of drivers */
#define REVISION 1	 /* not transitional */
#define CLASS 0x00ff00	 /* unclassified, as QEMU's balloon */

#define CAP_ALIGN 4
#define CAPS_BEGIN PCI_STD_HEADER_SIZEOF

static void set_config_field(struct virtio_pci *pci, unsigned int offset, uint64_t value,
			     unsigned int bytes)
{
	virtio_pci_put(pci->config.bytes + offset, value, bytes);
}

static void allow_writes(struct virtio_pci *pci, unsigned int offset, uint64_t mask,
			 unsigned int bytes)
{
	virtio_pci_put(pci->config.writable + offset, mask, bytes);
}

static uint64_t get_config_field(const struct virtio_pci *pci, unsigned int offset,
				 unsigned int bytes)
{
	return virtio_pci_get(pci->config.bytes + offset, bytes);
}

static void set_header(struct virtio_pci *pci)
{
	set_config_field(pci, PCI_VENDOR_ID, VENDOR, 2);
	set_config_field(pci, PCI_DEVICE_ID, DEVICE, 2);
	set_config_field(pci, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	set_config_field(pci, PCI_CLASS_REVISION, CLASS << 8 | REVISION, 4);
	set_config_field(pci, PCI_SUBSYSTEM_VENDOR_ID, VENDOR, 2);
	set_config_field(pci, PCI_SUBSYSTEM_ID, SUBSYSTEM, 2);
	set_config_field(pci, PCI_INTERRUPT_PIN, 1, 1);
	allow_writes(pci, PCI_COMMAND,
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			     PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE,
		     2);
	allow_writes(pci, PCI_CACHE_LINE_SIZE, 0xff, 1);
	allow_writes(pci, PCI_INTERRUPT_LINE, 0xff, 1);
	for (unsigned int bar = 0; bar < VIRTIO_PCI_BARS; bar++) {
		uint32_t bytes = virtio_pci_bar_bytes(pci, bar);

		if (bytes)
			allow_writes(pci, PCI_BASE_ADDRESS_0 + 4 * bar, ~(bytes - 1), 4);
	}
}

/* The end of the list of capabilities. */
struct cap_list {
	unsigned int link; /* offset of the byte that will point to the next capability */
	unsigned int next; /* offset of that capability */
};

static unsigned int add_cap(struct virtio_pci *pci, struct cap_list *list, uint8_t id,
			    unsigned int bytes)
{
	unsigned int cap = list->next;

	set_config_field(pci, list->link, cap, 1);
	set_config_field(pci, cap + PCI_CAP_LIST_ID, id, 1);
	list->link = cap + PCI_CAP_LIST_NEXT;
	list->next = (cap + bytes + CAP_ALIGN - 1) / CAP_ALIGN * CAP_ALIGN;
	return cap;
}

static unsigned int add_virtio_cap(struct virtio_pci *pci, struct cap_list *list, uint8_t type,
				   unsigned int bytes)
{
	unsigned int cap = add_cap(pci, list, PCI_CAP_ID_VNDR, bytes);

	set_config_field(pci, cap + VIRTIO_PCI_CAP_LEN, bytes, 1);
	set_config_field(pci, cap + VIRTIO_PCI_CAP_CFG_TYPE, type, 1);
	return cap;
}

static void add_window_cap(struct virtio_pci *pci, struct cap_list *list,
			   const struct virtio_pci_window *window)
{
	bool notify = window->cap_type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned int cap = add_virtio_cap(pci, list, window->cap_type,
					  notify ? sizeof(struct virtio_pci_notify_cap)
						 : sizeof(struct virtio_pci_cap));

	set_config_field(pci, cap + VIRTIO_PCI_CAP_BAR, window->bar, 1);
	set_config_field(pci, cap + VIRTIO_PCI_CAP_OFFSET, window->offset, 4);
	set_config_field(pci, cap + VIRTIO_PCI_CAP_LENGTH, window->bytes, 4);
	if (notify)
		set_config_field(pci, cap + VIRTIO_PCI_NOTIFY_CAP_MULT,
				 VIRTIO_PCI_NOTIFY_MULTIPLIER, 4);
}

static void add_access_cap(struct virtio_pci *pci, struct cap_list *list)
{
	unsigned int cap = add_virtio_cap(pci, list, VIRTIO_PCI_CAP_PCI_CFG,
					  sizeof(struct virtio_pci_cfg_cap));

	allow_writes(pci, cap + VIRTIO_PCI_CAP_BAR, 0xff, 1);
	allow_writes(pci, cap + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX, 4);
	allow_writes(pci, cap + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX, 4);
	allow_writes(pci, cap + sizeof(struct virtio_pci_cap), UINT32_MAX, 4);
	pci->config.access_cap = cap;
}

static void add_msix_cap(struct virtio_pci *pci, struct cap_list *list)
{
	const struct virtio_pci_window *table = &virtio_pci_windows[VIRTIO_PCI_WINDOW_MSIX_TABLE];
	const struct virtio_pci_window *pending =
		&virtio_pci_windows[VIRTIO_PCI_WINDOW_MSIX_PENDING];
	unsigned int cap = add_cap(pci, list, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

	set_config_field(pci, cap + PCI_MSIX_FLAGS, pci->vectors - 1, 2);
	set_config_field(pci, cap + PCI_MSIX_TABLE, table->offset | table->bar, 4);
	set_config_field(pci, cap + PCI_MSIX_PBA, pending->offset | pending->bar, 4);
	allow_writes(pci, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	pci->config.msix_cap = cap;
}

void virtio_pci_config_reset(struct virtio_pci *pci)
{
	struct cap_list list = { .link = PCI_CAPABILITY_LIST, .next = CAPS_BEGIN };

	memset(pci->config.bytes, 0, sizeof(pci->config.bytes));
	memset(pci->config.writable, 0, sizeof(pci->config.writable));
	set_header(pci);
	for (unsigned int i = 0; i < VIRTIO_PCI_WINDOWS; i++)
		if (virtio_pci_windows[i].cap_type)
			add_window_cap(pci, &list, &virtio_pci_windows[i]);
	add_access_cap(pci, &list);
	if (pci->vectors)
		add_msix_cap(pci, &list);
}

/* True when an access of @size bytes at @offset overlaps the @bytes at @at. */
static bool access_overlaps(uint64_t offset, size_t size, unsigned int at, unsigned int bytes)
{
	return offset < at + bytes && offset + size > at;
}

/* Reads where the access window points; false when that is not a valid access. */
static bool read_access_target(const struct virtio_pci *pci, unsigned int *bar, uint32_t *offset,
			       uint32_t *bytes)
{
	*bar = (unsigned int)get_config_field(pci, pci->config.access_cap + VIRTIO_PCI_CAP_BAR, 1);
	*offset =
		(uint32_t)get_config_field(pci, pci->config.access_cap + VIRTIO_PCI_CAP_OFFSET, 4);
	*bytes = (uint32_t)get_config_field(pci, pci->config.access_cap + VIRTIO_PCI_CAP_LENGTH, 4);
	return (*bytes == 1 || *bytes == 2 || *bytes == 4) && *offset % *bytes == 0;
}

/* The offset of pci_cfg_data. */
static unsigned int find_access_data(const struct virtio_pci *pci)
{
	return pci->config.access_cap + (unsigned int)sizeof(struct virtio_pci_cap);
}

void virtio_pci_config_read(struct virtio_pci *pci, uint64_t offset, void *to, size_t size)
{
	unsigned int bar;
	uint32_t bar_offset, bytes;

	memset(to, 0, size);
	if (offset >= sizeof(pci->config.bytes))
		return;
	if (size > sizeof(pci->config.bytes) - offset)
		size = sizeof(pci->config.bytes) - offset;
	if (access_overlaps(offset, size, find_access_data(pci), 4) &&
	    read_access_target(pci, &bar, &bar_offset, &bytes))
		virtio_pci_bar_read(pci, bar, bar_offset, pci->config.bytes + find_access_data(pci),
				    bytes);
	set_config_field(pci, PCI_STATUS,
			 PCI_STATUS_CAP_LIST | (pci->irq.isr ? PCI_STATUS_INTERRUPT : 0), 2);
	memcpy(to, pci->config.bytes + offset, size);
}

void virtio_pci_config_write(struct virtio_pci *pci, uint64_t offset, const void *from, size_t size)
{
	unsigned int bar;
	uint32_t bar_offset, bytes;

	if (offset >= sizeof(pci->config.bytes))
		return;
	if (size > sizeof(pci->config.bytes) - offset)
		size = sizeof(pci->config.bytes) - offset;
	for (size_t i = 0; i < size; i++) {
		uint8_t *byte = &pci->config.bytes[offset + i],
			mask = pci->config.writable[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (((const uint8_t *)from)[i] & mask));
	}
	if (access_overlaps(offset, size, find_access_data(pci), 4) &&
	    read_access_target(pci, &bar, &bar_offset, &bytes))
		virtio_pci_bar_write(pci, bar, bar_offset,
				     pci->config.bytes + find_access_data(pci), bytes);
	virtio_pci_retry_all_interrupts(pci);
}
