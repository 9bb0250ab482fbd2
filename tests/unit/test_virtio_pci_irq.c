/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts of the PCI function: the ISR, INTx and MSI-X. */
#include "tests/unit/virtio_pci_rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_isr_tells_queues_from_configuration_and_is_cleared_by_reading(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_inflate(rig, 0x100, 0);
	rig_kick(rig, 0);
	assert_int_equal(rig->intx, 1);
	assert_int_equal(rig_get(rig, ISR, 1), 1);
	assert_int_equal(rig_get(rig, ISR, 1), 0);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->intx, 2);
	assert_int_equal(rig_get(rig, ISR, 4), 2);
	assert_int_equal(rig_get(rig, ISR, 1), 0);
}

static void a_reset_by_the_driver_clears_the_isr(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	rig_put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(rig_get(rig, ISR, 1), 0);
}

static void configuration_space_reaches_the_isr_by_its_data_alone(void **state)
{
	struct pci_rig *rig = *state;
	unsigned int cap = rig_find_cap(rig, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	rig_set_config(rig, cap + VIRTIO_PCI_CAP_OFFSET, ISR, 4);
	rig_set_config(rig, cap + VIRTIO_PCI_CAP_LENGTH, 1, 4);
	rig_drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	rig_config(rig, cap + 12, 4);
	rig_config(rig, cap + 20, 4);
	assert_int_equal(rig_config(rig, cap + 16, 1), 2);
	assert_int_equal(rig_get(rig, ISR, 1), 0);
}

static void other_reads_leave_the_isr_alone(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t page[0xfff];

	rig_drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	virtio_pci_bar_read(&rig->pci, 0, ISR + 1, page, sizeof(page));
	virtio_pci_bar_read(&rig->pci, 0, 0, page, sizeof(page));
	assert_int_equal(rig_get(rig, ISR, 1), 2);
}

static void pci_status_tells_that_an_interrupt_waits(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	assert_false(rig_config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_true(rig_config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	rig_get(rig, ISR, 1);
	assert_false(rig_config(rig, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void nothing_interrupts_before_driver_ok(void **state)
{
	struct pci_rig *rig = *state;

	rig_negotiate(rig, FEATURES);
	virtio_pci_notify_config(&rig->pci);
	virtio_pci_notify_queue(&rig->pci, 0);
	assert_int_equal(rig->intx, 0);
	assert_int_equal(rig_get(rig, ISR, 1), 0);
}

static void intx_is_raised_again_for_as_long_as_the_isr_is_not_read(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig->deaf = true;
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	rig->deaf = false;
	virtio_pci_retry_interrupt(&rig->pci, VIRTIO_PCI_INTX);
	virtio_pci_retry_interrupt(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 2);
	rig_get(rig, ISR, 1);
	virtio_pci_retry_interrupt(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 2);
}

static void intx_can_be_disabled_and_is_kept_meanwhile(void **state)
{
	struct pci_rig *rig = *state;

	rig_drive(rig);
	rig_set_config(rig, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	virtio_pci_retry_interrupt(&rig->pci, VIRTIO_PCI_INTX);
	assert_int_equal(rig->intx, 0);
	rig_set_config(rig, PCI_COMMAND, 0, 2);
	assert_int_equal(rig->intx, 1);
}

/* MSI-X */

static void set_msix(struct pci_rig *rig, uint32_t flags)
{
	rig_set_config(rig, rig_find_cap(rig, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS, flags, 2);
}

/* Vector 1 for the configuration, 2 for the inflate queue. */
static void drive_msix(struct pci_rig *rig)
{
	set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	rig_put(rig, COMMON(MSIX), 1, 2);
	rig_put(rig, COMMON(Q_SELECT), 0, 2);
	rig_put(rig, COMMON(Q_MSIX), 2, 2);
	rig_drive(rig);
}

static void each_cause_has_its_vector(void **state)
{
	struct pci_rig *rig = *state;

	drive_msix(rig);
	rig_inflate(rig, 0x100, 0);
	rig_kick(rig, 0);
	assert_int_equal(rig->vectors[2], 1);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->vectors[1], 1);
	assert_int_equal(rig->intx, 0);
	/* VIRTIO 4.1.4.5.1: with MSI-X the queue's bit is not needed. */
	assert_int_equal(rig_get(rig, ISR, 1), 2);
}

static void a_vector_that_there_is_not_is_read_back_as_none(void **state)
{
	struct pci_rig *rig = *state;

	rig_put(rig, COMMON(MSIX), VIRTIO_PCI_VECTORS - 1, 2);
	assert_int_equal(rig_get(rig, COMMON(MSIX), 2), VIRTIO_PCI_VECTORS - 1);
	rig_put(rig, COMMON(MSIX), VIRTIO_PCI_VECTORS, 2);
	assert_int_equal(rig_get(rig, COMMON(MSIX), 2), VIRTIO_MSI_NO_VECTOR);
	rig_put(rig, COMMON(Q_MSIX), 0x1234, 2);
	assert_int_equal(rig_get(rig, COMMON(Q_MSIX), 2), VIRTIO_MSI_NO_VECTOR);
}

static void without_a_vector_nothing_is_raised(void **state)
{
	struct pci_rig *rig = *state;

	set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	rig_drive(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	for (unsigned int i = 0; i < VIRTIO_PCI_VECTORS; i++)
		assert_int_equal(rig->vectors[i], 0);
	assert_int_equal(rig->intx, 0);
}

static uint64_t pending(struct pci_rig *rig)
{
	uint8_t data[8];

	virtio_pci_bar_read(&rig->pci, 1, 0x800, data, sizeof(data));
	return virtio_pci_get(data, sizeof(data));
}

static void a_vector_that_cannot_be_delivered_is_pending(void **state)
{
	struct pci_rig *rig = *state;

	drive_msix(rig);
	rig->deaf = true;
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(pending(rig), 1 << 1);
	virtio_pci_retry_interrupt(&rig->pci, 1);
	assert_int_equal(pending(rig), 1 << 1);
	rig->deaf = false;
	virtio_pci_retry_interrupt(&rig->pci, 2);
	assert_int_equal(rig->vectors[2], 0);
	virtio_pci_retry_interrupt(&rig->pci, 1);
	virtio_pci_retry_interrupt(&rig->pci, 1);
	assert_int_equal(rig->vectors[1], 1);
	assert_int_equal(pending(rig), 0);
}

static void a_reset_by_the_driver_forgets_what_is_pending(void **state)
{
	struct pci_rig *rig = *state;

	drive_msix(rig);
	rig->deaf = true;
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	rig_put(rig, COMMON(STATUS), 0, 1);
	assert_int_equal(pending(rig), 0);
}

static void the_function_mask_holds_vectors_back(void **state)
{
	struct pci_rig *rig = *state;

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
	struct pci_rig *rig = *state;

	drive_msix(rig);
	balloon_set_target(rig->balloon, RAM_BYTES / 2);
	assert_int_equal(rig->intx, 0);
	set_msix(rig, 0);
	assert_int_equal(rig->intx, 1);
}

static void the_table_reads_as_it_was_written(void **state)
{
	struct pci_rig *rig = *state;
	uint8_t wrote[VIRTIO_PCI_VECTORS * 16], read[sizeof(wrote)];

	for (size_t i = 0; i < sizeof(wrote); i++)
		wrote[i] = (uint8_t)(i * 7);
	virtio_pci_bar_write(&rig->pci, 1, 0, wrote, sizeof(wrote));
	virtio_pci_bar_read(&rig->pci, 1, 0, read, sizeof(read));
	assert_memory_equal(read, wrote, sizeof(wrote));
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define MSIX(test) cmocka_unit_test_setup_teardown(test, rig_setup_msix, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(the_isr_tells_queues_from_configuration_and_is_cleared_by_reading),
		PLAIN(a_reset_by_the_driver_clears_the_isr),
		PLAIN(configuration_space_reaches_the_isr_by_its_data_alone),
		PLAIN(other_reads_leave_the_isr_alone),
		PLAIN(pci_status_tells_that_an_interrupt_waits),
		PLAIN(nothing_interrupts_before_driver_ok),
		PLAIN(intx_is_raised_again_for_as_long_as_the_isr_is_not_read),
		PLAIN(intx_can_be_disabled_and_is_kept_meanwhile),
		MSIX(each_cause_has_its_vector),
		MSIX(a_vector_that_there_is_not_is_read_back_as_none),
		MSIX(without_a_vector_nothing_is_raised),
		MSIX(a_vector_that_cannot_be_delivered_is_pending),
		MSIX(a_reset_by_the_driver_forgets_what_is_pending),
		MSIX(the_function_mask_holds_vectors_back),
		MSIX(with_msix_switched_off_intx_takes_over),
		MSIX(the_table_reads_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
