/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest would gain by what its device and driver do not do for it. */
#include "aerostatd/gains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define ALL (POLICY_CAN_REPORT | POLICY_CAN_RELIEVE | POLICY_CAN_PULL | POLICY_CAN_GATE)

static struct managed guest;

/* A guest on QEMU's device, with everything off. */
static int set_up(void **state)
{
	(void)state;
	guest = (struct managed){
		.answered = true,
		.has_balloon = true,
		.driver = HV_DRIVER_READY,
		.seen = { .boot_bytes = 1024 * MIB,
			  .actual_bytes = 700 * MIB,
			  .actual_then_bytes = 800 * MIB,
			  .free_bytes = 500 * MIB,
			  .resident_bytes = 600 * MIB,
			  .ram_bytes = 512 * MIB,
			  .taken_us = 1 },
	};
	return 0;
}

static uint64_t all_gains(void)
{
	uint64_t found = 0, bytes;

	for (unsigned int bit = 0; bit < HV_ABILITIES; bit++)
		if (gains_find(&guest, (enum policy_ability)(1U << bit), &bytes))
			found |= UINT64_C(1) << bit;
	return found;
}

static uint64_t bytes_of(enum policy_ability ability)
{
	uint64_t bytes;

	assert_true(gains_find(&guest, ability, &bytes));
	return bytes;
}

static void a_stock_guest_with_everything_off_gains_by_all(void **state)
{
	(void)state;
	assert_int_equal(all_gains(), ALL);
}

static void what_it_has_is_no_gain(void **state)
{
	(void)state;
	guest.seen.abilities = POLICY_CAN_RELIEVE | POLICY_CAN_GATE;
	assert_int_equal(all_gains(), POLICY_CAN_REPORT | POLICY_CAN_PULL);
	guest.seen.abilities = ALL;
	assert_int_equal(all_gains(), 0);
}

/* Its driver does not use it, or nobody knows. */
static void what_is_not_known_to_be_off_need_not_be_turned_on(void **state)
{
	(void)state;
	guest.free_page_reporting = 1;
	guest.autodeflate = -1;
	assert_int_equal(all_gains(), POLICY_CAN_PULL | POLICY_CAN_GATE);
}

/* It uses 300 MiB, of which some may not be resident. */
static void reporting_would_return_what_is_free_and_resident(void **state)
{
	(void)state;
	assert_int_equal(bytes_of(POLICY_CAN_REPORT), 212 * MIB);
	guest.seen.ram_bytes = POLICY_UNSET;
	assert_int_equal(bytes_of(POLICY_CAN_REPORT), 300 * MIB);
	guest.seen.resident_bytes = 100 * MIB;
	assert_int_equal(bytes_of(POLICY_CAN_REPORT), 0);
	guest.seen.resident_bytes = POLICY_UNSET;
	assert_true(bytes_of(POLICY_CAN_REPORT) == POLICY_UNSET);
	guest.seen.resident_bytes = 600 * MIB;
	guest.seen.free_bytes = POLICY_UNSET;
	assert_true(bytes_of(POLICY_CAN_REPORT) == POLICY_UNSET);
	/* A liar. */
	guest.seen.free_bytes = UINT64_MAX - 1;
	assert_int_equal(bytes_of(POLICY_CAN_REPORT), 600 * MIB);
}

static void relief_is_worth_the_balloon(void **state)
{
	(void)state;
	assert_int_equal(bytes_of(POLICY_CAN_RELIEVE), 324 * MIB);
	guest.seen.actual_bytes = 2048 * MIB;
	assert_int_equal(bytes_of(POLICY_CAN_RELIEVE), 0);
}

static void who_cannot_be_helped_gains_nothing(void **state)
{
	for (int i = 0; i < 5; i++) {
		set_up(state);
		guest.answered = i != 0;
		guest.problem = i == 1 ? (char *)"it is paused" : NULL;
		guest.has_balloon = i != 2;
		guest.driver = i == 3 ? HV_DRIVER_ABSENT : HV_DRIVER_UNKNOWN;
		guest.seen.rules.mode = i == 4 ? POLICY_OFF : POLICY_HELD;
		assert_int_equal(all_gains(), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stock_guest_with_everything_off_gains_by_all),
		TEST(what_it_has_is_no_gain),
		TEST(what_is_not_known_to_be_off_need_not_be_turned_on),
		TEST(reporting_would_return_what_is_free_and_resident),
		TEST(relief_is_worth_the_balloon),
		TEST(who_cannot_be_helped_gains_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
