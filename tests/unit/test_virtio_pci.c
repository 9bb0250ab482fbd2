/* SPDX-License-Identifier: BSD-3-Clause */
/* The registers of virtio over PCI.  Interrupts: test_virtio_pci_irq.c. */
#include "tests/unit/virtio_pci_rig.h"

#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The common structure */

static void offered_features_are_shown_in_halves(void **state)
{
	struct pci_rig *rig = *state;

	assert_int_equal(rig_get(rig, COMMON(DF), 4), FEATURES & UINT32_MAX);
	rig_put(rig, COMMON(DFSELECT), 1, 4);
	assert_int_equal(rig_get(rig, COMMON(DF), 4), FEATURES >> 32);
	rig_put(rig, COMMON(DFSELECT), 2, 4);
	assert_int_equal(rig_get(rig, COMMON(DF), 4), 0);
	rig_put(rig, COMMON(DFSELECT), UINT32_MAX, 4);
	assert_int_equal(rig_get(rig, COMMON(DF), 4), 0);
}

static void the_drivers_features_are_acknowledged_by_features_ok(void **state)
{
	struct pci_rig *rig = *state;

	rig_negotiate(rig, FEATURES & ~BALLOON_BIT(BALLOON_F_STATS_VQ));
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), DRIVER_THERE);
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
	struct pci_rig *rig = *state;

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		rig_negotiate(rig, sets[i]);
		assert_int_equal(rig_get(rig, COMMON(STATUS), 1), 0x03);
		rig_put(rig, COMMON(STATUS), 0, 1);
	}
}

static void driver_ok_needs_features_ok(void **state)
{
	struct pci_rig *rig = *state;

	rig_put(rig, COMMON(STATUS), 0x03 | DRIVER_OK, 1);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), 0x03);
	assert_false(balloon_is_driver_ok(rig->balloon));
	rig_drive(rig);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK);
	assert_true(balloon_is_driver_ok(rig->balloon));
}

static void status_bits_are_only_added_until_a_reset(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_put(rig, COMMON(STATUS), 0x80, 1);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | 0x80);
	rig_put(rig, COMMON(STATUS), 0x70, 1);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | 0x80);
	rig_put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
}

static void a_reset_by_the_driver_restores_the_registers(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t before[56], after[56];

	rig_put(rig, COMMON(Q_SELECT), 0, 2);
	virtio_pci_bar_read(&rig->pci, 0, 0, before, sizeof(before));
	rig_drive(rig);
	rig_put(rig, COMMON(DFSELECT), 1, 4);
	rig_put(rig, COMMON(Q_SELECT), 2, 2);
	rig_put(rig, COMMON(Q_SIZE), 64, 2);
	rig_put(rig, COMMON(MSIX), 2, 2);
	rig_put(rig, COMMON(Q_MSIX), 3, 2);
	rig_put(rig, COMMON(STATUS), 0, 1);
	virtio_pci_bar_read(&rig->pci, 0, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	for (unsigned int queue = 0; queue < 4; queue++) {
		rig_put(rig, COMMON(Q_SELECT), queue, 2);
		assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 0);
		assert_int_equal(rig_get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
		assert_int_equal(rig_get(rig, COMMON(Q_MSIX), 2), VIRTIO_MSI_NO_VECTOR);
	}
}

static void queues_are_as_many_as_the_features_acknowledged_need(void **state)
{
	struct pci_rig *rig = *state;

	assert_int_equal(rig_get(rig, COMMON(NUMQ), 2), 4);
	rig_negotiate(rig, BALLOON_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(rig_get(rig, COMMON(NUMQ), 2), 2);
	rig_put(rig, COMMON(NUMQ), 9, 2);
	assert_int_equal(rig_get(rig, COMMON(NUMQ), 2), 2);
}

static void a_queue_that_there_is_not_reads_as_zeros(void **state)
{
	static const uint16_t queues[] = { 4, 5, 6, 255, 256, 0xffff };
	struct pci_rig *rig = *state;

	for (size_t i = 0; i < sizeof(queues) / sizeof(*queues); i++) {
		rig_put(rig, COMMON(Q_SELECT), queues[i], 2);
		assert_int_equal(rig_get(rig, COMMON(Q_SELECT), 2), queues[i]);
		for (unsigned int offset = COMMON(Q_SIZE); offset < 56; offset += 2) {
			rig_put(rig, offset, 1, 2);
			assert_int_equal(rig_get(rig, offset, 2), 0);
		}
	}
}

static void each_queue_has_its_own_notify_offset(void **state)
{
	struct pci_rig *rig = *state;

	for (uint16_t queue = 0; queue < 4; queue++) {
		rig_put(rig, COMMON(Q_SELECT), queue, 2);
		assert_int_equal(rig_get(rig, COMMON(Q_NOFF), 2), queue);
	}
}

static void a_queue_can_be_made_smaller_but_not_larger(void **state)
{
	struct pci_rig *rig = *state;

	assert_int_equal(rig_get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
	rig_put(rig, COMMON(Q_SIZE), 64, 2);
	assert_int_equal(rig_get(rig, COMMON(Q_SIZE), 2), 64);
	rig_put(rig, COMMON(Q_SIZE), 2 * BALLOON_QUEUE_SIZE, 2);
	rig_put(rig, COMMON(Q_SIZE), 0, 2);
	assert_int_equal(rig_get(rig, COMMON(Q_SIZE), 2), 64);
}

static void a_register_can_be_written_in_any_pieces(void **state)
{
	static const uint8_t wanted[24] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
					    0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
					    0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8 };
	struct pci_rig *rig = *state;
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
	struct pci_rig *rig = *state;
	uint8_t whole[56];

	rig_drive(rig);
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
	struct pci_rig *rig = *state;

	rig_enable(rig, 0, 0);
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 0);
	assert_int_equal(rig->pci.registers.refused, 1);
}

static void a_queue_that_cannot_be_started_stays_disabled(void **state)
{
	struct pci_rig *rig = *state;

	rig_negotiate(rig, FEATURES);
	rig_enable(rig, 0, 0x8); /* descriptors are not aligned */
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 0);
	rig_put(rig, COMMON(Q_SIZE), 100, 2);
	rig_enable(rig, 0, 0);
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 0);
	rig_put(rig, COMMON(Q_SIZE), 128, 2);
	rig_enable(rig, 0, 0);
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 1);
	assert_int_equal(rig->pci.registers.refused, 2);
}

static void refusals_are_told_of_ever_more_rarely(void **state)
{
	struct pci_rig *rig = *state;

	for (unsigned int i = 0; i < 1234; i++)
		rig_enable(rig, 0, 0);
	assert_int_equal(rig->pci.registers.refused, 1234);
	assert_int_equal(rig->log_lines, 4);
}

static void the_ring_of_an_enabled_queue_is_fixed(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_put(rig, COMMON(Q_SELECT), 0, 2);
	rig_put(rig, COMMON(Q_DESCLO), 0x10000, 4);
	rig_put(rig, COMMON(Q_USEDHI), 1, 4);
	rig_put(rig, COMMON(Q_SIZE), 16, 2);
	rig_put(rig, COMMON(Q_ENABLE), 0, 2);
	assert_int_equal(rig_get(rig, COMMON(Q_DESCLO), 4), DESC);
	assert_int_equal(rig_get(rig, COMMON(Q_USEDHI), 4), 0);
	assert_int_equal(rig_get(rig, COMMON(Q_SIZE), 2), BALLOON_QUEUE_SIZE);
	assert_int_equal(rig_get(rig, COMMON(Q_ENABLE), 2), 1);
}

/* Queues at work */

static void a_kick_sets_the_queue_to_work(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_work(rig);
	rig_inflate(rig, 0x100, 0);
	rig_work(rig);
	assert_int_equal(rig_used(rig), 0);
	rig_kick(rig, 0);
	assert_int_equal(rig_used(rig), 1);
	assert_int_equal(balloon_counter(rig->balloon, BALLOON_C_INFLATED_PAGES), 1);
}

static void each_queue_has_its_own_kick(void **state)
{
	struct pci_rig *rig = *state;

	/* Queue 1 also has its ring where rig_inflate() writes; nothing was kicked before. */
	rig_negotiate(rig, FEATURES);
	rig_enable(rig, 1, 0);
	rig_put(rig, COMMON(STATUS), DRIVER_THERE | DRIVER_OK, 1);
	rig_work(rig);
	rig_inflate(rig, 0x100, 0);
	rig_kick(rig, 0);
	rig_kick(rig, 2);
	assert_int_equal(rig_used(rig), 0);
	rig_kick(rig, 1);
	assert_int_equal(rig_used(rig), 1);
}

static void kicks_of_no_queue_are_harmless(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	for (unsigned int offset = 0; offset < 0x1000; offset++)
		rig_put(rig, NOTIFY + offset, 0xffff, 2);
	rig_work(rig);
	assert_false(balloon_needs_reset(rig->balloon));
}

static void the_devices_configuration_is_behind_its_window(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_put(rig, ACTUAL, 0x123, 4);
	assert_int_equal(rig_get(rig, ACTUAL, 4), 0x123);
	balloon_set_target(rig->balloon, RAM_BYTES - 7 * 4096);
	assert_int_equal(rig_get(rig, CONFIG, 4), 7);
	assert_int_equal(rig_get(rig, CONFIG, 2), 7);
	assert_int_equal(rig_get(rig, CONFIG + 3, 1), 0);
}

static void a_change_of_configuration_is_a_new_generation(void **state)
{
	struct pci_rig *rig = *state;
	uint64_t before;

	rig_drive(rig);
	before = rig_get(rig, COMMON(CFGGENERATION), 1);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_not_equal(rig_get(rig, COMMON(CFGGENERATION), 1), before);
}

static void a_broken_ring_is_shown_as_needs_reset(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	virtio_pci_put(rig->ram + AVAIL + 2, 0x7fff, 2);
	rig_kick(rig, 0);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), DRIVER_THERE | DRIVER_OK | NEEDS_RESET);
	assert_true(rig_get(rig, ISR, 1) & 2);
	rig_put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(rig_get(rig, COMMON(STATUS), 1), 0);
}

/* Random accesses */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* An offset that is mostly valid, and any size. */
static void random_access(struct pci_rig *rig, uint64_t *seed)
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
	struct pci_rig *rig = *state;

	print_message("SEED=%#llx\n", (unsigned long long)seed);
	for (unsigned int round = 0; round < 200; round++) {
		for (unsigned int i = 0; i < 200; i++)
			random_access(rig, &seed);
		for (unsigned int i = 0; i < 100 && balloon_work(rig->balloon) == 0; i++)
			;
	}
	virtio_pci_reset(&rig->pci);
	memset(rig->ram, 0, 0x4000);
	rig_drive(rig);
	rig_inflate(rig, 0x100, 0);
	rig_kick(rig, 0);
	assert_int_equal(rig_used(rig), 1);
	assert_int_equal(rig_get(rig, ISR, 1), 1);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define MSIX(test) cmocka_unit_test_setup_teardown(test, rig_setup_msix, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		PLAIN(each_queue_has_its_own_kick),
		PLAIN(kicks_of_no_queue_are_harmless),
		PLAIN(the_devices_configuration_is_behind_its_window),
		PLAIN(a_change_of_configuration_is_a_new_generation),
		PLAIN(a_broken_ring_is_shown_as_needs_reset),
		MSIX(any_accesses_leave_a_device_that_can_be_reset_and_driven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
