/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers in the BARs, and interrupts.
 *
 * Theory of operation
 * -------------------
 * Registers are read and written at any width: VIRTIO asks for the natural one
 * and for halves of 64-bit ones, VMMs split accesses as they like, and a guest
 * may try anything.  So the common structure is a table of fields.  A read
 * composes the structure and copies what was asked for; a write lays its bytes
 * over each field that it touches, in ascending order, and sets that field as
 * a whole.  Fields without effects on being set to what they are (all but
 * queue_enable and device_status, which ignore it) make that safe.
 *
 * Device status bits are only ever added, until 0 is written, as VIRTIO 2.1.1
 * demands of drivers; FEATURES_OK stays off when the features were refused or
 * lack VERSION_1, and DRIVER_OK is not accepted without it.  DEVICE_NEEDS_RESET is the balloon's.
 *
 * A queue is started when it is enabled.  One that cannot be (an unaligned ring,
 * a size that is no power of two, features not negotiated) stays disabled, as
 * the driver can read back; it is counted and told of at 1, 10, 100, …
 */
#include "transport/virtio_pci.h"

#include <inttypes.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#define PAGE 0x1000
#define PENDING_OFFSET 0x800 /* of the MSI-X pending bits in BAR 1 */

enum status {
	ACKNOWLEDGE = 0x01,
	DRIVER = 0x02,
	DRIVER_OK = 0x04,
	FEATURES_OK = 0x08,
	NEEDS_RESET = 0x40,
	FAILED = 0x80,
};

enum isr { ISR_QUEUE = 1, ISR_CONFIG = 2 };

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
static struct virtio_pci_queue *selected(struct virtio_pci *pci)
{
	return pci->queue_select < balloon_queue_count(pci->balloon)
		       ? &pci->queues[pci->queue_select]
		       : NULL;
}

static uint32_t half(uint64_t value, uint32_t select)
{
	return select < 2 ? (uint32_t)(value >> (32 * select)) : 0;
}

static void set_half(uint64_t *value, uint32_t select, uint32_t to)
{
	if (select < 2)
		*value = (*value & ~(UINT64_C(0xffffffff) << (32 * select))) |
			 (uint64_t)to << (32 * select);
}

static uint8_t status_now(const struct virtio_pci *pci)
{
	return pci->status | (balloon_needs_reset(pci->balloon) ? NEEDS_RESET : 0);
}

/* What a field of the selected queue reads as. */
static uint32_t queue_get(struct virtio_pci *pci, unsigned int offset)
{
	const struct virtio_pci_queue *queue = selected(pci);

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
		return pci->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return half(queue->desc, 0);
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half(queue->desc, 1);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return half(queue->driver, 0);
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half(queue->driver, 1);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return half(queue->device, 0);
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half(queue->device, 1);
	}
	return 0;
}

static uint32_t common_get(struct virtio_pci *pci, unsigned int offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return pci->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return half(balloon_offered(pci->balloon), pci->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return pci->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return half(pci->driver_features, pci->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return pci->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return balloon_queue_count(pci->balloon);
	case VIRTIO_PCI_COMMON_STATUS:
		return status_now(pci);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return pci->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return pci->queue_select;
	}
	return queue_get(pci, offset);
}

static void common_compose(struct virtio_pci *pci, uint8_t image[COMMON_BYTES])
{
	memset(image, 0, COMMON_BYTES);
	for (size_t i = 0; i < COMMON_FIELDS; i++)
		virtio_pci_put(image + common_fields[i].offset,
			       common_get(pci, common_fields[i].offset), common_fields[i].bytes);
}

static void common_read(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size)
{
	uint8_t image[COMMON_BYTES];

	common_compose(pci, image);
	memcpy(to, image + offset, size);
}

/* The registers of a virtio device as they are after a reset; the balloon's part is done. */
static void reset_registers(struct virtio_pci *pci)
{
	pci->device_feature_select = pci->driver_feature_select = 0;
	pci->driver_features = 0;
	pci->config_vector = VIRTIO_MSI_NO_VECTOR;
	pci->queue_select = 0;
	pci->status = 0;
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		pci->queues[i] = (struct virtio_pci_queue){
			.size = BALLOON_QUEUE_SIZE,
			.vector = VIRTIO_MSI_NO_VECTOR,
		};
	pci->isr = 0;
	pci->msix_pending = 0;
}

static void reset_device(struct virtio_pci *pci)
{
	/* First, so that it interrupts nobody while it is being reset. */
	pci->status = 0;
	balloon_reset(pci->balloon);
	reset_registers(pci);
}

static void set_status(struct virtio_pci *pci, uint8_t status)
{
	uint8_t added = status & (uint8_t)~pci->status;

	if (status == 0) {
		reset_device(pci);
		return;
	}
	pci->status |= status & (ACKNOWLEDGE | DRIVER | FAILED);
	if (added & FEATURES_OK && pci->driver_features & BALLOON_BIT(VIRTIO_F_VERSION_1) &&
	    balloon_set_features(pci->balloon, pci->driver_features))
		pci->status |= FEATURES_OK;
	if (added & DRIVER_OK && pci->status & FEATURES_OK) {
		pci->status |= DRIVER_OK;
		balloon_driver_ok(pci->balloon);
	}
}

static void refuse_queue(struct virtio_pci *pci, const char *why)
{
	char line[128];

	if (!virtio_pci_is_told(++pci->refused))
		return;
	snprintf(line, sizeof(line), "queue %u cannot be started: %s (%" PRIu64 " such until now)",
		 (unsigned int)pci->queue_select, why, pci->refused);
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
	if (!(pci->status & FEATURES_OK)) {
		refuse_queue(pci, "features were not negotiated");
		return;
	}
	error = balloon_queue_start(pci->balloon, pci->queue_select, &setup, NULL);
	if (error)
		refuse_queue(pci, strerror(-error));
	else
		queue->enabled = true;
}

static uint16_t checked_vector(const struct virtio_pci *pci, uint32_t vector)
{
	return vector < pci->vectors ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void queue_set(struct virtio_pci *pci, unsigned int offset, uint32_t value)
{
	struct virtio_pci_queue *queue = selected(pci);

	if (!queue)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX)
		queue->vector = checked_vector(pci, value);
	else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE && value == 1)
		enable_queue(pci, queue);
	if (queue->enabled) /* its ring is where it is */
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

static void common_set(struct virtio_pci *pci, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		pci->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		pci->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		set_half(&pci->driver_features, pci->driver_feature_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		pci->config_vector = checked_vector(pci, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(pci, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		pci->queue_select = (uint16_t)value;
		break;
	default:
		queue_set(pci, offset, value);
	}
}

static void common_write(struct virtio_pci *pci, unsigned int offset, const void *from,
			 unsigned int size)
{
	for (size_t i = 0; i < COMMON_FIELDS; i++) {
		const struct field *field = &common_fields[i];
		uint8_t image[COMMON_BYTES];

		if (offset >= field->offset + field->bytes || offset + size <= field->offset)
			continue;
		virtio_pci_put(image + field->offset, common_get(pci, field->offset), field->bytes);
		memcpy(image + offset, from, size);
		common_set(pci, field->offset,
			   (uint32_t)virtio_pci_get(image + field->offset, field->bytes));
	}
}

static void isr_read(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size)
{
	(void)offset;
	(void)size;
	*(uint8_t *)to = pci->isr;
	pci->isr = 0;
}

static void device_read(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size)
{
	balloon_config_read(pci->balloon, offset, to, size);
}

static void device_write(struct virtio_pci *pci, unsigned int offset, const void *from,
			 unsigned int size)
{
	balloon_config_write(pci->balloon, offset, from, size);
}

/* The address says which queue; what is written is its number once more. */
static void notify_write(struct virtio_pci *pci, unsigned int offset, const void *from,
			 unsigned int size)
{
	(void)from;
	(void)size;
	balloon_kick(pci->balloon, offset / VIRTIO_PCI_NOTIFY_MULTIPLIER);
}

static void table_read(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size)
{
	memcpy(to, pci->msix_table + offset, size);
}

static void table_write(struct virtio_pci *pci, unsigned int offset, const void *from,
			unsigned int size)
{
	memcpy(pci->msix_table + offset, from, size);
}

static void pending_read(struct virtio_pci *pci, unsigned int offset, void *to, unsigned int size)
{
	uint8_t image[sizeof(pci->msix_pending)];

	virtio_pci_put(image, pci->msix_pending, sizeof(image));
	memcpy(to, image + offset, size);
}

const struct virtio_pci_window virtio_pci_windows[VIRTIO_PCI_WINDOWS] = {
	[VIRTIO_PCI_WINDOW_COMMON] = { 0, 0 * PAGE, COMMON_BYTES, VIRTIO_PCI_CAP_COMMON_CFG,
				       common_read, common_write },
	[VIRTIO_PCI_WINDOW_ISR] = { 0, 1 * PAGE, 1, VIRTIO_PCI_CAP_ISR_CFG, isr_read, NULL },
	[VIRTIO_PCI_WINDOW_DEVICE] = { 0, 2 * PAGE, BALLOON_CONFIG_BYTES, VIRTIO_PCI_CAP_DEVICE_CFG,
				       device_read, device_write },
	[VIRTIO_PCI_WINDOW_NOTIFY] = { 0, 3 * PAGE,
				       BALLOON_QUEUES_MAX *VIRTIO_PCI_NOTIFY_MULTIPLIER,
				       VIRTIO_PCI_CAP_NOTIFY_CFG, NULL, notify_write },
	[VIRTIO_PCI_WINDOW_MSIX_TABLE] = { 1, 0, VIRTIO_PCI_VECTORS *VIRTIO_PCI_MSIX_ENTRY_BYTES, 0,
					   table_read, table_write },
	[VIRTIO_PCI_WINDOW_MSIX_PENDING] = { 1, PENDING_OFFSET, sizeof(uint64_t), 0, pending_read,
					     NULL },
};

uint32_t virtio_pci_bar_bytes(const struct virtio_pci *pci, unsigned int bar)
{
	return bar == 0 ? 4 * PAGE : bar == 1 && pci->vectors ? PAGE : 0;
}

/* What of @size bytes at @offset of BAR @bar is in @window: its bounds, false when nothing is. */
static bool meet(const struct virtio_pci *pci, const struct virtio_pci_window *window,
		 unsigned int bar, uint64_t offset, size_t size, uint64_t *begin, uint64_t *end)
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

		if (window->read && meet(pci, window, bar, offset, size, &begin, &end))
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

		if (window->write && meet(pci, window, bar, offset, size, &begin, &end))
			window->write(pci, (unsigned int)(begin - window->offset),
				      (const uint8_t *)from + (begin - offset),
				      (unsigned int)(end - begin));
	}
}

static void raise_vector(struct virtio_pci *pci, uint16_t vector)
{
	if (vector >= pci->vectors)
		return;
	if (virtio_pci_msix_masked(pci) || !pci->host.interrupt(pci->host.data, vector))
		pci->msix_pending |= UINT64_C(1) << vector;
}

static void raise_intx(struct virtio_pci *pci)
{
	if (pci->isr && !virtio_pci_msix_enabled(pci) && !virtio_pci_intx_disabled(pci))
		pci->host.interrupt(pci->host.data, VIRTIO_PCI_INTX);
}

void virtio_pci_notify_queue(struct virtio_pci *pci, unsigned int queue)
{
	if (!(pci->status & DRIVER_OK) || queue >= BALLOON_QUEUES_MAX)
		return;
	if (virtio_pci_msix_enabled(pci)) {
		raise_vector(pci, pci->queues[queue].vector);
		return;
	}
	pci->isr |= ISR_QUEUE;
	raise_intx(pci);
}

void virtio_pci_notify_config(struct virtio_pci *pci)
{
	pci->generation++;
	/* A driver that is not there yet reads the configuration when it comes. */
	if (!(pci->status & DRIVER_OK))
		return;
	pci->isr |= ISR_CONFIG;
	if (virtio_pci_msix_enabled(pci))
		raise_vector(pci, pci->config_vector);
	else
		raise_intx(pci);
}

void virtio_pci_deliverable(struct virtio_pci *pci, int vector)
{
	uint64_t bit;

	if (vector == VIRTIO_PCI_INTX) {
		raise_intx(pci);
		return;
	}
	bit = UINT64_C(1) << vector;
	if (!(pci->msix_pending & bit) || !virtio_pci_msix_enabled(pci))
		return;
	pci->msix_pending &= ~bit;
	raise_vector(pci, (uint16_t)vector);
}

void virtio_pci_interrupts_changed(struct virtio_pci *pci)
{
	raise_intx(pci);
	for (unsigned int vector = 0; vector < pci->vectors; vector++)
		virtio_pci_deliverable(pci, (int)vector);
}

void virtio_pci_reset(struct virtio_pci *pci)
{
	reset_device(pci);
	virtio_pci_config_reset(pci);
	memset(pci->msix_table, 0, sizeof(pci->msix_table));
}

void virtio_pci_init(struct virtio_pci *pci, struct balloon *balloon, bool msix,
		     const struct virtio_pci_host *host)
{
	memset(pci, 0, sizeof(*pci));
	pci->balloon = balloon;
	pci->host = *host;
	pci->vectors = msix ? VIRTIO_PCI_VECTORS : 0;
	reset_registers(pci);
	virtio_pci_config_reset(pci);
}
