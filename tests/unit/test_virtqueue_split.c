/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of split virtqueues, one at a time.
 */
#include "tests/unit/virtqueue_rig.h"

#include <stdlib.h>
#include <string.h>

/*
 * Chains
 */
static void an_empty_ring_has_nothing(void **state)
{
	assert_int_equal(pop(*state), 0);
}

static void a_chain_is_copied_in_its_order(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 2, BUFFER, 100, NEXT, 0);
	desc(rig, rig->setup.desc, 0, BUFFER + 0x1000, 200, NEXT, 3);
	desc(rig, rig->setup.desc, 3, BUFFER + 0x2000, 300, WRITE | NEXT, 1);
	desc(rig, rig->setup.desc, 1, NOWHERE, 0xffffffff, WRITE, 0);
	offer(rig, 2);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.id, 2);
	assert_int_equal(rig->chain.readable, 2);
	assert_int_equal(rig->chain.writable, 2);
	assert_int_equal(rig->chain.readable_bytes, 300);
	assert_int_equal(rig->chain.writable_bytes, UINT64_C(300) + 0xffffffff);
	has_segment(rig, 0, BUFFER, 100);
	has_segment(rig, 1, BUFFER + 0x1000, 200);
	has_segment(rig, 2, BUFFER + 0x2000, 300);
	has_segment(rig, 3, NOWHERE, 0xffffffff);
	assert_int_equal(pop(rig), 0);
}

static void a_big_endian_ring_is_read_and_written_so(void **state)
{
	struct rig *rig = *state;

	rig->setup.big_endian = true;
	rig->setup.event_idx = true;
	start(rig);
	desc(rig, rig->setup.desc, 1, BUFFER, 0x1234, WRITE, 0);
	desc(rig, TABLE, 0, BUFFER, 0x5678, 0, 0);
	desc(rig, rig->setup.desc, 2, TABLE, 16, INDIRECT, 0);
	offer(rig, 1);
	offer(rig, 2);
	pops_fault(rig, VIRTQUEUE_OK);
	has_segment(rig, 0, BUFFER, 0x1234);
	virtqueue_push(&rig->queue, rig->chain.token, 0x1200);
	assert_int_equal(rig->ram[rig->setup.device - SLOW_GPA + 3], 1);
	assert_int_equal(rig->ram[rig->setup.device - SLOW_GPA + 7], 1);
	assert_int_equal(rig->ram[rig->setup.device - SLOW_GPA + 10], 0x12);
	pops_fault(rig, VIRTQUEUE_OK);
	has_segment(rig, 0, BUFFER, 0x5678);
	assert_false(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, rig->setup.device + 4 + 8 * SIZE, 2), 2);
}

static void empty_descriptors_are_skipped(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, BUFFER, 0, WRITE | NEXT, 1);
	desc(rig, rig->setup.desc, 1, BUFFER, 7, NEXT, 2);
	desc(rig, rig->setup.desc, 2, BUFFER, 9, WRITE | NEXT, 3);
	desc(rig, rig->setup.desc, 3, BUFFER, 0, 0, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.readable, 1);
	assert_int_equal(rig->chain.writable, 1);
	has_segment(rig, 0, BUFFER, 7);
	has_segment(rig, 1, BUFFER, 9);
}

static void a_chain_of_no_bytes_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, BUFFER, 0, NEXT, 1);
	desc(rig, rig->setup.desc, 1, BUFFER, 0, WRITE, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_EMPTY);
	assert_int_equal(rig->chain.token.id, 0);
}

static void readable_behind_writable_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 3, BUFFER, 8, WRITE | NEXT, 1);
	desc(rig, rig->setup.desc, 1, BUFFER, 8, 0, 0);
	offer(rig, 3);
	pops_fault(rig, VIRTQUEUE_DIRECTION);
	assert_int_equal(rig->chain.token.id, 3);
}

static void a_chain_may_be_as_long_as_the_ring(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < SIZE; i++)
		desc(rig, rig->setup.desc, i, BUFFER, 8, i + 1 < SIZE ? NEXT : 0, i + 1);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.readable, SIZE);
}

static void a_looping_chain_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, BUFFER, 8, NEXT, 1);
	desc(rig, rig->setup.desc, 1, BUFFER, 8, NEXT, 0);
	desc(rig, rig->setup.desc, 2, BUFFER, 0, NEXT, 2);
	offer(rig, 0);
	offer(rig, 2);
	pops_fault(rig, VIRTQUEUE_LOOP);
	pops_fault(rig, VIRTQUEUE_LOOP);
	assert_int_equal(rig->chain.token.id, 2);
}

static void a_next_outside_of_the_table_is_a_fault(void **state)
{
	static const unsigned int next[] = { SIZE, 0xffff };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 2; i++) {
		desc(rig, rig->setup.desc, i, BUFFER, 8, NEXT, next[i]);
		offer(rig, i);
		pops_fault(rig, VIRTQUEUE_INDEX);
		assert_int_equal(rig->chain.token.id, i);
	}
}

static void lengths_that_wrap_are_handed_on(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[32];

	desc(rig, rig->setup.desc, 0, UINT64_MAX - 15, 32, 0, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	has_segment(rig, 0, UINT64_MAX - 15, 32);
	assert_false(memory_read(&rig->memory, rig->chain.segments[0].gpa, bytes, sizeof(bytes)));
}

static void unknown_flags_are_ignored(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, BUFFER, 8, 0xfff8, 1);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.readable, 1);
}

/*
 * Rings that make no sense
 */
static void a_head_outside_of_the_table_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	offer(rig, SIZE);
	breaks(rig);
}

static void a_full_ring_is_in_order(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(pop(rig), 0);
}

static void an_index_that_ran_away_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, SIZE);
	put(rig, rig->setup.driver + 2, 2, SIZE + 1);
	assert_true(virtqueue_enable_kicks(&rig->queue));
	breaks(rig);
}

static void an_index_that_went_back_breaks_the_queue(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 2);
	pop_and_push(rig);
	pop_and_push(rig);
	put(rig, rig->setup.driver + 2, 2, 1);
	breaks(rig);
}

static void a_broken_queue_writes_nothing_and_can_be_started_anew(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	pops_fault(rig, VIRTQUEUE_OK);
	offer(rig, 99);
	breaks(rig);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 0);
	assert_false(virtqueue_should_notify(&rig->queue));
	assert_false(virtqueue_enable_kicks(&rig->queue));
	rig->setup.base = 2;
	start(rig);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
}

static void no_more_buffers_are_in_flight_than_the_queue_has_entries(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < SIZE; i++) {
		offer_simple(rig, 1);
		pops_fault(rig, VIRTQUEUE_OK);
	}
	offer_simple(rig, 1);
	breaks(rig);
}

/*
 * Indirect tables
 */
static void an_indirect_table_is_walked(void **state)
{
	struct rig *rig = *state;

	/* WRITE of the descriptor that refers to a table is ignored. */
	desc(rig, rig->setup.desc, 1, TABLE, 5 * 16, INDIRECT | WRITE, 0);
	desc(rig, TABLE, 0, BUFFER, 10, NEXT, 4);
	desc(rig, TABLE, 4, BUFFER, 20, NEXT, 2);
	desc(rig, TABLE, 2, BUFFER, 30, WRITE, 0);
	offer(rig, 1);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.token.id, 1);
	assert_int_equal(rig->chain.readable_bytes, 30);
	assert_int_equal(rig->chain.writable_bytes, 30);
	assert_int_equal(rig->chain.readable, 2);
}

static void direct_descriptors_may_precede_a_table(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, BUFFER, 1, NEXT, 1);
	desc(rig, rig->setup.desc, 1, TABLE, 16, INDIRECT, 0);
	good_table(rig);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.readable_bytes, 9);
}

static void indirect_fault(struct rig *rig, uint64_t table, uint32_t length, unsigned int flags)
{
	desc(rig, rig->setup.desc, 0, table, length, INDIRECT | flags, 1);
	desc(rig, rig->setup.desc, 1, BUFFER, 8, 0, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_INDIRECT);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
}

static void bad_tables_are_faults(void **state)
{
	struct rig *rig = *state;

	good_table(rig);
	indirect_fault(rig, TABLE, 0, 0);
	indirect_fault(rig, TABLE, 15, 0);
	indirect_fault(rig, TABLE, 17, 0);
	indirect_fault(rig, TABLE, (VIRTQUEUE_SIZE_MAX + 1) * 16, 0);
	indirect_fault(rig, TABLE, 0xfffffff0, 0);
	indirect_fault(rig, TABLE, 16, NEXT);
	indirect_fault(rig, NOWHERE, 16, 0);
	indirect_fault(rig, RAM_END - 8, 16, 0);
	indirect_fault(rig, UINT64_MAX - 15, 32, 0);
}

static void a_table_in_a_table_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, TABLE, 0, BUFFER, 8, NEXT, 1);
	desc(rig, TABLE, 1, TABLE, 16, INDIRECT, 0);
	indirect_fault(rig, TABLE, 32, 0);
	desc(rig, TABLE, 0, TABLE, 16, INDIRECT, 0);
	indirect_fault(rig, TABLE, 16, 0);
}

static void a_table_needs_the_feature(void **state)
{
	struct rig *rig = *state;

	rig->setup.indirect = false;
	start(rig);
	good_table(rig);
	indirect_fault(rig, TABLE, 16, 0);
}

static void a_looping_table_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, TABLE, 32, INDIRECT, 0);
	desc(rig, TABLE, 0, BUFFER, 8, NEXT, 1);
	desc(rig, TABLE, 1, BUFFER, 8, NEXT, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_LOOP);
}

static void a_next_outside_of_an_indirect_table_is_a_fault(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, TABLE, 32, INDIRECT, 0);
	desc(rig, TABLE, 0, BUFFER, 8, NEXT, 2);
	desc(rig, TABLE, 2, BUFFER, 8, 0, 0);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_INDEX);
}

static void a_table_has_at_most_the_greatest_size(void **state)
{
	struct rig *rig = *state;

	desc(rig, rig->setup.desc, 0, TABLE, VIRTQUEUE_SIZE_MAX * 16, INDIRECT, 0);
	for (unsigned int i = 0; i < VIRTQUEUE_SIZE_MAX; i++)
		desc(rig, TABLE, i, BUFFER, 1, i + 1 < VIRTQUEUE_SIZE_MAX ? NEXT : 0, i + 1);
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(rig->chain.readable, VIRTQUEUE_SIZE_MAX);
	/* One more, before it, and the chain does not fit. */
	desc(rig, rig->setup.desc, 1, BUFFER, 1, NEXT, 0);
	offer(rig, 1);
	pops_fault(rig, VIRTQUEUE_INDIRECT);
}

static void a_table_may_run_across_regions(void **state)
{
	struct rig *rig = *state;
	uint8_t *more = aligned_alloc(4096, 4096);

	assert_non_null(more);
	memset(more, 0, 4096);
	assert_int_equal(memory_add(&rig->memory, RAM_END, 4096, more), 0);
	virtqueue_relocate(&rig->queue, &rig->memory);
	desc(rig, rig->setup.desc, 0, RAM_END - 24, 32, INDIRECT, 0);
	desc(rig, RAM_END - 24, 0, BUFFER, 8, NEXT, 1);
	put(rig, RAM_END - 8, 8, BUFFER + 0x100);
	more[0] = 5; /* length; flags and next are 0 */
	offer(rig, 0);
	pops_fault(rig, VIRTQUEUE_OK);
	has_segment(rig, 1, BUFFER + 0x100, 5);
	free(more);
}

static void a_table_does_not_wrap(void **state)
{
	struct rig *rig = *state;
	uint8_t *page = aligned_alloc(4096, 4096);

	assert_non_null(page);
	memset(page, 0, 4096);
	/* The same page is RAM at both ends of the address space. */
	assert_int_equal(memory_add(&rig->memory, 0, 4096, page), 0);
	assert_int_equal(memory_add(&rig->memory, UINT64_MAX - 4095, 4096, page), 0);
	virtqueue_relocate(&rig->queue, &rig->memory);
	page[4096 - 16 + 8] = 1; /* length */
	page[4096 - 16 + 12] = NEXT;
	page[4096 - 16 + 14] = 1;
	page[8] = 1;
	indirect_fault(rig, UINT64_MAX - 15, 32, 0);
	free(page);
}

/*
 * Returning
 */
static void used_entries_go_round_the_ring(void **state)
{
	struct rig *rig = *state;

	for (unsigned int round = 0; round < 3 * SIZE; round++) {
		unsigned int head = (round * 3 + 1) % SIZE;
		uint64_t at = rig->setup.device + 4 + 8 * (round % SIZE);

		desc(rig, rig->setup.desc, head, BUFFER, 100, WRITE, 0);
		offer(rig, head);
		pops_fault(rig, VIRTQUEUE_OK);
		virtqueue_push(&rig->queue, rig->chain.token, round);
		assert_int_equal(get(rig, at, 4), head);
		assert_int_equal(get(rig, at + 4, 4), round);
		assert_int_equal(get(rig, rig->setup.device + 2, 2), round + 1);
	}
}

static void the_used_index_is_the_devices_own(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 2);
	pop_and_push(rig);
	put(rig, rig->setup.device + 2, 2, 77);
	pop_and_push(rig);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 2);
}

static void chains_may_be_returned_in_any_order(void **state)
{
	struct rig *rig = *state;
	struct virtqueue_token first;

	offer_simple(rig, 2);
	pops_fault(rig, VIRTQUEUE_OK);
	first = rig->chain.token;
	pop_and_push(rig);
	virtqueue_push(&rig->queue, first, 0);
	assert_int_equal(get(rig, rig->setup.device + 4, 4), 1);
	assert_int_equal(get(rig, rig->setup.device + 12, 4), 0);
}

static void a_token_of_a_former_start_is_forgotten(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	pops_fault(rig, VIRTQUEUE_OK);
	start(rig);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 0);
}

static void a_push_while_the_ring_is_away_is_forgotten(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	pops_fault(rig, VIRTQUEUE_OK);
	assert_int_equal(memory_unmap(&rig->memory, SLOW_GPA, SLOW_BYTES), 1);
	virtqueue_relocate(&rig->queue, &rig->memory);
	virtqueue_push(&rig->queue, rig->chain.token, 0);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 0);
	assert_int_equal(rig->queue.in_flight, 0);
}

static void a_moved_queue_goes_on_where_it_stopped(void **state)
{
	struct rig *rig = *state;
	uint32_t base;

	offer_simple(rig, 3);
	pop_and_push(rig);
	pop_and_push(rig);
	virtqueue_stop(&rig->queue);
	base = virtqueue_base(&rig->queue);
	assert_int_equal(base, 2);
	rig->setup.base = base;
	start(rig);
	pop_and_push(rig);
	assert_int_equal(rig->chain.token.id, 2);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 3);
	assert_int_equal(get(rig, rig->setup.device + 4 + 8 * 2, 4), 2);
	assert_int_equal(virtqueue_base(&rig->queue), 3);
}

static void indices_run_through_16_bits(void **state)
{
	struct rig *rig = *state;

	rig->setup.base = 0xfffe;
	rig->offered = 0xfffe;
	put(rig, rig->setup.driver + 2, 2, 0xfffe);
	put(rig, rig->setup.device + 2, 2, 0xfffe);
	start(rig);
	assert_int_equal(pop(rig), 0);
	offer_simple(rig, SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		pop_and_push(rig);
	assert_int_equal(get(rig, rig->setup.device + 2, 2), 2);
	assert_int_equal(virtqueue_base(&rig->queue), 2);
}

/*
 * Notifications
 */
static void nothing_pushed_is_nothing_to_tell(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	assert_false(virtqueue_should_notify(&rig->queue));
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue));
	assert_false(virtqueue_should_notify(&rig->queue));
}

static void no_interrupt_is_heeded(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 2);
	put(rig, rig->setup.driver, 2, 1);
	pop_and_push(rig);
	assert_false(virtqueue_should_notify(&rig->queue));
	put(rig, rig->setup.driver, 2, 0);
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue));
}

static void no_notify_is_said_and_taken_back(void **state)
{
	struct rig *rig = *state;

	virtqueue_disable_kicks(&rig->queue);
	assert_int_equal(get(rig, rig->setup.device, 2), 1);
	assert_false(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, rig->setup.device, 2), 0);
	offer_simple(rig, 1);
	assert_true(virtqueue_enable_kicks(&rig->queue));
}

static void set_used_event(struct rig *rig, unsigned int index)
{
	put(rig, rig->setup.driver + 4 + 2 * SIZE, 2, index);
}

static void with_event_idx_the_flag_is_ignored(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	put(rig, rig->setup.driver, 2, 1);
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue));
	virtqueue_disable_kicks(&rig->queue);
	assert_int_equal(get(rig, rig->setup.device, 2), 0);
}

static void used_event_is_heeded(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	pop_and_push(rig);
	virtqueue_should_notify(&rig->queue);

	offer_simple(rig, 3);
	set_used_event(rig, 2);
	pop_and_push(rig);
	assert_false(virtqueue_should_notify(&rig->queue)); /* wrote entry 1 */
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue)); /* 2 */
	pop_and_push(rig);
	assert_false(virtqueue_should_notify(&rig->queue)); /* 3 */
	offer_simple(rig, 3);
	set_used_event(rig, 5);
	for (unsigned int i = 0; i < 3; i++)
		pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue)); /* 4, 5 and 6 */
}

static void the_first_pushes_after_a_start_are_told_of(void **state)
{
	struct rig *rig = *state;

	offer_simple(rig, 1);
	set_used_event(rig, 0x8000);
	pop_and_push(rig);
	assert_true(virtqueue_should_notify(&rig->queue));
}

static void avail_event_asks_for_the_next_chain(void **state)
{
	struct rig *rig = *state;
	uint64_t avail_event = rig->setup.device + 4 + 8 * SIZE;

	offer_simple(rig, 3);
	pop_and_push(rig);
	assert_true(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, avail_event, 2), 1);
	pop_and_push(rig);
	pop_and_push(rig);
	assert_false(virtqueue_enable_kicks(&rig->queue));
	assert_int_equal(get(rig, avail_event, 2), 3);
}

#define SPLIT(test) cmocka_unit_test_setup_teardown(test, rig_setup_split, rig_teardown)
#define EVENT(test) cmocka_unit_test_setup_teardown(test, rig_setup_event, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPLIT(an_empty_ring_has_nothing),
		SPLIT(a_chain_is_copied_in_its_order),
		SPLIT(a_big_endian_ring_is_read_and_written_so),
		SPLIT(empty_descriptors_are_skipped),
		SPLIT(a_chain_of_no_bytes_is_a_fault),
		SPLIT(readable_behind_writable_is_a_fault),
		SPLIT(a_chain_may_be_as_long_as_the_ring),
		SPLIT(a_looping_chain_is_a_fault),
		SPLIT(a_next_outside_of_the_table_is_a_fault),
		SPLIT(lengths_that_wrap_are_handed_on),
		SPLIT(unknown_flags_are_ignored),
		SPLIT(a_head_outside_of_the_table_breaks_the_queue),
		SPLIT(a_full_ring_is_in_order),
		SPLIT(an_index_that_ran_away_breaks_the_queue),
		SPLIT(an_index_that_went_back_breaks_the_queue),
		SPLIT(a_broken_queue_writes_nothing_and_can_be_started_anew),
		SPLIT(no_more_buffers_are_in_flight_than_the_queue_has_entries),
		SPLIT(an_indirect_table_is_walked),
		SPLIT(direct_descriptors_may_precede_a_table),
		SPLIT(bad_tables_are_faults),
		SPLIT(a_table_in_a_table_is_a_fault),
		SPLIT(a_table_needs_the_feature),
		SPLIT(a_looping_table_is_a_fault),
		SPLIT(a_next_outside_of_an_indirect_table_is_a_fault),
		SPLIT(a_table_has_at_most_the_greatest_size),
		SPLIT(a_table_may_run_across_regions),
		SPLIT(a_table_does_not_wrap),
		SPLIT(used_entries_go_round_the_ring),
		SPLIT(the_used_index_is_the_devices_own),
		SPLIT(chains_may_be_returned_in_any_order),
		SPLIT(a_token_of_a_former_start_is_forgotten),
		SPLIT(a_push_while_the_ring_is_away_is_forgotten),
		SPLIT(a_moved_queue_goes_on_where_it_stopped),
		SPLIT(indices_run_through_16_bits),
		SPLIT(nothing_pushed_is_nothing_to_tell),
		SPLIT(no_interrupt_is_heeded),
		SPLIT(no_notify_is_said_and_taken_back),
		EVENT(with_event_idx_the_flag_is_ignored),
		EVENT(used_event_is_heeded),
		EVENT(the_first_pushes_after_a_start_are_told_of),
		EVENT(avail_event_asks_for_the_next_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
