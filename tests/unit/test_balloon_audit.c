/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit: ballooned pages that the guest has touched. */
#include "tests/unit/device_rig.h"

static struct device_rig *new_rig(uint64_t features, enum rig_backing backing, bool release)
{
	return rig_new(&(struct rig_options){
		.features = features, .backing = backing, .audit_release = release });
}

static int setup_memfd(void **state)
{
	*state = new_rig(RIG_TELL, RIG_MEMFD, false);
	return 0;
}

static int setup_anonymous(void **state)
{
	*state = new_rig(RIG_TELL, RIG_ANONYMOUS, false);
	return 0;
}

static int setup_release(void **state)
{
	*state = new_rig(RIG_TELL, RIG_MEMFD, true);
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static struct balloon_audit audit(struct device_rig *rig)
{
	unsigned int before = rig->events[BALLOON_EVENT_AUDIT];

	balloon_audit_start(rig->balloon);
	assert_true(balloon_audit_result(rig->balloon).running);
	rig_work(rig);
	assert_int_equal(rig->events[BALLOON_EVENT_AUDIT] - before, 1);
	assert_false(balloon_audit_result(rig->balloon).running);
	return balloon_audit_result(rig->balloon);
}

static void an_honest_guest_has_touched_nothing(void **state)
{
	struct device_rig *rig = *state;
	struct balloon_audit result;

	rig_touch(rig, 0, 5 * BLOCK);
	rig_inflate(rig, 100, 2 * BLOCK);
	rig_settle(rig);
	rig_pass(rig, 5);
	result = audit(rig);
	assert_int_equal(result.checked_pages, 2 * BLOCK);
	assert_int_equal(result.resident_pages, 0);
	assert_int_equal(result.ended_ns, rig->now_ns);
	assert_int_equal(rig_count(rig, BALLOON_C_AUDITS), 1);
}

static void touched_pages_are_found(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 100, 20 * BLOCK);
	rig_settle(rig);
	rig_touch(rig, 99, 2); /* one of which is not in the balloon */
	rig_touch(rig, 7000, 3);
	assert_int_equal(audit(rig).resident_pages, 4);
	assert_int_equal(audit(rig).resident_pages, 4);
	assert_int_equal(rig_count(rig, BALLOON_C_AUDIT_RESIDENT_PAGES), 8);
	assert_int_equal(audit(rig).released_pages, 0);
	assert_true(rig_intact(rig, 7000, 3));
}

/* They are not gone yet, and that is not the guest's doing. */
static void pages_that_wait_for_their_release_are_not_looked_at(void **state)
{
	struct device_rig *rig = *state;
	struct balloon_audit result;

	rig_touch(rig, 0, BLOCK);
	rig_inflate(rig, 0, 100);
	result = audit(rig);
	assert_int_equal(result.checked_pages, 0);
	assert_int_equal(result.resident_pages, 0);
}

static void an_audit_goes_in_steps(void **state)
{
	struct device_rig *rig = *state;
	uint64_t before = 0;

	rig_inflate(rig, 0, RIG_RAM_BYTES / PAGE);
	rig_settle(rig);
	balloon_audit_start(rig->balloon);
	while (balloon_audit_result(rig->balloon).running) {
		uint64_t checked;

		rig_step(rig);
		checked = balloon_audit_result(rig->balloon).checked_pages;
		assert_in_range(checked - before, 0, 8 * BLOCK);
		before = checked;
	}
	assert_int_equal(before, RIG_RAM_BYTES / PAGE);
}

static void an_audit_of_an_empty_balloon_ends(void **state)
{
	assert_int_equal(audit(*state).checked_pages, 0);
}

static void memory_that_was_unmapped_is_not_looked_at(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, BLOCK);
	rig_settle(rig);
	rig_touch(rig, 0, 8);
	rig_hide(rig, 0);
	assert_int_equal(audit(rig).resident_pages, 0);
	rig_show(rig, 0);
	assert_int_equal(audit(rig).resident_pages, 8);
}

static void a_block_across_regions_is_looked_at_in_both(void **state)
{
	struct device_rig *rig = rig_new(&(struct rig_options){
		.features = RIG_TELL, .ram_bytes = 3 * MIB, .backing = RIG_MEMFD });

	(void)state;
	rig_map(rig, 3 * MIB, 3 * MIB, RIG_ANONYMOUS);
	rig_inflate(rig, BLOCK, BLOCK);
	rig_settle(rig);
	rig_touch(rig, BLOCK + 250, 10);
	assert_int_equal(audit(rig).resident_pages, 10);
	rig_free(rig);
}

static void with_audit_release_what_is_found_goes_again(void **state)
{
	struct device_rig *rig = *state;
	const uint32_t count = 4 * BLOCK + 100; /* whole blocks, and one that is not */
	struct balloon_audit result;

	rig_inflate(rig, 0, count);
	rig_settle(rig);
	rig_touch(rig, 10, 3);
	rig_touch(rig, 3 * BLOCK, BLOCK);
	rig_touch(rig, count - 2, 7);
	result = audit(rig);
	assert_int_equal(result.resident_pages, 3 + BLOCK + 2);
	assert_int_equal(result.released_pages, 3 + BLOCK + 2);
	rig_settle(rig);
	assert_int_equal(rig_resident(rig, 0, count), 0);
	assert_true(rig_intact(rig, count, 5));
	assert_int_equal(rig_info(rig).ballooned_bytes, (uint64_t)count * PAGE);
	assert_int_equal(audit(rig).resident_pages, 0);
}

static void with_audit_release_a_deflate_cancels_as_ever(void **state)
{
	struct device_rig *rig = *state;

	rig_inflate(rig, 0, 100);
	rig_settle(rig);
	rig_touch(rig, 0, 100);
	audit(rig);
	rig_deflate(rig, 0, 50);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 50));
	assert_int_equal(rig_resident(rig, 50, 50), 0);
}

/* The guest may already use a page whose deflate it has not sent yet. */
static void without_must_tell_host_an_audit_releases_nothing(void **state)
{
	struct device_rig *rig = new_rig(RIG_MODERN, RIG_MEMFD, true);

	(void)state;
	rig_inflate(rig, 0, 100);
	rig_touch(rig, 0, 100);
	assert_int_equal(audit(rig).resident_pages, 100);
	rig_settle(rig);
	assert_true(rig_intact(rig, 0, 100));
	rig_free(rig);
}

int main(void)
{
#define TEST(name, kind) cmocka_unit_test_setup_teardown(name, setup_##kind, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_honest_guest_has_touched_nothing, memfd),
		TEST(an_honest_guest_has_touched_nothing, anonymous),
		TEST(touched_pages_are_found, memfd),
		TEST(touched_pages_are_found, anonymous),
		TEST(pages_that_wait_for_their_release_are_not_looked_at, memfd),
		TEST(an_audit_goes_in_steps, memfd),
		TEST(an_audit_of_an_empty_balloon_ends, memfd),
		TEST(memory_that_was_unmapped_is_not_looked_at, memfd),
		cmocka_unit_test(a_block_across_regions_is_looked_at_in_both),
		TEST(with_audit_release_what_is_found_goes_again, release),
		TEST(with_audit_release_a_deflate_cancels_as_ever, release),
		cmocka_unit_test(without_must_tell_host_an_audit_releases_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
