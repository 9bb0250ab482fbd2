/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which virtqueues can be, and when one is at rest.
 */
#include "tests/unit/virtqueue_rig.h"

#include <errno.h>

static void sizes_are_powers_of_two_unless_packed(void **state)
{
	static const uint16_t bad[] = { 0, 3, 6, 1023, 2048, 32768, 65535 };
	static const uint16_t good[] = { 1, 2, 4, 256, 1024 };
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig->setup.size = bad[i];
		refused(rig, &rig->setup);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		rig->setup.size = good[i];
		start(rig);
	}
}

static void addresses_are_aligned(void **state)
{
	static const struct {
		unsigned int desc, driver, device;
	} cases[] = { { 16, 2, 4 }, { 16, 4, 4 } };
	struct rig *rig = *state;

	for (unsigned int packed = 0; packed < 2; packed++) {
		struct virtqueue_setup setup = rig->setup;

		setup.packed = packed;
		setup.base = packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT;
		setup.desc += cases[packed].desc;
		setup.driver += cases[packed].driver;
		setup.device += cases[packed].device;
		assert_int_equal(virtqueue_start(&rig->queue, &rig->memory, &setup), 0);
		setup.desc += cases[packed].desc / 2;
		refused(rig, &setup);
		setup.desc += cases[packed].desc / 2;
		setup.driver += cases[packed].driver / 2;
		refused(rig, &setup);
		setup.driver += cases[packed].driver / 2;
		setup.device += cases[packed].device / 2;
		refused(rig, &setup);
	}
}

static void addresses_do_not_wrap(void **state)
{
	struct rig *rig = *state;

	for (unsigned int packed = 0; packed < 2; packed++) {
		struct virtqueue_setup setup = rig->setup;

		setup.packed = packed;
		setup.base = packed ? VIRTQUEUE_BASE_PACKED : VIRTQUEUE_BASE_SPLIT;
		setup.desc = UINT64_MAX - 15;
		refused(rig, &setup);
		setup.desc = rig->setup.desc;
		setup.driver = UINT64_MAX - 3;
		refused(rig, &setup);
		setup.driver = rig->setup.driver;
		setup.device = UINT64_MAX - 3;
		refused(rig, &setup);
	}
}

static void a_base_outside_of_the_ring_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->setup.base = 0x10000;
	refused(rig, &rig->setup);
	rig->setup.packed = true;
	rig->setup.base = 0x80008004; /* available */
	refused(rig, &rig->setup);
	rig->setup.base = 0x80048000; /* used */
	refused(rig, &rig->setup);
	rig->setup.base = 0x80038003;
	start(rig);
}

static void a_ring_outside_of_ram_is_at_rest_until_it_is_there(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	for (unsigned int part = 0; part < 3; part++) {
		struct virtqueue_setup setup = rig->setup;
		uint64_t *address[] = { &setup.desc, &setup.driver, &setup.device };

		/* All but its last byte is RAM. */
		*address[part] = (part == 1 ? RAM_END - 10 : RAM_END - 32);
		assert_int_equal(virtqueue_start(&rig->queue, &rig->memory, &setup), 0);
		assert_false(virtqueue_ready(&rig->queue));
		assert_int_equal(pop(rig), 0);
		assert_false(virtqueue_enable_kicks(&rig->queue));
		virtqueue_disable_kicks(&rig->queue);
		assert_false(rig->queue.broken);
	}
	start(rig);
	assert_int_equal(memory_unmap(&rig->memory, SLOW_GPA, SLOW_BYTES), 1);
	virtqueue_relocate(&rig->queue, &rig->memory);
	assert_int_equal(pop(rig), 0);
	assert_int_equal(memory_add(&rig->memory, SLOW_GPA, SLOW_BYTES, rig->ram), 0);
	virtqueue_relocate(&rig->queue, &rig->memory);
	pops_fault(rig, VIRTQUEUE_OK);
}

static void a_ring_may_end_where_ram_ends(void **state)
{
	struct rig *rig = *state;

	/* Without EVENT_IDX there are no event words after the rings. */
	rig->setup.device = RAM_END - (4 + 8 * SIZE);
	start(rig);
	assert_true(virtqueue_ready(&rig->queue));
	rig->setup.event_idx = true;
	start(rig);
	assert_false(virtqueue_ready(&rig->queue));
	rig->setup.device -= 4;
	start(rig);
	assert_true(virtqueue_ready(&rig->queue));
}

static void a_stopped_queue_does_nothing(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	virtqueue_stop(&rig->queue);
	virtqueue_relocate(&rig->queue, &rig->memory);
	assert_false(virtqueue_ready(&rig->queue));
	assert_int_equal(pop(rig), 0);
}

static void every_fault_has_a_name(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VIRTQUEUE_FAULT_COUNT; i++)
		assert_non_null(virtqueue_fault_name((enum virtqueue_fault)i));
}

#define SPLIT(test) cmocka_unit_test_setup_teardown(test, rig_setup_split, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPLIT(sizes_are_powers_of_two_unless_packed),
		SPLIT(addresses_are_aligned),
		SPLIT(addresses_do_not_wrap),
		SPLIT(a_base_outside_of_the_ring_is_refused),
		SPLIT(a_ring_outside_of_ram_is_at_rest_until_it_is_there),
		SPLIT(a_ring_may_end_where_ram_ends),
		SPLIT(a_stopped_queue_does_nothing),
		cmocka_unit_test(every_fault_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
