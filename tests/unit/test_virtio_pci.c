/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI function, register by register, over a real balloon.  A guest of 4 MiB
 * has its rings in the first page; interrupts are counted, and can be refused.
 */
#include "transport/virtio_pci.h"

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

#define RAM_BYTES (UINT64_C(4) << 20)
#define DESC 0x0000
#define AVAIL 0x1000
#define USED 0x2000
#define BUFFER 0x3000
#define FEATURES                                                                                   \
	(BALLOON_BIT(VIRTIO_F_VERSION_1) | BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |                 \
	 BALLOON_BIT(BALLOON_F_STATS_VQ) | BALLOON_BIT(BALLOON_F_PAGE_REPORTING))
#define COMMON(field) (0x0000 + VIRTIO_PCI_COMMON_##field)
#define ISR 0x1000
#define CONFIG 0x2000
#define NOTIFY 0x3000
#define ACTUAL (CONFIG + 4)
#define DRIVER_THERE 0x0b /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
#define DRIVER_OK 0x04
#define NEEDS_RESET 0x40

struct rig {
	struct virtio_pci pci;
	struct balloon *balloon;
	uint8_t *ram;
	bool deaf; /* interrupts are refused */
	unsigned int intx, vectors[VIRTIO_PCI_VECTORS], log_lines;
};

static bool take_interrupt(void *data, int vector)
{
	struct rig *rig = data;

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
	virtio_pci_notify_queue(&((struct rig *)data)->pci, queue);
}

static void take_config(void *data)
{
	virtio_pci_notify_config(&((struct rig *)data)->pci);
}

static void take_event(void *data, enum balloon_event event)
{
	(void)data;
	(void)event;
}

static void take_line(void *data, const char *line)
{
	assert_null(strchr(line, '\n'));
	((struct rig *)data)->log_lines++;
}

static uint64_t stopped_clock(void *data)
{
	(void)data;
	return 1;
}

static void open_rig(void **state, bool msix)
{
	struct rig *rig = calloc(1, sizeof(*rig));
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

static int setup(void **state)
{
	open_rig(state, false);
	return 0;
}

static int setup_msix(void **state)
{
	open_rig(state, true);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	balloon_free(rig->balloon);
	munmap(rig->ram, RAM_BYTES);
	free(rig);
	return 0;
}

static uint64_t get(struct rig *rig, uint64_t offset, unsigned int bytes)
{
	uint8_t data[8];

	virtio_pci_bar_read(&rig->pci, 0, offset, data, bytes);
	return virtio_pci_get(data, bytes);
}

static void put(struct rig *rig, uint64_t offset, uint64_t value, unsigned int bytes)
{
	uint8_t data[8];

	virtio_pci_put(data, value, bytes);
	virtio_pci_bar_write(&rig->pci, 0, offset, data, bytes);
}

static uint32_t config(struct rig *rig, unsigned int offset, unsigned int bytes)
{
	uint8_t data[4];

	virtio_pci_config_read(&rig->pci, offset, data, bytes);
	return (uint32_t)virtio_pci_get(data, bytes);
}

static void set_config(struct rig *rig, unsigned int offset, uint32_t value, unsigned int bytes)
{
	uint8_t data[4];

	virtio_pci_put(data, value, bytes);
	virtio_pci_config_write(&rig->pci, offset, data, bytes);
}

/* The capability behind @cap (0: the first) that is of virtio's @type, or has PCI's @id. */
static unsigned int find_cap(struct rig *rig, uint8_t id, uint8_t type)
{
	unsigned int cap = config(rig, PCI_CAPABILITY_LIST, 1);

	for (unsigned int i = 0; cap && i < 48; i++) {
		if (config(rig, cap, 1) == id &&
		    (id != PCI_CAP_ID_VNDR ||
		     config(rig, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return cap;
		cap = config(rig, cap + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

static void negotiate(struct rig *rig, uint64_t features)
{
	put(rig, COMMON(STATUS), 0x03, 1);
	for (uint32_t i = 0; i < 2; i++) {
		put(rig, COMMON(GFSELECT), i, 4);
		put(rig, COMMON(GF), features >> (32 * i), 4);
	}
	put(rig, COMMON(STATUS), DRIVER_THERE, 1);
}

static void put_address(struct rig *rig, uint64_t offset, uint64_t address)
{
	put(rig, offset, address & UINT32_MAX, 4);
	put(rig, offset + 4, address >> 32, 4);
}

static void enable(struct rig *rig, unsigned int queue, uint64_t page)
{
	put(rig, COMMON(Q_SELECT), queue, 2);
	put_address(rig, COMMON(Q_DESCLO), page + DESC);
	put_address(rig, COMMON(Q_AVAILLO), page + AVAIL);
	put_address(rig, COMMON(Q_USEDLO), page + USED);
	put(rig, COMMON(Q_ENABLE), 1, 2);
}

/* A driver with its inflate queue, ready for buffers. */
static void drive(struct rig *rig)
{
	negotiate(rig, FEATURES);
	enable(rig, 0, 0);
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 1);
	put(rig, COMMON(STATUS), DRIVER_THERE | DRIVER_OK, 1);
}

static void work(struct rig *rig)
{
	while (balloon_work(rig->balloon) == 0)
		;
}

/* Makes one inflate buffer of one page available, as buffer number @n. */
static void inflate(struct rig *rig, uint32_t pfn, uint16_t n)
{
	uint8_t *desc = rig->ram + DESC + 16 * n, *avail = rig->ram + AVAIL;

	virtio_pci_put(rig->ram + BUFFER + 4 * n, pfn, 4);
	virtio_pci_put(desc, BUFFER + 4 * n, 8);
	virtio_pci_put(desc + 8, 4, 4);
	virtio_pci_put(desc + 12, 0, 4);
	virtio_pci_put(avail + 4 + 2 * n, n, 2);
	virtio_pci_put(avail + 2, n + 1, 2);
}

static uint16_t used(const struct rig *rig)
{
	return (uint16_t)virtio_pci_get(rig->ram + USED + 2, 2);
}

static void kick(struct rig *rig, unsigned int queue)
{
	put(rig, NOTIFY + VIRTIO_PCI_NOTIFY_MULTIPLIER * queue, queue, 2);
	work(rig);
}

/* PCI configuration space */

static void the_function_is_a_modern_balloon(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(config(rig, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(config(rig, PCI_DEVICE_ID, 2), 0x1045);
	assert_int_equal(config(rig, PCI_REVISION_ID, 1), 1);
	assert_int_equal(config(rig, PCI_CLASS_PROG, 1), 0);
	assert_int_equal(config(rig, PCI_CLASS_DEVICE, 2), 0x00ff);
	assert_int_equal(config(rig, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
	assert_int_equal(config(rig, PCI_SUBSYSTEM_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(config(rig, PCI_SUBSYSTEM_ID, 2), 0x1100);
	assert_int_equal(config(rig, PCI_INTERRUPT_PIN, 1), 1);
}

static void each_structure_has_one_capability(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t offset, length;
	} rows[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, 0x0000, 56 },
		{ VIRTIO_PCI_CAP_ISR_CFG, 0x1000, 1 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 0x2000, 16 },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, 0x3000, 20 },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned int cap = find_cap(rig, PCI_CAP_ID_VNDR, rows[i].type);

		assert_int_not_equal(cap, 0);
		assert_int_equal(config(rig, cap + VIRTIO_PCI_CAP_BAR, 1), 0);
		assert_int_equal(config(rig, cap + VIRTIO_PCI_CAP_OFFSET, 4), rows[i].offset);
		assert_int_equal(config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 4), rows[i].length);
	}
}

static void the_notify_capability_has_a_multiplier(void **state)
{
	struct rig *rig = *state;
	unsigned int cap = find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);

	assert_int_equal(config(rig, cap + VIRTIO_PCI_CAP_LEN, 1), 20);
	assert_int_equal(config(rig, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), 4);
}

static void capabilities_do_not_overlap(void **state)
{
	struct rig *rig = *state;
	unsigned int cap = config(rig, PCI_CAPABILITY_LIST, 1), count = 0, behind = 0x40;

	assert_true(config(rig, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (; cap; cap = config(rig, cap + PCI_CAP_LIST_NEXT, 1)) {
		unsigned int bytes = config(rig, cap, 1) == PCI_CAP_ID_MSIX
					     ? PCI_CAP_MSIX_SIZEOF
					     : config(rig, cap + VIRTIO_PCI_CAP_LEN, 1);

		assert_true(cap >= behind && cap % 4 == 0);
		behind = cap + bytes;
		assert_true(behind <= 256);
		assert_true(++count <= 6);
	}
	assert_int_equal(count, rig->pci.vectors ? 6 : 5);
}

static void without_msix_there_is_neither_capability_nor_bar(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(find_cap(rig, PCI_CAP_ID_MSIX, 0), 0);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 0), 0x4000);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 1), 0);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 2), 0);
	put(rig, COMMON(MSIX), 0, 2);
	assert_int_equal(get(rig, COMMON(MSIX), 2), VIRTIO_MSI_NO_VECTOR);
}

static void the_msix_capability_names_table_and_pending_bits(void **state)
{
	struct rig *rig = *state;
	unsigned int cap = find_cap(rig, PCI_CAP_ID_MSIX, 0);

	assert_int_not_equal(cap, 0);
	assert_int_equal(config(rig, cap + PCI_MSIX_FLAGS, 2), VIRTIO_PCI_VECTORS - 1);
	assert_int_equal(config(rig, cap + PCI_MSIX_TABLE, 4), 0x000 | 1);
	assert_int_equal(config(rig, cap + PCI_MSIX_PBA, 4), 0x800 | 1);
	assert_int_equal(virtio_pci_bar_bytes(&rig->pci, 1), 0x1000);
}

static void bars_can_be_sized(void **state)
{
	struct rig *rig = *state;

	for (unsigned int bar = 0; bar < 6; bar++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * bar;
		uint32_t bytes = virtio_pci_bar_bytes(&rig->pci, bar);

		set_config(rig, offset, UINT32_MAX, 4);
		assert_int_equal(config(rig, offset, 4), bytes ? ~(bytes - 1) : 0);
	}
}

static void what_is_read_only_stays(void **state)
{
	struct rig *rig = *state;
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
	assert_int_equal(config(rig, PCI_COMMAND, 2), 0x0546);
	each_structure_has_one_capability(state);
}

static void a_reset_restores_configuration_space(void **state)
{
	struct rig *rig = *state;
	uint8_t before[256], after[256];

	virtio_pci_config_read(&rig->pci, 0, before, sizeof(before));
	memset(after, 0xff, sizeof(after));
	virtio_pci_config_write(&rig->pci, 0, after, sizeof(after));
	drive(rig);
	virtio_pci_reset(&rig->pci);
	virtio_pci_config_read(&rig->pci, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(get(rig, COMMON(STATUS), 1), 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
}

static void outside_of_everything_there_are_zeros(void **state)
{
	static const uint64_t offsets[] = { 56,	    0xfff,  0x1001, 0x2010,	0x3000,
					    0x3014, 0x3fff, 0x4000, UINT32_MAX, UINT64_MAX };
	struct rig *rig = *state;
	uint8_t data[8];

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		put(rig, offsets[i], UINT8_MAX, 1);
		assert_int_equal(get(rig, offsets[i], 1), 0);
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
	struct rig *rig = *state;
	unsigned int cap = find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	assert_int_not_equal(cap, 0);
	set_config(rig, cap + VIRTIO_PCI_CAP_BAR, 0, 1);
	set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, COMMON(GFSELECT), 4);
	set_config(rig, cap + 16, 0x12345678, 4);
	assert_int_equal(get(rig, COMMON(GFSELECT), 4), 0x12345678);
	put(rig, COMMON(GFSELECT), 7, 4);
	assert_int_equal(config(rig, cap + 16, 4), 7);

	set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 2, 4);
	set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, COMMON(Q_SELECT), 4);
	set_config(rig, cap + 16, 3, 2);
	assert_int_equal(get(rig, COMMON(Q_SELECT), 2), 3);
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
	struct rig *rig = *state;
	unsigned int cap = find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		set_config(rig, cap + VIRTIO_PCI_CAP_BAR, rows[i][0], 1);
		set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, rows[i][1], 4);
		set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, rows[i][2], 4);
		set_config(rig, cap + 16, UINT32_MAX, 4);
		config(rig, cap + 16, 4);
		assert_int_equal(get(rig, COMMON(GFSELECT), 4), 0);
	}
}

/* The common structure */

static void offered_features_are_shown_in_halves(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, COMMON(DF), 4), FEATURES & UINT32_MAX);
	put(rig, COMMON(DFSELECT), 1, 4);
	assert_int_equal(get(rig, COMMON(DF), 4), FEATURES >> 32);
	put(rig, COMMON(DFSELECT), 2, 4);
	assert_int_equal(get(rig, COMMON(DF), 4), 0);
	put(rig, COMMON(DFSELECT), UINT32_MAX, 4);
	assert_int_equal(get(rig, COMMON(DF), 4), 0);
}

static void the_drivers_features_are_acknowledged_by_features_ok(void **state)
{
	struct rig *rig = *state;

	negotiate(rig, FEATURES & ~BALLOON_BIT(BALLOON_F_STATS_VQ));
	assert_int_equal(get(rig, COMMON(STATUS), 1), DRIVER_THERE);
	assert_int_equal(balloon_acknowledged(rig->balloon),
			 FEATURES & ~BALLOON_BIT(BALLOON_F_STATS_VQ));
}

static void features_that_cannot_be_are_refused(void **state)
{
	static const uint64_t sets[] = {
		0,
		BALLOON_BIT(BALLOON_F_STATS_VQ), /* no VERSION_1 */
		BALLOON_BIT(VIRTIO_F_VERSION_1) | BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT),
		BALLOON_BIT(VIRTIO_F_VERSION_1) | UINT64_C(1) << 63,
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		negotiate(rig, sets[i]);
		assert_int_equal(get(rig, COMMON(STATUS), 1), 0x03);
		put(rig, COMMON(STATUS), 0, 1);
	}
}

static void driver_ok_needs_features_ok(void **state)
{
	struct rig *rig = *state;

	put(rig, COMMON(STATUS), 0x03 | DRIVER_OK, 1);
	assert_int_equal(get(rig, COMMON(STATUS), 1), 0x03);
	assert_false(balloon_is_driver_ok(rig->balloon));
	drive(rig);
	assert_int_equal(get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK);
	assert_true(balloon_is_driver_ok(rig->balloon));
}

static void status_bits_are_only_added_until_a_reset(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	put(rig, COMMON(STATUS), 0x80, 1);
	assert_int_equal(get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | 0x80);
	put(rig, COMMON(STATUS), 0x70, 1);
	assert_int_equal(get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | 0x80);
	put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(get(rig, COMMON(STATUS), 1), 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
}

static void a_reset_by_the_driver_restores_the_registers(void **state)
{
	struct rig *rig = *state;
	uint8_t before[56], after[56];

	put(rig, COMMON(Q_SELECT), 0, 2);
	virtio_pci_bar_read(&rig->pci, 0, 0, before, sizeof(before));
	drive(rig);
	put(rig, COMMON(DFSELECT), 1, 4);
	put(rig, COMMON(Q_SELECT), 2, 2);
	put(rig, COMMON(Q_SIZE), 64, 2);
	put(rig, COMMON(MSIX), 2, 2);
	put(rig, COMMON(Q_MSIX), 3, 2);
	put(rig, COMMON(STATUS), 0, 1);
	virtio_pci_bar_read(&rig->pci, 0, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	for (unsigned int queue = 0; queue < 4; queue++) {
		put(rig, COMMON(Q_SELECT), queue, 2);
		assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 0);
		assert_int_equal(get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
		assert_int_equal(get(rig, COMMON(Q_MSIX), 2), VIRTIO_MSI_NO_VECTOR);
	}
}

static void queues_are_as_many_as_the_features_acknowledged_need(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, COMMON(NUMQ), 2), 4);
	negotiate(rig, BALLOON_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(get(rig, COMMON(NUMQ), 2), 2);
	put(rig, COMMON(NUMQ), 9, 2);
	assert_int_equal(get(rig, COMMON(NUMQ), 2), 2);
}

static void a_queue_that_there_is_not_reads_as_zeros(void **state)
{
	static const uint16_t queues[] = { 4, 5, 6, 255, 256, 0xffff };
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(queues) / sizeof(*queues); i++) {
		put(rig, COMMON(Q_SELECT), queues[i], 2);
		assert_int_equal(get(rig, COMMON(Q_SELECT), 2), queues[i]);
		for (unsigned int offset = COMMON(Q_SIZE); offset < 56; offset += 2) {
			put(rig, offset, 1, 2);
			assert_int_equal(get(rig, offset, 2), 0);
		}
	}
}

static void each_queue_has_its_own_notify_offset(void **state)
{
	struct rig *rig = *state;

	for (uint16_t queue = 0; queue < 4; queue++) {
		put(rig, COMMON(Q_SELECT), queue, 2);
		assert_int_equal(get(rig, COMMON(Q_NOFF), 2), queue);
	}
}

static void a_queue_can_be_made_smaller_but_not_larger(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
	put(rig, COMMON(Q_SIZE), 64, 2);
	assert_int_equal(get(rig, COMMON(Q_SIZE), 2), 64);
	put(rig, COMMON(Q_SIZE), 2 * BALLOON_QUEUE_SIZE, 2);
	put(rig, COMMON(Q_SIZE), 0, 2);
	assert_int_equal(get(rig, COMMON(Q_SIZE), 2), 64);
}

static void a_register_can_be_written_in_any_pieces(void **state)
{
	static const uint8_t wanted[24] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
					    0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
					    0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8 };
	struct rig *rig = *state;
	uint8_t zeros[24] = { 0 }, read[24];

	for (unsigned int piece = 1; piece <= sizeof(wanted); piece++) {
		virtio_pci_bar_write(&rig->pci, 0, COMMON(Q_DESCLO), zeros, sizeof(zeros));
		for (unsigned int at = 0; at < sizeof(wanted); at += piece)
			virtio_pci_bar_write(&rig->pci, 0, COMMON(Q_DESCLO) + at, wanted + at,
					     piece < sizeof(wanted) - at ? piece
									 : sizeof(wanted) - at);
		virtio_pci_bar_read(&rig->pci, 0, COMMON(Q_DESCLO), read, sizeof(read));
		assert_memory_equal(read, wanted, sizeof(wanted));
	}
}

static void a_register_can_be_read_in_any_pieces(void **state)
{
	struct rig *rig = *state;
	uint8_t whole[56];

	drive(rig);
	virtio_pci_bar_read(&rig->pci, 0, 0, whole, sizeof(whole));
	for (unsigned int at = 0; at < sizeof(whole); at++) {
		for (unsigned int size = 1; size <= sizeof(whole) - at; size++) {
			uint8_t piece[56];

			virtio_pci_bar_read(&rig->pci, 0, at, piece, size);
			assert_memory_equal(piece, whole + at, size);
		}
	}
}

static void a_queue_is_not_started_before_features_are_negotiated(void **state)
{
	struct rig *rig = *state;

	enable(rig, 0, 0);
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 0);
	assert_int_equal(rig->pci.refused, 1);
}

static void a_queue_that_cannot_be_started_stays_disabled(void **state)
{
	struct rig *rig = *state;

	negotiate(rig, FEATURES);
	enable(rig, 0, 0x8); /* descriptors are not aligned */
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 0);
	put(rig, COMMON(Q_SIZE), 100, 2);
	enable(rig, 0, 0);
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 0);
	put(rig, COMMON(Q_SIZE), 128, 2);
	enable(rig, 0, 0);
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 1);
	assert_int_equal(rig->pci.refused, 2);
}

static void refusals_are_told_of_ever_more_rarely(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 1234; i++)
		enable(rig, 0, 0);
	assert_int_equal(rig->pci.refused, 1234);
	assert_int_equal(rig->log_lines, 4);
}

static void the_ring_of_an_enabled_queue_is_fixed(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	put(rig, COMMON(Q_SELECT), 0, 2);
	put(rig, COMMON(Q_DESCLO), 0x10000, 4);
	put(rig, COMMON(Q_USEDHI), 1, 4);
	put(rig, COMMON(Q_SIZE), 16, 2);
	put(rig, COMMON(Q_ENABLE), 0, 2);
	assert_int_equal(get(rig, COMMON(Q_DESCLO), 4), DESC);
	assert_int_equal(get(rig, COMMON(Q_USEDHI), 4), 0);
	assert_int_equal(get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
	assert_int_equal(get(rig, COMMON(Q_ENABLE), 2), 1);
}

/* What happens */

static void a_kick_sets_the_queue_to_work(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	work(rig);
	inflate(rig, 0x100, 0);
	work(rig);
	assert_int_equal(used(rig), 0);
	kick(rig, 0);
	assert_int_equal(used(rig), 1);
	assert_int_equal(balloon_counter(rig->balloon, BALLOON_C_INFLATED_PAGES), 1);
}

static void kicks_of_no_queue_are_harmless(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	for (unsigned int offset = 0; offset < 0x1000; offset++)
		put(rig, NOTIFY + offset, 0xffff, 2);
	work(rig);
	assert_false(balloon_needs_reset(rig->balloon));
}

static void the_devices_configuration_is_behind_its_window(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	put(rig, ACTUAL, 0x123, 4);
	assert_int_equal(get(rig, ACTUAL, 4), 0x123);
	balloon_set_target(rig->balloon, RAM_BYTES - 7 * 4096);
	assert_int_equal(get(rig, CONFIG, 4), 7);
	assert_int_equal(get(rig, CONFIG, 2), 7);
	assert_int_equal(get(rig, CONFIG + 3, 1), 0);
}

static void a_change_of_configuration_is_a_new_generation(void **state)
{
	struct rig *rig = *state;
	uint64_t before;

	drive(rig);
	before = get(rig, COMMON(CFGGENERATION), 1);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_not_equal(get(rig, COMMON(CFGGENERATION), 1), before);
}

static void a_broken_ring_is_shown_as_needs_reset(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	virtio_pci_put(rig->ram + AVAIL + 2, 0x7fff, 2);
	kick(rig, 0);
	assert_int_equal(get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | NEEDS_RESET);
	assert_true(get(rig, ISR, 1) & 2);
	put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(get(rig, COMMON(STATUS), 1), 0);
}

static void the_isr_tells_queues_from_configuration_and_is_cleared_by_reading(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	inflate(rig, 0x100, 0);
	kick(rig, 0);
	assert_int_equal(rig->intx, 1);
	assert_int_equal(get(rig, ISR, 1), 1);
	assert_int_equal(get(rig, ISR, 1), 0);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->intx, 2);
	assert_int_equal(get(rig, ISR, 4), 2);
	assert_int_equal(get(rig, ISR, 1), 0);
}

static void other_reads_leave_the_isr_alone(void **state)
{
	struct rig *rig = *state;
	uint8_t page[0xfff];

	drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	virtio_pci_bar_read(&rig->pci, 0, ISR + 1, page, sizeof(page));
	virtio_pci_bar_read(&rig->pci, 0, 0, page, sizeof(page));
	assert_int_equal(get(rig, ISR, 1), 2);
}

static void pci_status_tells_that_an_interrupt_waits(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	assert_false(config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_true(config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	get(rig, ISR, 1);
	assert_false(config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void nothing_interrupts_before_driver_ok(void **state)
{
	struct rig *rig = *state;

	negotiate(rig, FEATURES);
	virtio_pci_notify_config(&rig->pci);
	virtio_pci_notify_queue(&rig->pci, 0);
	assert_int_equal(rig->intx, 0);
	assert_int_equal(get(rig, ISR, 1), 0);
}

static void intx_is_raised_again_for_as_long_as_the_isr_is_not_read(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	rig->deaf = true;
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	rig->deaf = false;
	virtio_pci_deliverable(&rig->pci, VIRTIO_PCI_INTX);
	virtio_pci_deliverable(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 2);
	get(rig, ISR, 1);
	virtio_pci_deliverable(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 2);
}

static void intx_can_be_disabled_and_is_kept_meanwhile(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	set_config(rig, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	virtio_pci_deliverable(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 0);
	set_config(rig, PCI_COMMAND, 0, 2);
	assert_int_equal(rig->intx, 1);
}

/* MSI-X */

static void set_msix(struct rig *rig, uint32_t flags)
{
	set_config(rig, find_cap(rig, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS, flags, 2);
}

/* Vector 1 for the configuration, 2 for the inflate queue. */
static void drive_msix(struct rig *rig)
{
	set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	put(rig, COMMON(MSIX), 1, 2);
	put(rig, COMMON(Q_SELECT), 0, 2);
	put(rig, COMMON(Q_MSIX), 2, 2);
	drive(rig);
}

static void each_cause_has_its_vector(void **state)
{
	struct rig *rig = *state;

	drive_msix(rig);
	inflate(rig, 0x100, 0);
	kick(rig, 0);
	assert_int_equal(rig->vectors[2], 1);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->vectors[1], 1);
	assert_int_equal(rig->intx, 0);
	/* VIRTIO 4.1.4.5.1: with MSI-X the queue's bit is not needed. */
	assert_int_equal(get(rig, ISR, 1), 2);
}

static void a_vector_that_there_is_not_is_read_back_as_none(void **state)
{
	struct rig *rig = *state;

	put(rig, COMMON(MSIX), VIRTIO_PCI_VECTORS - 1, 2);
	assert_int_equal(get(rig, COMMON(MSIX), 2), VIRTIO_PCI_VECTORS - 1);
	put(rig, COMMON(MSIX), VIRTIO_PCI_VECTORS, 2);
	assert_int_equal(get(rig, COMMON(MSIX), 2), VIRTIO_MSI_NO_VECTOR);
	put(rig, COMMON(Q_MSIX), 0x1234, 2);
	assert_int_equal(get(rig, COMMON(Q_MSIX), 2), VIRTIO_MSI_NO_VECTOR);
}

static void without_a_vector_nothing_is_raised(void **state)
{
	struct rig *rig = *state;

	set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	for (unsigned int i = 0; i < VIRTIO_PCI_VECTORS; i++)
		assert_int_equal(rig->vectors[i], 0);
	assert_int_equal(rig->intx, 0);
}

static uint64_t pending(struct rig *rig)
{
	uint8_t data[8];

	virtio_pci_bar_read(&rig->pci, 1, 0x800, data, sizeof(data));
	return virtio_pci_get(data, sizeof(data));
}

static void a_vector_that_cannot_be_delivered_is_pending(void **state)
{
	struct rig *rig = *state;

	drive_msix(rig);
	rig->deaf = true;
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(pending(rig), 1 << 1);
	virtio_pci_deliverable(&rig->pci, 1);
	assert_int_equal(pending(rig), 1 << 1);
	rig->deaf = false;
	virtio_pci_deliverable(&rig->pci, 2);
	assert_int_equal(rig->vectors[2], 0);
	virtio_pci_deliverable(&rig->pci, 1);
	virtio_pci_deliverable(&rig->pci, 1);
	assert_int_equal(rig->vectors[1], 1);
	assert_int_equal(pending(rig), 0);
}

static void the_function_mask_holds_vectors_back(void **state)
{
	struct rig *rig = *state;

	drive_msix(rig);
	set_msix(rig, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->vectors[1], 0);
	assert_int_equal(pending(rig), 1 << 1);
	set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(rig->vectors[1], 1);
	assert_int_equal(pending(rig), 0);
}

static void with_msix_switched_off_intx_takes_over(void **state)
{
	struct rig *rig = *state;

	drive_msix(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->intx, 0);
	set_msix(rig, 0);
	assert_int_equal(rig->intx, 1);
}

static void the_table_reads_as_it_was_written(void **state)
{
	struct rig *rig = *state;
	uint8_t wrote[VIRTIO_PCI_VECTORS * 16], read[sizeof(wrote)];

	for (size_t i = 0; i < sizeof(wrote); i++)
		wrote[i] = (uint8_t)(i * 7);
	virtio_pci_bar_write(&rig->pci, 1, 0, wrote, sizeof(wrote));
	virtio_pci_bar_read(&rig->pci, 1, 0, read, sizeof(read));
	assert_memory_equal(read, wrote, sizeof(wrote));
}

/* All at once */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A place where there is something, mostly, and a size that may be anything. */
static void random_access(struct rig *rig, uint64_t *seed)
{
	uint8_t data[4096];
	uint64_t random = next_random(seed);
	uint64_t offset = (random & 7) == 0 ? next_random(seed)
					    : (random >> 8) % 4 * 0x1000 + (random >> 16) % 64;
	size_t size =
		(random >> 24 & 15) == 0 ? (random >> 32) % sizeof(data) : 1 + (random >> 32) % 8;
	unsigned int bar = (random >> 48) % 4;

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)next_random(seed);
	if (bar == 3 && random >> 63)
		virtio_pci_config_read(&rig->pci, offset % 0x140, data, size);
	else if (bar == 3)
		virtio_pci_config_write(&rig->pci, offset % 0x140, data, size);
	else if (random >> 63)
		virtio_pci_bar_read(&rig->pci, bar == 2 ? 0 : bar, offset, data, size);
	else
		virtio_pci_bar_write(&rig->pci, bar == 2 ? 0 : bar, offset, data, size);
}

static void any_accesses_leave_a_device_that_can_be_reset_and_driven(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 0x5eed5eed5eed5eed;
	struct rig *rig = *state;

	print_message("SEED=%#llx\n", (unsigned long long)seed);
	for (unsigned int round = 0; round < 200; round++) {
		for (unsigned int i = 0; i < 200; i++)
			random_access(rig, &seed);
		for (unsigned int i = 0; i < 100 && balloon_work(rig->balloon) == 0; i++)
			;
	}
	virtio_pci_reset(&rig->pci);
	memset(rig->ram, 0, 0x4000);
	drive(rig);
	inflate(rig, 0x100, 0);
	kick(rig, 0);
	assert_int_equal(used(rig), 1);
	assert_int_equal(get(rig, ISR, 1), 1);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define MSIX(test) cmocka_unit_test_setup_teardown(test, setup_msix, teardown)

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
		PLAIN(offered_features_are_shown_in_halves),
		PLAIN(the_drivers_features_are_acknowledged_by_features_ok),
		PLAIN(features_that_cannot_be_are_refused),
		PLAIN(driver_ok_needs_features_ok),
		PLAIN(status_bits_are_only_added_until_a_reset),
		MSIX(a_reset_by_the_driver_restores_the_registers),
		PLAIN(queues_are_as_many_as_the_features_acknowledged_need),
		MSIX(a_queue_that_there_is_not_reads_as_zeros),
		PLAIN(each_queue_has_its_own_notify_offset),
		PLAIN(a_queue_can_be_made_smaller_but_not_larger),
		PLAIN(a_register_can_be_written_in_any_pieces),
		PLAIN(a_register_can_be_read_in_any_pieces),
		PLAIN(a_queue_is_not_started_before_features_are_negotiated),
		PLAIN(a_queue_that_cannot_be_started_stays_disabled),
		PLAIN(refusals_are_told_of_ever_more_rarely),
		PLAIN(the_ring_of_an_enabled_queue_is_fixed),
		PLAIN(a_kick_sets_the_queue_to_work),
		PLAIN(kicks_of_no_queue_are_harmless),
		PLAIN(the_devices_configuration_is_behind_its_window),
		PLAIN(a_change_of_configuration_is_a_new_generation),
		PLAIN(a_broken_ring_is_shown_as_needs_reset),
		PLAIN(the_isr_tells_queues_from_configuration_and_is_cleared_by_reading),
		PLAIN(other_reads_leave_the_isr_alone),
		PLAIN(pci_status_tells_that_an_interrupt_waits),
		PLAIN(nothing_interrupts_before_driver_ok),
		PLAIN(intx_is_raised_again_for_as_long_as_the_isr_is_not_read),
		PLAIN(intx_can_be_disabled_and_is_kept_meanwhile),
		MSIX(each_cause_has_its_vector),
		MSIX(a_vector_that_there_is_not_is_read_back_as_none),
		MSIX(without_a_vector_nothing_is_raised),
		MSIX(a_vector_that_cannot_be_delivered_is_pending),
		MSIX(the_function_mask_holds_vectors_back),
		MSIX(with_msix_switched_off_intx_takes_over),
		MSIX(the_table_reads_as_it_was_written),
		MSIX(any_accesses_leave_a_device_that_can_be_reset_and_driven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
