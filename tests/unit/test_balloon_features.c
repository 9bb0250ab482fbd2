/* SPDX-License-Identifier: BSD-3-Clause */
/* Features: every set of them, and the queues that each one brings. */
#include "tests/unit/device_rig.h"

#include <errno.h>
#include <string.h>

#include "device/state.h"

#define SUBSETS 64u /* of the balloon's own six bits */
#define OWN UINT64_C(0x3f)
#define OFFERED (RIG_MODERN | OWN)

static bool has(uint64_t features, enum balloon_feature feature)
{
	return features & BALLOON_BIT(feature);
}

/* The queues of a driver in the order of their numbers, from the text. */
static unsigned int list_queues(uint64_t features, enum balloon_queue *kinds)
{
	unsigned int count = 0;

	kinds[count++] = BALLOON_INFLATE;
	kinds[count++] = BALLOON_DEFLATE;
	if (has(features, BALLOON_F_STATS_VQ))
		kinds[count++] = BALLOON_STATS;
	if (has(features, BALLOON_F_FREE_PAGE_HINT))
		kinds[count++] = BALLOON_FREE_PAGE;
	if (has(features, BALLOON_F_PAGE_REPORTING))
		kinds[count++] = BALLOON_REPORTING;
	return count;
}

static void queues_are_numbered_densely_over_every_set_of_features(void **state)
{
	(void)state;
	for (uint64_t own = 0; own < SUBSETS; own++) {
		struct device_rig *rig = rig_new(
			&(struct rig_options){ .features = RIG_MODERN | own, .offered = OFFERED });
		enum balloon_queue kinds[BALLOON_QUEUE_KINDS];
		unsigned int count = list_queues(own, kinds);

		assert_int_equal(balloon_queue_count(rig->balloon), count);
		for (unsigned int i = 0; i < 16; i++)
			assert_int_equal(balloon_queue_kind(rig->balloon, i),
					 i < count ? kinds[i] : BALLOON_QUEUE_KINDS);
		rig_free(rig);
	}
}

static void each_queue_works(struct device_rig *rig)
{
	uint64_t features = rig->options.features, gpa = rig_alloc(rig, 64);

	rig_inflate(rig, 0, 600);
	rig_deflate(rig, 100, 20);
	assert_int_equal(rig_info(rig).ballooned_bytes, 580 * PAGE);
	rig_put(rig, gpa, 2, 5);
	rig_put(rig, gpa + 2, 8, 55);
	if (has(features, BALLOON_F_STATS_VQ)) {
		rig_send_one(rig, BALLOON_STATS, gpa, 10, false);
		rig_kick(rig, BALLOON_STATS);
	}
	if (has(features, BALLOON_F_FREE_PAGE_HINT)) {
		assert_true(balloon_hint_start(rig->balloon));
		rig_put(rig, gpa + 16, 4, rig_config(rig, RIG_HINT_ID));
		rig_send_one(rig, BALLOON_FREE_PAGE, gpa + 16, 4, false);
		rig_kick(rig, BALLOON_FREE_PAGE);
	}
	if (has(features, BALLOON_F_PAGE_REPORTING)) {
		rig_send_one(rig, BALLOON_REPORTING, 8 * MIB, MIB, true);
		rig_kick(rig, BALLOON_REPORTING);
	}
	rig_settle(rig);
	assert_int_equal(balloon_stats(rig->balloon)->value[5],
			 has(features, BALLOON_F_STATS_VQ) ? 55 : BALLOON_UNSET);
	assert_int_equal(balloon_hinting(rig->balloon) == BALLOON_HINT_RUNNING,
			 has(features, BALLOON_F_FREE_PAGE_HINT));
	assert_int_equal(rig_count(rig, BALLOON_C_REPORTED_BYTES),
			 has(features, BALLOON_F_PAGE_REPORTING) ? MIB : 0);
	assert_int_equal(rig_faults(rig), 0);
}

static void every_queue_works_under_every_set_of_features(void **state)
{
	(void)state;
	for (uint64_t own = 0; own < SUBSETS; own++) {
		struct device_rig *rig = rig_new(
			&(struct rig_options){ .features = RIG_MODERN | own, .offered = OFFERED });

		each_queue_works(rig);
		rig_free(rig);
	}
}

/* A transport asks for the number of queues before there is a driver. */
static void before_the_driver_there_are_all_queues_that_are_offered(void **state)
{
	(void)state;
	for (uint64_t own = 0; own < SUBSETS; own++) {
		struct device_rig *rig = rig_new(&(struct rig_options){
			.features = RIG_MODERN, .offered = RIG_MODERN | own, .no_driver = true });
		enum balloon_queue kinds[BALLOON_QUEUE_KINDS];

		assert_int_equal(balloon_queue_count(rig->balloon), list_queues(own, kinds));
		rig_start_driver(rig);
		assert_int_equal(balloon_queue_count(rig->balloon), 2);
		balloon_reset(rig->balloon);
		assert_int_equal(balloon_queue_count(rig->balloon), list_queues(own, kinds));
		rig_free(rig);
	}
}

static void a_queue_that_was_offered_and_not_acknowledged_is_not_there(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_MODERN, .offered = OFFERED });
	struct virtqueue_setup setup = {
		.desc = RIG_DRIVER_GPA,
		.driver = RIG_DRIVER_GPA + 0x1000,
		.device = RIG_DRIVER_GPA + 0x2000,
		.size = 8,
	};

	(void)state;
	for (unsigned int queue = 2; queue < 8; queue++) {
		assert_int_equal(balloon_queue_start(rig->balloon, queue, &setup, NULL), -EINVAL);
		balloon_kick(rig->balloon, queue);
	}
	rig_settle(rig);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

static void a_feature_that_was_not_offered_is_refused(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_MODERN, .offered = RIG_TELL, .no_driver = true });

	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		bool offered = bit == BALLOON_F_MUST_TELL_HOST || bit == VIRTIO_F_VERSION_1;

		assert_int_equal(balloon_set_features(rig->balloon, UINT64_C(1) << bit), offered);
	}
	assert_int_equal(balloon_acknowledged(rig->balloon), RIG_MODERN);
	rig_free(rig);
}

static void packed_rings_need_version_1(void **state)
{
	const uint64_t packed = BALLOON_BIT(VIRTIO_F_RING_PACKED);
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_MODERN, .offered = RIG_MODERN | packed, .no_driver = true });

	(void)state;
	assert_false(balloon_set_features(rig->balloon, packed));
	assert_true(balloon_set_features(rig->balloon, RIG_MODERN | packed));
	rig_free(rig);
}

/* What waits for its release may wait only because MUST_TELL_HOST was acknowledged. */
static void features_are_fixed_by_driver_ok(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){ .features = RIG_TELL });

	(void)state;
	rig_inflate(rig, 0, 8);
	assert_false(balloon_set_features(rig->balloon, RIG_MODERN));
	assert_true(balloon_set_features(rig->balloon, RIG_TELL));
	assert_int_equal(balloon_acknowledged(rig->balloon), RIG_TELL);
	rig_free(rig);
}

static void a_driver_without_any_feature_is_served(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = 0, .offered = OFFERED });

	(void)state;
	rig_touch(rig, 0, 8);
	rig_inflate(rig, 0, 8);
	assert_int_equal(rig_resident(rig, 0, 8), 0);
	rig_deflate(rig, 0, 8);
	assert_int_equal(rig_faults(rig), 0);
	rig_free(rig);
}

/* VIRTIO 1 is little-endian, whatever a transport believes. */
static void a_modern_driver_is_never_big_endian(void **state)
{
	const uint64_t packed = BALLOON_BIT(VIRTIO_F_RING_PACKED);

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct device_rig *rig = rig_new(&(struct rig_options){
			.features = i ? RIG_TELL | packed : RIG_TELL, .no_driver = true });

		balloon_set_big_endian(rig->balloon, true);
		rig_negotiate(rig);
		balloon_set_big_endian(rig->balloon, true);
		rig_start_queues(rig);
		balloon_driver_ok(rig->balloon);
		rig_inflate(rig, 5, 9);
		assert_int_equal(rig_info(rig).ballooned_bytes, 9 * PAGE);
		rig_free(rig);
	}
}

static void no_queue_is_worked_on_before_driver_ok(void **state)
{
	struct device_rig *rig =
		rig_new(&(struct rig_options){ .features = RIG_TELL, .no_driver = true });

	(void)state;
	rig_negotiate(rig);
	rig_start_queues(rig);
	rig_send_range(rig, BALLOON_INFLATE, 0, 8, 8);
	assert_int_equal(rig_work(rig), BALLOON_IDLE);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 1);
	/* And then it is, without another kick. */
	balloon_driver_ok(rig->balloon);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, BALLOON_INFLATE), 0);
	balloon_driver_ok(rig->balloon);
	assert_int_equal(rig->events[BALLOON_EVENT_DRIVER], 1);
	rig_free(rig);
}

static void each_feature_has_one_row_a_name_and_a_help(void **state)
{
	uint64_t seen = 0, by_default = 0;

	(void)state;
	for (size_t i = 0; i < balloon_feature_count; i++) {
		const struct balloon_feature_row *row = &balloon_features[i];

		assert_false(seen & BALLOON_BIT(row->bit));
		seen |= BALLOON_BIT(row->bit);
		by_default |= row->by_default ? BALLOON_BIT(row->bit) : 0;
		assert_true(strlen(row->name) > 0 && strlen(row->help) > 0);
	}
	assert_int_equal(seen & OWN, OWN);
	assert_int_equal(balloon_default_features(), by_default);
	/* Open proposals and private extensions have claimed these. */
	assert_int_equal(seen & (BALLOON_BIT(6) | BALLOON_BIT(8) | BALLOON_BIT(16)), 0);
}

static void each_counter_has_a_name_and_a_help(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < BALLOON_C_COUNT; i++) {
		assert_non_null(balloon_counter_table[i].name);
		assert_non_null(balloon_counter_table[i].help);
		assert_int_equal(strncmp(balloon_counter_table[i].name, "fault-", 6) == 0,
				 i >= BALLOON_C_FAULT_CHAIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_are_numbered_densely_over_every_set_of_features),
		cmocka_unit_test(every_queue_works_under_every_set_of_features),
		cmocka_unit_test(before_the_driver_there_are_all_queues_that_are_offered),
		cmocka_unit_test(a_queue_that_was_offered_and_not_acknowledged_is_not_there),
		cmocka_unit_test(a_feature_that_was_not_offered_is_refused),
		cmocka_unit_test(packed_rings_need_version_1),
		cmocka_unit_test(features_are_fixed_by_driver_ok),
		cmocka_unit_test(a_driver_without_any_feature_is_served),
		cmocka_unit_test(a_modern_driver_is_never_big_endian),
		cmocka_unit_test(no_queue_is_worked_on_before_driver_ok),
		cmocka_unit_test(each_feature_has_one_row_a_name_and_a_help),
		cmocka_unit_test(each_counter_has_a_name_and_a_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
