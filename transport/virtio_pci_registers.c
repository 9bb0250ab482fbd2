/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/virtio_pci_registers.h"

#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#include "transport/log_rate.h"
#include "transport/virtio_pci.h"

#define PAGE 0x1000
#define PENDING_OFFSET 0x800 /* of the MSI-X pending bits in BAR 1 */

struct field {
	uint8_t offset, bytes;
};

static const struct field common_fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },  { VIRTIO_PCI_COMMON_DF, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 },  { VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 },	    { VIRTIO_PCI_COMMON_NUMQ, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },    { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 },  { VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 },    { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2 },    { VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_DESCHI, 4 },  { VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4 }, { VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDHI, 4 },
};
#define COMMON_BYTES sizeof(struct virtio_pci_common_cfg)
#define COMMON_FIELDS (sizeof(common_fields) / sizeof(*common_fields))

/* The selected queue, or NULL where there is none. */
static struct virtio_pci_queue *get_selected_queue(struct virtio_pci *pci)
{
	return pci->registers.queue_select < balloon_queue_count(pci->balloon)
		       ? &pci->registers.queues[pci->registers.queue_select]
		       : NULL;
}

static uint32_t get_half(uint64_t value, uint32_t select)
{
	return select < 2 ? (uint32_t)(value >> (32 * select)) : 0;
}

static void set_half(uint64_t *value, uint32_t select, uint32_t to)
{
	if (select < 2)
		*value = (*value & ~(UINT64_C(0xffffffff) << (32 * select))) |
			 (uint64_t)to << (32 * select);
}

static uint8_t get_device_status(const struct virtio_pci *pci)
{
	return pci->registers.status |
	       (balloon_needs_reset(pci->balloon) ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
}

/* Reads a field of the selected queue. */
static uint32_t get_queue_field(struct virtio_pci *pci, unsigned int offset)
{
	const struct virtio_pci_queue *queue = get_selected_queue(pci);

	if (!queue)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return queue->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return pci->registers.queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return get_half(queue->desc, 0);
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return get_half(queue->desc, 1);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return get_half(queue->driver, 0);
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return get_half(queue->driver, 1);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return get_half(queue->device, 0);
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return get_half(queue->device, 1);
	}
	return 0;
}

static uint32_t get_common_field(struct virtio_pci *pci, unsigned int offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return pci->registers.device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return get_half(balloon_offered(pci->balloon),
				pci->registers.device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return pci->registers.driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return get_half(pci->registers.driver_features,
				pci->registers.driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return pci->registers.config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return balloon_queue_count(pci->balloon);
	case VIRTIO_PCI_COMMON_STATUS:
		return get_device_status(pci);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return pci->registers.generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return pci->registers.queue_select;
	}
	return get_queue_field(pci, offset);
}

static void compose_common(struct virtio_pci *pci, uint8_t image[COMMON_BYTES])
{
	memset(image, 0, COMMON_BYTES);
	for (size_t i = 0; i < COMMON_FIELDS; i++)
		virtio_pci_put(image + common_fields[i].offset,
			       get_common_field(pci, common_fields[i].offset),
			       common_fields[i].bytes);
}

static void read_common_structure(struct virtio_pci *pci, unsigned int offset, void *to,
				  unsigned int size)
{
	uint8_t image[COMMON_BYTES];

	compose_common(pci, image);
	memcpy(to, image + offset, size);
}

void virtio_pci_registers_reset(struct virtio_pci *pci)
{
	pci->registers.device_feature_select = pci->registers.driver_feature_select = 0;
	pci->registers.driver_features = 0;
	pci->registers.config_vector = VIRTIO_MSI_NO_VECTOR;
	pci->registers.queue_select = 0;
	pci->registers.status = 0;
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		pci->registers.queues[i] = (struct virtio_pci_queue){
			.size = BALLOON_QUEUE_SIZE,
			.vector = VIRTIO_MSI_NO_VECTOR,
		};
	virtio_pci_irq_reset(pci);
}

void virtio_pci_device_reset(struct virtio_pci *pci)
{
	/* Without DRIVER_OK there are no interrupts during the reset. */
	pci->registers.status = 0;
	balloon_reset(pci->balloon);
	virtio_pci_registers_reset(pci);
}

static void set_device_status(struct virtio_pci *pci, uint8_t status)
{
	uint8_t added = status & (uint8_t)~pci->registers.status;

	if (status == 0) {
		virtio_pci_device_reset(pci);
		return;
	}
	pci->registers.status |= status & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					   VIRTIO_CONFIG_S_FAILED);
	if (added & VIRTIO_CONFIG_S_FEATURES_OK &&
	    pci->registers.driver_features & BALLOON_BIT(VIRTIO_F_VERSION_1) &&
	    balloon_set_features(pci->balloon, pci->registers.driver_features))
		pci->registers.status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK &&
	    pci->registers.status & VIRTIO_CONFIG_S_FEATURES_OK) {
		pci->registers.status |= VIRTIO_CONFIG_S_DRIVER_OK;
		balloon_driver_ok(pci->balloon);
	}
}

static void log_refused_queue(struct virtio_pci *pci, const char *why)
{
	char line[128];

	if (!log_rate_allows(++pci->registers.refused))
		return;
	snprintf(line, sizeof(line),
		 "queue %u cannot be started: %s (%" PRIu64 " such failures so far)",
		 (unsigned int)pci->registers.queue_select, why, pci->registers.refused);
	pci->host.log(pci->host.data, line);
}

static void enable_queue(struct virtio_pci *pci, struct virtio_pci_queue *queue)
{
	const struct virtqueue_setup setup = {
		.desc = queue->desc,
		.driver = queue->driver,
		.device = queue->device,
		.size = queue->size,
	};
	int error;

	if (queue->enabled)
		return;
	if (!(pci->registers.status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		log_refused_queue(pci, "features were not negotiated");
		return;
	}
	error = balloon_queue_start(pci->balloon, pci->registers.queue_select, &setup, NULL);
	if (error)
		log_refused_queue(pci, strerror(-error));
	else
		queue->enabled = true;
}

static uint16_t check_vector(const struct virtio_pci *pci, uint32_t vector)
{
	return vector < pci->vectors ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_queue_field(struct virtio_pci *pci, unsigned int offset, uint32_t value)
{
	struct virtio_pci_queue *queue = get_selected_queue(pci);

	if (!queue)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX)
		queue->vector = check_vector(pci, value);
	else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE && value == 1)
		enable_queue(pci, queue);
	if (queue->enabled) /* its ring cannot be moved any more */
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (value >= 1 && value <= BALLOON_QUEUE_SIZE)
			queue->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_half(&queue->desc, 0, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&queue->desc, 1, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_half(&queue->driver, 0, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&queue->driver, 1, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_half(&queue->device, 0, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&queue->device, 1, value);
		break;
	}
}

static void set_common_field(struct virtio_pci *pci, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		pci->registers.device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		pci->registers.driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		set_half(&pci->registers.driver_features, pci->registers.driver_feature_select,
			 value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		pci->registers.config_vector = check_vector(pci, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		set_device_status(pci, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		pci->registers.queue_select = (uint16_t)value;
		break;
	default:
		set_queue_field(pci, offset, value);
	}
}

static void write_common_structure(struct virtio_pci *pci, unsigned int offset, const void *from,
				   unsigned int size)
{
	for (size_t i = 0; i < COMMON_FIELDS; i++) {
		const struct field *field = &common_fields[i];
		uint8_t image[COMMON_BYTES];

		if (offset >= field->offset + field->bytes || offset + size <= field->offset)
			continue;
		virtio_pci_put(image + field->offset, get_common_field(pci, field->offset),
			       field->bytes);
		memcpy(image + offset, from, size);
		set_common_field(pci, field->offset,
				 (uint32_t)virtio_pci_get(image + field->offset, field->bytes));
	}
}

static void read_isr_structure(struct virtio_pci *pci, unsigned int offset, void *to,
			       unsigned int size)
{
	(void)offset;
	(void)size;
	*(uint8_t *)to = virtio_pci_read_isr(pci);
}

static void read_device_structure(struct virtio_pci *pci, unsigned int offset, void *to,
				  unsigned int size)
{
	balloon_config_read(pci->balloon, offset, to, size);
}

static void write_device_structure(struct virtio_pci *pci, unsigned int offset, const void *from,
				   unsigned int size)
{
	balloon_config_write(pci->balloon, offset, from, size);
}

/* The offset selects the queue; the value is the queue's number again. */
static void write_notify_structure(struct virtio_pci *pci, unsigned int offset, const void *from,
				   unsigned int size)
{
	(void)from;
	(void)size;
	balloon_kick(pci->balloon, offset / VIRTIO_PCI_NOTIFY_MULTIPLIER);
}

static void read_msix_table(struct virtio_pci *pci, unsigned int offset, void *to,
			    unsigned int size)
{
	memcpy(to, pci->irq.msix_table + offset, size);
}

static void write_msix_table(struct virtio_pci *pci, unsigned int offset, const void *from,
			     unsigned int size)
{
	memcpy(pci->irq.msix_table + offset, from, size);
}

static void read_msix_pending(struct virtio_pci *pci, unsigned int offset, void *to,
			      unsigned int size)
{
	uint8_t image[sizeof(pci->irq.msix_pending)];

	virtio_pci_put(image, pci->irq.msix_pending, sizeof(image));
	memcpy(to, image + offset, size);
}

const struct virtio_pci_window virtio_pci_windows[VIRTIO_PCI_WINDOWS] = {
	[VIRTIO_PCI_WINDOW_COMMON] = { 0, 0 * PAGE, COMMON_BYTES, VIRTIO_PCI_CAP_COMMON_CFG,
				       read_common_structure, write_common_structure },
	[VIRTIO_PCI_WINDOW_ISR] = { 0, 1 * PAGE, 1, VIRTIO_PCI_CAP_ISR_CFG, read_isr_structure,
				    NULL },
	[VIRTIO_PCI_WINDOW_DEVICE] = { 0, 2 * PAGE, BALLOON_CONFIG_READABLE_BYTES,
				       VIRTIO_PCI_CAP_DEVICE_CFG, read_device_structure,
				       write_device_structure },
	[VIRTIO_PCI_WINDOW_NOTIFY] = { 0, 3 * PAGE,
				       BALLOON_QUEUES_MAX *VIRTIO_PCI_NOTIFY_MULTIPLIER,
				       VIRTIO_PCI_CAP_NOTIFY_CFG, NULL, write_notify_structure },
	[VIRTIO_PCI_WINDOW_MSIX_TABLE] = { 1, 0, VIRTIO_PCI_VECTORS *VIRTIO_PCI_MSIX_ENTRY_BYTES, 0,
					   read_msix_table, write_msix_table },
	[VIRTIO_PCI_WINDOW_MSIX_PENDING] = { 1, PENDING_OFFSET, sizeof(uint64_t), 0,
					     read_msix_pending, NULL },
};

uint32_t virtio_pci_bar_bytes(const struct virtio_pci *pci, unsigned int bar)
{
	return bar == 0 ? 4 * PAGE : bar == 1 && pci->vectors ? PAGE : 0;
}

/*
 * Finds which part of an access of @size bytes at @offset of BAR @bar lies in @window; false when
 * none does.
 */
static bool intersect_window(const struct virtio_pci *pci, const struct virtio_pci_window *window,
			     unsigned int bar, uint64_t offset, size_t size, uint64_t *begin,
			     uint64_t *end)
{
	uint64_t window_end = (uint64_t)window->offset + window->bytes;

	if (window->bar != bar || !virtio_pci_bar_bytes(pci, bar) || offset >= window_end)
		return false;
	*begin = offset > window->offset ? offset : window->offset;
	*end = size < window_end - offset ? offset + size : window_end;
	return *begin < *end;
}

void virtio_pci_bar_read(struct virtio_pci *pci, unsigned int bar, uint64_t offset, void *to,
			 size_t size)
{
	uint64_t begin, end;

	memset(to, 0, size);
	for (unsigned int i = 0; i < VIRTIO_PCI_WINDOWS; i++) {
		const struct virtio_pci_window *window = &virtio_pci_windows[i];

		if (window->read && intersect_window(pci, window, bar, offset, size, &begin, &end))
			window->read(pci, (unsigned int)(begin - window->offset),
				     (uint8_t *)to + (begin - offset), (unsigned int)(end - begin));
	}
}

void virtio_pci_bar_write(struct virtio_pci *pci, unsigned int bar, uint64_t offset,
			  const void *from, size_t size)
{
	uint64_t begin, end;

	for (unsigned int i = 0; i < VIRTIO_PCI_WINDOWS; i++) {
		const struct virtio_pci_window *window = &virtio_pci_windows[i];

		if (window->write && intersect_window(pci, window, bar, offset, size, &begin, &end))
			window->write(pci, (unsigned int)(begin - window->offset),
				      (const uint8_t *)from + (begin - offset),
				      (unsigned int)(end - begin));
	}
}
