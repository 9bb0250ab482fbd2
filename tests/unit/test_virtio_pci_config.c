/* SPDX-License-Identifier: BSD-3-Clause */
/* The function in PCI configuration space. */
#include "tests/unit/virtio_pci_rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_function_is_a_modern_balloon(void **state)
{
	struct pci_rig *rig = *state;

	assert_int_equal(rig_config(rig, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(rig_config(rig, PCI_DEVICE_ID, 2), 0x1045);
	assert_int_equal(rig_config(rig, PCI_REVISION_ID, 1), 1);
	assert_int_equal(rig_config(rig, PCI_CLASS_PROG, 1), 0);
	assert_int_equal(rig_config(rig, PCI_CLASS_DEVICE, 2), 0x00ff);
	assert_int_equal(rig_config(rig, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
	assert_int_equal(rig_config(rig, PCI_SUBSYSTEM_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(rig_config(rig, PCI_SUBSYSTEM_ID, 2), 0x1100);
	assert_int_equal(rig_config(rig, PCI_INTERRUPT_PIN, 1), 1);
}

static void each_structure_has_one_capability(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t offset, length;
	} rows[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, 0x0000, 56 },
		{ VIRTIO_PCI_CAP_ISR_CFG, 0x1000, 1 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 0x2000, BALLOON_CONFIG_READABLE_BYTES },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, 0x3000, 20 },
	};
	struct pci_rig *rig = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_VNDR, rows[i].type);

		assert_int_not_equal(cap, 0);
		assert_int_equal(rig_config(rig, cap + VIRTIO_PCI_CAP_BAR, 1), 0);
		assert_int_equal(rig_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, 4), rows[i].offset);
		assert_int_equal(rig_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 4), rows[i].length);
	}
}

static void the_notify_capability_has_a_multiplier(void **state)
{
	struct pci_rig *rig = *state;
	unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);

	assert_int_equal(rig_config(rig, cap + VIRTIO_PCI_CAP_LEN, 1), 20);
	assert_int_equal(rig_config(rig, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), 4);
}

static void capabilities_do_not_overlap(void **state)
{
	struct pci_rig *rig = *state;
	unsigned int cap = rig_config(rig, PCI_CAPABILITY_LIST, 1), count = 0, behind = 0x40;

	assert_true(rig_config(rig, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (; cap; cap = rig_config(rig, cap + PCI_CAP_LIST_NEXT, 1)) {
		unsigned int bytes = rig_config(rig, cap, 1) == PCI_CAP_ID_MSIX
					     ? PCI_CAP_MSIX_SIZEOF
					     : rig_config(rig, cap + VIRTIO_PCI_CAP_LEN, 1);

		assert_true(cap >= behind && cap % 4 == 0);
		behind = cap + bytes;
		assert_true(behind <= 256);
		assert_true(++count <= 6);
	}
	assert_int_equal(count, rig->pci.vectors ? 6 : 5);
}

static void without_msix_there_is_neither_capability_nor_bar(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t byte;

	assert_int_equal(rig_find_cap(rig, PCI_CAP_ID_MSIX, 0), 0);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 0), 0x4000);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 1), 0);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 2), 0);
	virtio_pci_bar_write(&rig->pci, 1, 0, &(uint8_t){ 7 }, 1);
	virtio_pci_bar_read(&rig->pci, 1, 0, &byte, 1);
	assert_int_equal(byte, 0);
	rig_put(rig, COMMON(MSIX), 0, 2);
	assert_int_equal(rig_get(rig, COMMON(MSIX), 2), VIRTIO_MSI_NO_VECTOR);
}

static void the_msix_capability_names_table_and_pending_bits(void **state)
{
	struct pci_rig *rig = *state;
	unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_MSIX, 0);

	assert_int_not_equal(cap, 0);
	assert_int_equal(rig_config(rig, cap + PCI_MSIX_FLAGS, 2), VIRTIO_PCI_VECTORS - 1);
	assert_int_equal(rig_config(rig, cap + PCI_MSIX_TABLE, 4), 0x000 | 1);
	assert_int_equal(rig_config(rig, cap + PCI_MSIX_PBA, 4), 0x800 | 1);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 1), 0x1000);
}

static void bars_can_be_sized(void **state)
{
	struct pci_rig *rig = *state;

	for (unsigned int bar = 0; bar < 6; bar++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * bar;
		uint32_t bytes = virtio_pci_bar_bytes(&rig->pci, bar);

		rig_set_config(rig, offset, UINT32_MAX, 4);
		assert_int_equal(rig_config(rig, offset, 4), bytes ? ~(bytes - 1) : 0);
	}
}

static void what_is_read_only_stays(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t before[256], ones[256], after[256], writable = 0;

	virtio_pci_config_read(&rig->pci, 0, before, sizeof(before));
	memset(ones, 0xff, sizeof(ones));
	virtio_pci_config_write(&rig->pci, 0, ones, sizeof(ones));
	virtio_pci_config_read(&rig->pci, 0, after, sizeof(after));
	for (unsigned int i = 0; i < PCI_CAPABILITY_LIST; i++) {
		bool allowed = (i >= PCI_COMMAND && i < PCI_STATUS) || i == PCI_CACHE_LINE_SIZE ||
			       (i >= PCI_BASE_ADDRESS_0 && i < PCI_BASE_ADDRESS_2);

		if (!allowed)
			assert_int_equal(after[i], before[i]);
		writable |= after[i] ^ before[i];
	}
	assert_int_not_equal(writable, 0);
	assert_int_equal(rig_config(rig, PCI_COMMAND, 2), 0x0546);
	each_structure_has_one_capability(state);
}

static void a_reset_restores_configuration_space(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t before[256], after[256];

	virtio_pci_config_read(&rig->pci, 0, before, sizeof(before));
	memset(after, 0xff, sizeof(after));
	virtio_pci_config_write(&rig->pci, 0, after, sizeof(after));
	rig_drive(rig);
	virtio_pci_reset(&rig->pci);
	virtio_pci_config_read(&rig->pci, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
}

static void outside_of_everything_there_are_zeros(void **state)
{
	static const uint64_t offsets[] = { 56,	    0xfff,  0x1001, 0x2010,	0x3000,
					    0x3014, 0x3fff, 0x4000, UINT32_MAX, UINT64_MAX };
	struct pci_rig *rig = *state;
	uint8_t data[8];

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		rig_put(rig, offsets[i], UINT8_MAX, 1);
		assert_int_equal(rig_get(rig, offsets[i], 1), 0);
		memset(data, 0xff, sizeof(data));
		virtio_pci_bar_read(&rig->pci, (unsigned int)i, offsets[i] | 0x8000, data, 8);
		assert_int_equal(virtio_pci_get(data, 8), 0);
		virtio_pci_config_read(&rig->pci, offsets[i] | 0x100, data, 8);
		assert_int_equal(virtio_pci_get(data, 8), 0);
		virtio_pci_config_write(&rig->pci, offsets[i] | 0x100, data, 8);
	}
}

static void the_access_capability_reaches_the_registers(void **state)
{
	struct pci_rig *rig = *state;
	unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	assert_int_not_equal(cap, 0);
	rig_set_config(rig, cap + VIRTIO_PCI_CAP_BAR, 0, 1);
	rig_set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	rig_set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, COMMON(GFSELECT), 4);
	rig_set_config(rig, cap + 16, 0x12345678, 4);
	assert_int_equal(rig_get(rig, COMMON(GFSELECT), 4), 0x12345678);
	rig_put(rig, COMMON(GFSELECT), 7, 4);
	assert_int_equal(rig_config(rig, cap + 16, 4), 7);

	rig_set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 2, 4);
	rig_set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, COMMON(Q_SELECT), 4);
	rig_set_config(rig, cap + 16, 3, 2);
	assert_int_equal(rig_get(rig, COMMON(Q_SELECT), 2), 3);
}

static void the_access_capability_does_nothing_with_odd_lengths_and_places(void **state)
{
	static const uint32_t rows[][3] = {
		/* bar, offset, length */
		{ 0, COMMON(GFSELECT), 0 },	{ 0, COMMON(GFSELECT), 3 },
		{ 0, COMMON(GFSELECT) + 2, 4 }, { 0, COMMON(GFSELECT), 8 },
		{ 5, COMMON(GFSELECT), 4 },	{ 255, COMMON(GFSELECT), 4 },
		{ 0, UINT32_MAX - 3, 4 },
	};
	struct pci_rig *rig = *state;
	unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		rig_set_config(rig, cap + VIRTIO_PCI_CAP_BAR, rows[i][0], 1);
		rig_set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, rows[i][1], 4);
		rig_set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, rows[i][2], 4);
		rig_set_config(rig, cap + 16, UINT32_MAX, 4);
		rig_config(rig, cap + 16, 4);
		assert_int_equal(rig_get(rig, COMMON(GFSELECT), 4), 0);
	}
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define MSIX(test) cmocka_unit_test_setup_teardown(test, rig_setup_msix, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(the_function_is_a_modern_balloon),
		PLAIN(each_structure_has_one_capability),
		PLAIN(the_notify_capability_has_a_multiplier),
		PLAIN(capabilities_do_not_overlap),
		MSIX(capabilities_do_not_overlap),
		PLAIN(without_msix_there_is_neither_capability_nor_bar),
		MSIX(the_msix_capability_names_table_and_pending_bits),
		PLAIN(bars_can_be_sized),
		MSIX(bars_can_be_sized),
		MSIX(what_is_read_only_stays),
		MSIX(a_reset_restores_configuration_space),
		MSIX(outside_of_everything_there_are_zeros),
		PLAIN(the_access_capability_reaches_the_registers),
		PLAIN(the_access_capability_does_nothing_with_odd_lengths_and_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
