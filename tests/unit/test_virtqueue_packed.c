/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of packed virtqueues, one at a time.
 */
#include "tests/unit/virtqueue_rig.h"

#define AVAIL 0x80u
#define USED 0x8000u
#define FIRST_LAP AVAIL /* an available entry while the wrap counter is 1, */
#define SECOND_LAP USED /* and while it is 0 */

static void packed_rings_may_have_any_size_up_to_the_greatest(void **state)
{
	struct rig *rig = *state;

	for (unsigned int size = 1; size <= VIRTQUEUE_SIZE_MAX; size++) {
		rig->setup.size = (uint16_t)size;
		start(rig);
	}
	rig->setup.size = VIRTQUEUE_SIZE_MAX + 1;
	refused(rig, &rig->setup);
	rig->setup.size = 0;
	refused(rig, &rig->setup);
}

static void a_big_endian_packed_ring_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->setup.big_endian = true;
	refused(rig, &rig->setup);
}

static void packed_buffers_have_ids_of_the_drivers(void **state)
{
	struct rig *rig = *state;

	entry(rig, rig->setup.desc, 0, BUFFER, 10, FIRST_LAP, 0xcafe);
	assert_true(virtqueue_enable_kicks(&rig->queue));
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.id, 0xcafe);
	assert_int_equal(rig->chain.token.count, 1);
	has_segment(rig, 0, BUFFER, 10);
	assert_int_equal(pop(rig), 0);
	assert_false(virtqueue_enable_kicks(&rig->queue));
}

static void entries_of_another_lap_are_not_available(void **state)
{
	static const unsigned int flags[] = { 0, SECOND_LAP, AVAIL | USED };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 3; i++) {
		entry(rig, rig->setup.desc, 0, BUFFER, 8, flags[i], 0);
		assert_int_equal(pop(rig), 0);
	}
}

static void a_packed_chain_has_its_id_in_the_last_entry(void **state)
{
	struct rig *rig = *state;

	entry(rig, rig->setup.desc, 0, BUFFER, 1, FIRST_LAP | NEXT, 7);
	entry(rig, rig->setup.desc, 1, BUFFER, 2, FIRST_LAP | NEXT | WRITE, 8);
	entry(rig, rig->setup.desc, 2, BUFFER, 4, FIRST_LAP | WRITE, 9);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.id, 9);
	assert_int_equal(rig->chain.token.count, 3);
	assert_int_equal(rig->chain.readable_bytes, 1);
	assert_int_equal(rig->chain.writable_bytes, 6);
}

static void packed_used_entries_skip_what_the_chain_had(void **state)
{
	struct rig *rig = *state;
	uint64_t ring = rig->setup.desc;

	for (unsigned int i = 0; i < 3; i++)
		entry(rig, ring, i, BUFFER, 2, FIRST_LAP | (i < 2 ? NEXT : 0) | WRITE, 5);
	pops_fault(rig, VIRTQUEUE_OK);
	virtqueue_push(&rig->queue, rig->chain.token, 6);
	assert_int_equal(get(rig, ring, 8), BUFFER);
	assert_int_equal(get(rig, ring + 8, 4), 6);
	assert_int_equal(get(rig, ring + 12, 2), 5);
	assert_int_equal(get(rig, ring + 14, 2), AVAIL | USED | WRITE);
	assert_int_equal(get(rig, ring + 16 + 14, 2), FIRST_LAP | NEXT | WRITE);

	entry(rig, ring, 3, BUFFER, 2, FIRST_LAP, 6);
	pop_and_push(rig);
	/* Nothing was written: WRITE is not set. */
	assert_int_equal(get(rig, ring + 3 * 16 + 14, 2), AVAIL | USED);

	entry(rig, ring, 0, BUFFER, 2, SECOND_LAP, 7);
	pop_and_push(rig);
	assert_int_equal(get(rig, ring + 14, 2), 0);
	assert_int_equal(get(rig, ring + 12, 2), 7);
}

static void a_packed_chain_may_wrap_and_fill_the_ring(void **state)
{
	struct rig *rig = *state;
	uint64_t ring = rig->setup.desc;

	entry(rig, ring, 0, BUFFER, 2, FIRST_LAP, 0);
	pop_and_push(rig);
	for (unsigned int i = 1; i < SIZE; i++)
		entry(rig, ring, i, BUFFER, 2, FIRST_LAP | NEXT, 0);
	entry(rig, ring, 0, BUFFER, 2, SECOND_LAP, 3);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.count, SIZE);
	assert_int_equal(rig->chain.readable, SIZE);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
	assert_int_equal(get(rig, ring + 16 + 14, 2), AVAIL | USED);
	assert_int_equal(virtqueue_base(&rig->queue), 0x00010001);
}

static void a_packed_chain_without_end_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < SIZE; i++)
		entry(rig, rig->setup.desc, i, BUFFER, 2, FIRST_LAP | NEXT, 0);
	breaks(rig);
}

static void a_packed_chain_into_what_is_not_available_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	entry(rig, rig->setup.desc, 0, BUFFER, 2, FIRST_LAP | NEXT, 0);
	entry(rig, rig->setup.desc, 1, BUFFER, 2, AVAIL | USED, 0);
	breaks(rig);
}

static void a_packed_driver_cannot_offer_more_than_the_ring(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < SIZE; i++)
		entry(rig, rig->setup.desc, i, BUFFER, 2, FIRST_LAP, 0);
	for (unsigned int i = 0; i < SIZE; i++)
		pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(pop(rig), 0);
	entry(rig, rig->setup.desc, 0, BUFFER, 2, SECOND_LAP, 0);
	breaks(rig);
}

static void a_fault_in_a_packed_chain_keeps_its_id_and_length(void **state)
{
	struct rig *rig = *state;

	entry(rig, rig->setup.desc, 0, BUFFER, 2, FIRST_LAP | NEXT | WRITE, 0);
	entry(rig, rig->setup.desc, 1, BUFFER, 2, FIRST_LAP | NEXT, 0);
	entry(rig, rig->setup.desc, 2, BUFFER, 2, FIRST_LAP | WRITE, 4);
	pops_fault(rig, VIRTQUEUE_DIRECTION);
	assert_int_equal(rig->chain.token.id, 4);
	assert_int_equal(rig->chain.token.count, 3);
	entry(rig, rig->setup.desc, 3, BUFFER, 0, FIRST_LAP | WRITE, 5);
	pops_fault(rig, VIRTQUEUE_EMPTY);
	assert_int_equal(rig->chain.token.id, 5);
}

static void in_a_packed_table_only_write_counts(void **state)
{
	struct rig *rig = *state;

	entry(rig, rig->setup.desc, 0, TABLE, 3 * 16, FIRST_LAP | INDIRECT | WRITE, 8);
	entry(rig, TABLE, 0, BUFFER, 1, INDIRECT, 99);
	entry(rig, TABLE, 1, BUFFER, 2, 0xffff & ~NEXT, 99);
	entry(rig, TABLE, 2, BUFFER, 4, WRITE | NEXT, 99);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.id, 8);
	assert_int_equal(rig->chain.token.count, 1);
	assert_int_equal(rig->chain.readable_bytes, 1);
	assert_int_equal(rig->chain.writable_bytes, 6);
}

static void packed_indirect_fault(struct rig *rig, unsigned int i, uint64_t table, uint32_t length)
{
	unsigned int lap = i / SIZE % 2 ? SECOND_LAP : FIRST_LAP;

	entry(rig, rig->setup.desc, i % SIZE, table, length, lap | INDIRECT, i);
	pops_fault(rig, VIRTQUEUE_INDIRECT);
	assert_int_equal(rig->chain.token.id, i);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
}

static void bad_packed_tables_are_faults(void **state)
{
	struct rig *rig = *state;

	packed_indirect_fault(rig, 0, TABLE, 0);
	packed_indirect_fault(rig, 1, TABLE, 31);
	packed_indirect_fault(rig, 2, TABLE, (VIRTQUEUE_SIZE_MAX + 1) * 16);
	packed_indirect_fault(rig, 3, NOWHERE, 16);
	packed_indirect_fault(rig, 4, RAM_END - 16, 32);
	packed_indirect_fault(rig, 5, UINT64_MAX - 15, 32);
	rig->setup.indirect = false;
	rig->setup.base = virtqueue_base(&rig->queue);
	start(rig);
	packed_indirect_fault(rig, 6, TABLE, 16);
}

static void a_table_amid_a_packed_chain_is_a_fault(void **state)
{
	struct rig *rig = *state;

	good_table(rig);
	entry(rig, rig->setup.desc, 0, BUFFER, 8, FIRST_LAP | NEXT, 0);
	entry(rig, rig->setup.desc, 1, TABLE, 16, FIRST_LAP | INDIRECT, 1);
	entry(rig, rig->setup.desc, 2, TABLE, 16, FIRST_LAP | INDIRECT | NEXT, 0);
	entry(rig, rig->setup.desc, 3, BUFFER, 8, FIRST_LAP, 2);
	pops_fault(rig, VIRTQUEUE_INDIRECT);
	assert_int_equal(rig->chain.token.id, 1);
	pops_fault(rig, VIRTQUEUE_INDIRECT);
	assert_int_equal(rig->chain.token.id, 2);
}

static void a_moved_packed_queue_goes_on_where_it_stopped(void **state)
{
	struct rig *rig = *state;
	uint64_t ring = rig->setup.desc;

	assert_int_equal(virtqueue_base(&rig->queue), VIRTQUEUE_BASE_PACKED);
	for (unsigned int i = 0; i < SIZE; i++)
		entry(rig, ring, i, BUFFER, 2, FIRST_LAP, i);
	for (unsigned int i = 0; i < SIZE; i++)
		pops_fault(rig, VIRTQUEUE_OK);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
	/* Available: index 0 of the second lap; used: 1 of the first. */
	assert_int_equal(virtqueue_base(&rig->queue), 0x80010000);
	virtqueue_stop(&rig->queue);
	rig->setup.base = virtqueue_base(&rig->queue);
	start(rig);
	entry(rig, ring, 0, BUFFER, 2, SECOND_LAP, 9);
	pop_and_push(rig);
	assert_int_equal(get(rig, ring + 16 + 12, 2), 9);
	assert_int_equal(get(rig, ring + 16 + 14, 2), AVAIL | USED);
	assert_int_equal(virtqueue_base(&rig->queue), 0x80020001);
}

/* The driver's wish: flags and, for a certain entry, its place and wrap counter. */
static void wish(struct rig *rig, unsigned int flags, unsigned int place)
{
	put(rig, rig->setup.driver, 2, place);
	put(rig, rig->setup.driver + 2, 2, flags);
}

/* One buffer made used at place @i, which counts on through the laps. */
static bool packed_push_notifies(struct rig *rig, unsigned int i)
{
	entry(rig, rig->setup.desc, i % SIZE, BUFFER, 2, i / SIZE % 2 ? SECOND_LAP : FIRST_LAP, i);
	pop_and_push(rig);
	return virtqueue_should_notify(&rig->queue);
}

static void packed_flags_say_when_to_notify(void **state)
{
	struct rig *rig = *state;

	assert_true(packed_push_notifies(rig, 0)); /* enabled */
	assert_false(virtqueue_should_notify(&rig->queue));
	wish(rig, 1, 0);
	assert_false(packed_push_notifies(rig, 1));
	wish(rig, 3, 0); /* reserved */
	assert_true(packed_push_notifies(rig, 2));
	wish(rig, 2, 0); /* a certain entry, without EVENT_IDX */
	assert_true(packed_push_notifies(rig, 3));
	wish(rig, 0xfffd, 0); /* reserved bits */
	assert_false(packed_push_notifies(rig, 4));
}

static void a_certain_packed_entry_is_told_of(void **state)
{
	struct rig *rig = *state;

	packed_push_notifies(rig, 0);
	wish(rig, 2, 0x8000 | 2);
	assert_false(packed_push_notifies(rig, 1));
	assert_true(packed_push_notifies(rig, 2));
	assert_false(packed_push_notifies(rig, 3));
	assert_false(packed_push_notifies(rig, 4));
	assert_false(packed_push_notifies(rig, 5));
	assert_false(packed_push_notifies(rig, 6)); /* index 2, of the other lap */
	wish(rig, 2, 3);
	assert_true(packed_push_notifies(rig, 7));
	assert_false(packed_push_notifies(rig, 8));
	wish(rig, 1, 0x8001);
	assert_false(packed_push_notifies(rig, 9));
	wish(rig, 2, 0x8000 | SIZE); /* outside the ring: rather notify than not */
	assert_true(packed_push_notifies(rig, 10));
}

static void the_first_packed_pushes_after_a_start_are_told_of(void **state)
{
	struct rig *rig = *state;

	wish(rig, 2, 2);
	assert_true(packed_push_notifies(rig, 0));
	assert_false(packed_push_notifies(rig, 1));
}

static void entries_that_a_packed_chain_skips_count_as_reached(void **state)
{
	struct rig *rig = *state;

	packed_push_notifies(rig, 0);
	for (unsigned int i = 1; i < SIZE; i++)
		entry(rig, rig->setup.desc, i, BUFFER, 2, FIRST_LAP | (i < 3 ? NEXT : 0), 0);
	wish(rig, 2, 0x8000 | 2);
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue));
}

static void the_packed_device_says_when_to_kick(void **state)
{
	struct rig *rig = *state;

	virtqueue_disable_kicks(&rig->queue);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 1);
	assert_false(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 0);
}

static void the_packed_device_asks_for_the_next_entry(void **state)
{
	struct rig *rig = *state;

	virtqueue_enable_kicks(&rig->queue);
	assert_int_equal(get(rig, rig->setup.device, 4), 0x00028000);
	for (unsigned int i = 0; i < 5; i++)
		packed_push_notifies(rig, i);
	virtqueue_disable_kicks(&rig->queue);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 1);
	assert_false(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, rig->setup.device, 4), 0x00020001);
}

#define PACKED(test) cmocka_unit_test_setup_teardown(test, rig_setup_packed, rig_teardown)
#define PACKED_EVENT(test)                                                                         \
	cmocka_unit_test_setup_teardown(test, rig_setup_packed_event, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKED(packed_rings_may_have_any_size_up_to_the_greatest),
		PACKED(a_big_endian_packed_ring_is_refused),
		PACKED(packed_buffers_have_ids_of_the_drivers),
		PACKED(entries_of_another_lap_are_not_available),
		PACKED(a_packed_chain_has_its_id_in_the_last_entry),
		PACKED(packed_used_entries_skip_what_the_chain_had),
		PACKED(a_packed_chain_may_wrap_and_fill_the_ring),
		PACKED(a_packed_chain_without_end_breaks_the_queue),
		PACKED(a_packed_chain_into_what_is_not_available_breaks_the_queue),
		PACKED(a_packed_driver_cannot_offer_more_than_the_ring),
		PACKED(a_fault_in_a_packed_chain_keeps_its_id_and_length),
		PACKED(in_a_packed_table_only_write_counts),
		PACKED(bad_packed_tables_are_faults),
		PACKED(a_table_amid_a_packed_chain_is_a_fault),
		PACKED(a_moved_packed_queue_goes_on_where_it_stopped),
		PACKED(packed_flags_say_when_to_notify),
		PACKED_EVENT(a_certain_packed_entry_is_told_of),
		PACKED_EVENT(the_first_packed_pushes_after_a_start_are_told_of),
		PACKED_EVENT(entries_that_a_packed_chain_skips_count_as_reached),
		PACKED(the_packed_device_says_when_to_kick),
		PACKED_EVENT(the_packed_device_asks_for_the_next_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
