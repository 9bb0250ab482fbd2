/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/virtio_pci_rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static bool take_interrupt(void *data, int vector)
{
	struct pci_rig *rig = data;

	if (rig->deaf)
		return false;
	if (vector == VIRTIO_PCI_INTX) {
		rig->intx++;
	} else {
		assert_in_range(vector, 0, VIRTIO_PCI_VECTORS - 1);
		rig->vectors[vector]++;
	}
	return true;
}

static void take_queue(void *data, unsigned int queue)
{
	virtio_pci_notify_queue(&((struct pci_rig *)data)->pci, queue);
}

static void take_config(void *data)
{
	virtio_pci_notify_config(&((struct pci_rig *)data)->pci);
}

static void take_event(void *data, enum balloon_event event)
{
	(void)data;
	(void)event;
}

static void take_line(void *data, const char *line)
{
	assert_null(strchr(line, '\n'));
	((struct pci_rig *)data)->log_lines++;
}

static uint64_t stopped_clock(void *data)
{
	(void)data;
	return 1;
}

static void open_rig(void **state, bool msix)
{
	struct pci_rig *rig = calloc(1, sizeof(*rig));
	const struct balloon_options options = { .features = FEATURES };
	const struct balloon_host host = {
		.notify_queue = take_queue,
		.notify_config = take_config,
		.event = take_event,
		.log = take_line,
		.now_ns = stopped_clock,
		.data = rig,
	};
	const struct virtio_pci_host pci_host = { take_interrupt, take_line, rig };

	assert_non_null(rig);
	rig->ram =
		mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(rig->ram, MAP_FAILED);
	rig->balloon = balloon_new(&options, &host);
	assert_non_null(rig->balloon);
	virtio_pci_init(&rig->pci, rig->balloon, msix, &pci_host);
	assert_int_equal(balloon_add(rig->balloon, 0, RAM_BYTES, rig->ram), 0);
	*state = rig;
}

int rig_setup(void **state)
{
	open_rig(state, false);
	return 0;
}

int rig_setup_msix(void **state)
{
	open_rig(state, true);
	return 0;
}

int rig_teardown(void **state)
{
	struct pci_rig *rig = *state;

	balloon_free(rig->balloon);
	munmap(rig->ram, RAM_BYTES);
	free(rig);
	return 0;
}

uint64_t rig_get(struct pci_rig *rig, uint64_t offset, unsigned int bytes)
{
	uint8_t data[8];

	virtio_pci_bar_read(&rig->pci, 0, offset, data, bytes);
	return virtio_pci_get(data, bytes);
}

void rig_put(struct pci_rig *rig, uint64_t offset, uint64_t value, unsigned int bytes)
{
	uint8_t data[8];

	virtio_pci_put(data, value, bytes);
	virtio_pci_bar_write(&rig->pci, 0, offset, data, bytes);
}

uint32_t rig_config(struct pci_rig *rig, unsigned int offset, unsigned int bytes)
{
	uint8_t data[4];

	virtio_pci_config_read(&rig->pci, offset, data, bytes);
	return (uint32_t)virtio_pci_get(data, bytes);
}

void rig_set_config(struct pci_rig *rig, unsigned int offset, uint32_t value, unsigned int bytes)
{
	uint8_t data[4];

	virtio_pci_put(data, value, bytes);
	virtio_pci_config_write(&rig->pci, offset, data, bytes);
}

unsigned int rig_find_cap(struct pci_rig *rig, uint8_t id, uint8_t type)
{
	unsigned int cap = rig_config(rig, PCI_CAPABILITY_LIST, 1);

	for (unsigned int i = 0; cap && i < 48; i++) {
		if (rig_config(rig, cap, 1) == id &&
		    (id != PCI_CAP_ID_VNDR ||
		     rig_config(rig, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return cap;
		cap = rig_config(rig, cap + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

void rig_negotiate(struct pci_rig *rig, uint64_t features)
{
	rig_put(rig, COMMON(STATUS), 0x03, 1);
	for (uint32_t i = 0; i < 2; i++) {
		rig_put(rig, COMMON(GFSELECT), i, 4);
		rig_put(rig, COMMON(GF), features >> (32 * i), 4);
	}
	rig_put(rig, COMMON(STATUS), DRIVER_THERE, 1);
}

static void put_address(struct pci_rig *rig, uint64_t offset, uint64_t address)
{
	rig_put(rig, offset, address & UINT32_MAX, 4);
	rig_put(rig, offset + 4, address >> 32, 4);
}

void rig_enable(struct pci_rig *rig, unsigned int queue, uint64_t page)
{
	rig_put(rig, COMMON(Q_SELECT), queue, 2);
	put_address(rig, COMMON(Q_DESCLO), page + DESC);
	put_address(rig, COMMON(Q_AVAILLO), page + AVAIL);
	put_address(rig, COMMON(Q_USEDLO), page + USED);
	rig_put(rig, COMMON(Q_ENABLE), 1, 2);
}

void rig_drive(struct pci_rig *rig)
{
	rig_negotiate(rig, FEATURES);
	rig_enable(rig, 0, 0);
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 1);
	rig_put(rig, COMMON(STATUS), DRIVER_THERE | DRIVER_OK, 1);
}

void rig_work(struct pci_rig *rig)
{
	while (balloon_work(rig->balloon) == 0)
		;
}

void rig_inflate(struct pci_rig *rig, uint32_t pfn, uint16_t n)
{
	uint8_t *desc = rig->ram + DESC + 16 * n, *avail = rig->ram + AVAIL;

	virtio_pci_put(rig->ram + BUFFER + 4 * n, pfn, 4);
	virtio_pci_put(desc, BUFFER + 4 * n, 8);
	virtio_pci_put(desc + 8, 4, 4);
	virtio_pci_put(desc + 12, 0, 4);
	virtio_pci_put(avail + 4 + 2 * n, n, 2);
	virtio_pci_put(avail + 2, n + 1, 2);
}

uint16_t rig_used(const struct pci_rig *rig)
{
	return (uint16_t)virtio_pci_get(rig->ram + USED + 2, 2);
}

void rig_kick(struct pci_rig *rig, unsigned int queue)
{
	rig_put(rig, NOTIFY + VIRTIO_PCI_NOTIFY_MULTIPLIER * queue, queue, 2);
	rig_work(rig);
}
