/* SPDX-License-Identifier: BSD-3-Clause */
/* What inflate and deflate buffers mean: page numbers, and the account of them. */
#include "tests/unit/device_rig.h"

static struct device_rig *rig_with(uint64_t features)
{
	return rig_new(&(struct rig_options){ .features = features });
}

static void a_page_number_is_an_address_divided_by_4096(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_touch(rig, 0, 8);
	rig_inflate(rig, 3, 1);
	rig_settle(rig);
	assert_int_equal(rig_resident(rig, 3, 1), 0);
	assert_int_equal(rig_resident(rig, 0, 8), 7);
	rig_free(rig);
}

static void a_page_number_is_unsigned(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_map(rig, UINT64_C(0x80000000) * PAGE, 4 * MIB, RIG_ANONYMOUS);
	rig_touch(rig, 0x80000001, 2);
	rig_inflate(rig, 0x80000001, 1);
	rig_settle(rig);
	assert_int_equal(rig_resident(rig, 0x80000001, 2), 1);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void the_highest_page_number_is_widened_before_it_is_shifted(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);
	const uint32_t pfns[] = { UINT32_MAX, 0, 0x100000 };

	(void)state;
	/* Where a shift of 32 bits would lead. */
	rig_touch(rig, 0, 1);
	rig_map(rig, 0xfffff000, PAGE, RIG_ANONYMOUS);
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 1);
	rig_kick(rig, BALLOON_INFLATE);
	rig_settle(rig);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	/* And the number behind it is not 2^32. */
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 3);
	rig_kick(rig, BALLOON_INFLATE);
	rig_settle(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, PAGE);
	assert_int_equal(rig_resident(rig, 0, 1), 0);
	/* A hole above 4 GiB, where the low 32 bits of the address are RAM. */
	rig_map(rig, 4 * GIB, MIB, RIG_ANONYMOUS);
	rig_inflate(rig, 0x100000 + 1000, 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_PFN), 4);
	rig_free(rig);
}

static void the_account_is_exact(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_inflate(rig, 100, 700);
	assert_int_equal(rig_info(rig).ballooned_bytes, 700 * PAGE);
	rig_deflate(rig, 300, 250);
	assert_int_equal(rig_info(rig).ballooned_bytes, 450 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), 700);
	assert_int_equal(rig_count(rig, BALLOON_C_DEFLATED_PAGES), 250);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void any_order_of_page_numbers_will_do(void **state)
{
	const uint32_t pfns[] = { 5, 6, 7, 3, 2, 1, 900, 4, 1023, 1024, 511, 512, 513 };
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_touch(rig, 0, 1100);
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 13);
	rig_kick(rig, BALLOON_INFLATE);
	rig_settle(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, 13 * PAGE);
	assert_int_equal(rig_resident(rig, 0, 1100), 1100 - 13);
	for (unsigned int i = 0; i < 13; i++)
		assert_int_equal(rig_resident(rig, pfns[i], 1), 0);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void a_page_that_is_inflated_twice_counts_once(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_inflate(rig, 7, 3);
	rig_inflate(rig, 8, 1);
	assert_int_equal(rig_info(rig).ballooned_bytes, 3 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_INFLATE_TWICE), 1);
	rig_deflate(rig, 7, 3);
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	rig_free(rig);
}

static void a_page_twice_in_one_buffer_counts_once(void **state)
{
	const uint32_t pfns[] = { 9, 9, 10, 9 };
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 4);
	rig_kick(rig, BALLOON_INFLATE);
	rig_work(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, 2 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_INFLATE_TWICE), 2);
	rig_free(rig);
}

static void a_deflate_of_a_page_never_inflated_is_detected(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_inflate(rig, 20, 2);
	rig_deflate(rig, 20, 5);
	assert_int_equal(rig_count(rig, BALLOON_C_DEFLATED_PAGES), 2);
	assert_int_equal(rig_count(rig, BALLOON_C_FAULT_DEFLATE_NEVER), 3);
	rig_free(rig);
}

/* The driver may not do this; but its data are not destroyed for it. */
static void inflate_and_deflate_of_one_page_in_one_batch(uint64_t features)
{
	struct device_rig *rig = rig_with(features);
	uint32_t pfns[300];

	for (uint32_t i = 0; i < 300; i++)
		pfns[i] = i;
	rig_touch(rig, 0, 300);
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 300);
	rig_send_pfns(rig, BALLOON_DEFLATE, pfns, 300);
	rig_kick(rig, BALLOON_DEFLATE);
	rig_kick(rig, BALLOON_INFLATE);
	rig_settle(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig_outstanding(rig, BALLOON_DEFLATE), 0);
	assert_true(rig_intact(rig, 0, 300));
	assert_int_equal(rig_info(rig).ballooned_bytes, 0);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void inflate_and_deflate_of_one_page_in_one_batch_destroys_nothing(void **state)
{
	(void)state;
	inflate_and_deflate_of_one_page_in_one_batch(RIG_TELL);
}

static void inflate_and_deflate_in_one_batch_without_must_tell_host_destroys_nothing(void **state)
{
	(void)state;
	inflate_and_deflate_of_one_page_in_one_batch(RIG_MODERN);
}

/* Also when the inflates are more than one step takes. */
static void a_deflate_waits_for_the_inflates_before_it(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_TELL, .queue_size = 128 });

	(void)state;
	rig_touch(rig, 0, 10000);
	rig_send_range(rig, BALLOON_INFLATE, 0, 10000, 100);
	/* What is inflated last is deflated first. */
	rig_send_range(rig, BALLOON_DEFLATE, 0, 5000, 100);
	rig_send_range(rig, BALLOON_DEFLATE, 5000, 5000, 100);
	assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), 0);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 10000));
	assert_int_equal(rig_count(rig, BALLOON_C_DEFLATED_PAGES), 10000);
	rig_free(rig);
}

static void a_page_number_may_stand_in_two_descriptors(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);
	uint64_t one = rig_alloc(rig, 64), two = rig_alloc(rig, 64), three = rig_alloc(rig, 64);
	const struct rig_chain chain = {
		.segments = { { one, 6, false }, { two, 1, false }, { three, 5, false } },
		.count = 3,
	};

	(void)state;
	/* Three numbers, 0x0203, 0x0405 and 0x0607, as one stream of bytes. */
	rig_put(rig, one, 4, 0x0203);
	rig_put(rig, one + 4, 2, 0x0405);
	rig_put(rig, three + 1, 4, 0x0607);
	rig_send(rig, BALLOON_INFLATE, &chain);
	rig_kick(rig, BALLOON_INFLATE);
	rig_work(rig);
	assert_int_equal(rig_info(rig).ballooned_bytes, 3 * PAGE);
	rig_deflate(rig, 0x0203, 1);
	rig_deflate(rig, 0x0405, 1);
	rig_deflate(rig, 0x0607, 1);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void a_large_buffer_is_worked_on_in_steps(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL | BALLOON_BIT(BALLOON_F_STATS_VQ), .ram_bytes = 512 * MIB });
	static uint32_t pfns[65536];
	uint64_t before = 0;
	unsigned int steps = 0;

	(void)state;
	for (uint32_t i = 0; i < 65536; i++)
		pfns[i] = 2 * i; /* no two of them touch */
	rig_send_pfns(rig, BALLOON_INFLATE, pfns, 65536);
	rig_kick(rig, BALLOON_INFLATE);
	while (rig_outstanding(rig, BALLOON_INFLATE)) {
		rig_step(rig);
		assert_in_range(rig_count(rig, BALLOON_C_INFLATED_PAGES) - before, 0, 1024);
		before = rig_count(rig, BALLOON_C_INFLATED_PAGES);
		steps++;
	}
	assert_int_equal(before, 65536);
	assert_in_range(steps, 64, 70);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void many_small_buffers_are_worked_on_in_steps(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_TELL, .queue_size = 64 });
	uint64_t before = 0;

	(void)state;
	rig_send_range(rig, BALLOON_INFLATE, 0, 64 * 250, 250);
	while (rig_outstanding(rig, BALLOON_INFLATE)) {
		uint64_t now;

		rig_step(rig);
		now = rig_count(rig, BALLOON_C_INFLATED_PAGES);
		assert_in_range(now - before, 1, 4096 + 250);
		before = now;
	}
	assert_int_equal(before, 64 * 250);
	rig_free(rig);
}

static void deflated_pages_are_populated_when_that_is_asked_for(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .backing = RIG_MEMFD, .populate = true });
	uint64_t before;

	(void)state;
	rig_touch(rig, 0, 2 * BLOCK);
	before = rig_file_bytes(rig);
	rig_inflate(rig, 0, BLOCK);
	rig_settle(rig);
	assert_int_equal(rig_file_bytes(rig), before - 2 * MIB);
	rig_deflate(rig, 100, 200);
	assert_int_equal(rig_file_bytes(rig), before - 2 * MIB + 200 * PAGE);
	assert_int_equal(rig_count(rig, BALLOON_C_POPULATED_BYTES), 200 * PAGE);
	rig_free(rig);
}

static void deflated_pages_are_not_populated_by_default(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_inflate(rig, 0, BLOCK);
	rig_settle(rig);
	rig_deflate(rig, 0, BLOCK);
	rig_settle(rig);
	assert_int_equal(rig_resident(rig, 0, BLOCK), 0);
	assert_int_equal(rig_count(rig, BALLOON_C_POPULATED_BYTES), 0);
	rig_free(rig);
}

/* Every ring format, from the first buffer through all of its places. */
static void every_kind_of_ring_carries_pages(void **state)
{
	static const enum balloon_feature bits[] = { VIRTIO_F_RING_PACKED, VIRTIO_F_RING_EVENT_IDX,
						     VIRTIO_F_RING_INDIRECT_DESC };

	(void)state;
	for (unsigned int subset = 0; subset < 8; subset++) {
		struct rig_options options = { .features = RIG_TELL, .queue_size = 8 };
		struct device_rig *rig;

		for (unsigned int i = 0; i < 3; i++)
			if (subset & 1u << i)
				options.features |= BALLOON_BIT(bits[i]);
		rig = rig_new(&options);
		for (unsigned int round = 0; round < 5; round++) {
			rig_inflate(rig, 0, 15 * 100);
			rig_deflate(rig, 0, 15 * 100);
		}
		rig_settle(rig);
		assert_int_equal(rig_count(rig, BALLOON_C_INFLATED_PAGES), 5 * 1500);
		assert_int_equal(rig_info(rig).ballooned_bytes, 0);
		assert_int_equal(rig_faults(rig), 0);
		rig_free(rig);
	}
}

static void a_driver_that_waits_is_told_of_each_buffer(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		rig_inflate(rig, i, 1);
	assert_int_equal(rig->queues[BALLOON_INFLATE].interrupts, 10);
	assert_int_equal(rig->queues[BALLOON_INFLATE].kicks, 10);
	rig_free(rig);
}

static void no_kick_is_wanted_while_a_queue_is_worked_on(void **state)
{
	struct device_rig *rig = rig_with(RIG_TELL);

	(void)state;
	rig_send_range(rig, BALLOON_INFLATE, 0, 64 * 250, 250);
	rig_step(rig);
	rig_send_range(rig, BALLOON_INFLATE, 64 * 250, 1, 1);
	assert_int_equal(rig->queues[BALLOON_INFLATE].kicks, 1);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_number_is_an_address_divided_by_4096),
		cmocka_unit_test(a_page_number_is_unsigned),
		cmocka_unit_test(the_highest_page_number_is_widened_before_it_is_shifted),
		cmocka_unit_test(the_account_is_exact),
		cmocka_unit_test(any_order_of_page_numbers_will_do),
		cmocka_unit_test(a_page_that_is_inflated_twice_counts_once),
		cmocka_unit_test(a_page_twice_in_one_buffer_counts_once),
		cmocka_unit_test(a_deflate_of_a_page_never_inflated_is_detected),
		cmocka_unit_test(inflate_and_deflate_of_one_page_in_one_batch_destroys_nothing),
		cmocka_unit_test(
			inflate_and_deflate_in_one_batch_without_must_tell_host_destroys_nothing),
		cmocka_unit_test(a_deflate_waits_for_the_inflates_before_it),
		cmocka_unit_test(a_page_number_may_stand_in_two_descriptors),
		cmocka_unit_test(a_large_buffer_is_worked_on_in_steps),
		cmocka_unit_test(many_small_buffers_are_worked_on_in_steps),
		cmocka_unit_test(deflated_pages_are_populated_when_that_is_asked_for),
		cmocka_unit_test(deflated_pages_are_not_populated_by_default),
		cmocka_unit_test(every_kind_of_ring_carries_pages),
		cmocka_unit_test(a_driver_that_waits_is_told_of_each_buffer),
		cmocka_unit_test(no_kick_is_wanted_while_a_queue_is_worked_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
