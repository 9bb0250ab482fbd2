/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A guest of 2 GiB that could do with 1 GiB, and a held one of 1 GiB, on a budget of 4 GiB. */
struct inn {
	struct policy_host host;
	struct policy_settings settings;
	struct policy_guest guests[2];
	struct policy_decision decisions[2];
	struct policy_outcome outcome;
	struct policy_rules newcomer;
};

static struct inn inn(void)
{
	struct inn inn = {
		.host = world_host(16 * GIB, 8 * GIB, SECOND),
		.settings = world_settings(4 * GIB),
		.guests = { world_guest(1, 4 * GIB, 2 * GIB, GIB, SECOND),
			    world_guest(2, 4 * GIB, GIB, GIB / 2, SECOND) },
		.decisions = { { .target_bytes = 2 * GIB, .demand_bytes = GIB },
			       { .target_bytes = GIB, .demand_bytes = GIB / 2 } },
		.newcomer = { .min_bytes = POLICY_UNSET, .max_bytes = POLICY_UNSET, .weight = 1 },
	};

	inn.guests[1].rules.mode = POLICY_HELD;
	return inn;
}

static struct policy_grant admit(const struct inn *inn)
{
	struct policy_grant grant;

	policy_admit(&inn->host, &inn->settings, inn->guests, inn->decisions, 2, &inn->outcome,
		     &inn->newcomer, &grant);
	return grant;
}

static void could_have_what_is_beyond_the_others_demand(void **state)
{
	struct inn host = inn();

	(void)state;
	assert_int_equal(admit(&host).possible_bytes, 2 * GIB);
	assert_int_equal(admit(&host).free_now_bytes, GIB);
}

static void who_may_not_be_taken_from_counts_in_full(void **state)
{
	struct inn host = inn();

	(void)state;
	host.decisions[0].reason = POLICY_REASON_STALE;
	assert_int_equal(admit(&host).possible_bytes, GIB);
	host.decisions[0].reason = POLICY_REASON_NONE;
	host.decisions[0].demand_bytes = POLICY_UNSET;
	assert_int_equal(admit(&host).possible_bytes, GIB);
}

static void a_shrink_under_way_is_not_free_yet(void **state)
{
	struct inn host = inn();

	(void)state;
	host.decisions[0].target_bytes = GIB;
	assert_int_equal(admit(&host).free_now_bytes, GIB);
}

static void a_growth_just_granted_is_free_no_more(void **state)
{
	struct inn host = inn();

	(void)state;
	host.decisions[0].target_bytes = 2 * GIB + GIB / 2;
	assert_int_equal(admit(&host).free_now_bytes, GIB / 2);
}

static void nobody_gets_more_than_his_maximum(void **state)
{
	struct inn host = inn();

	(void)state;
	host.newcomer.max_bytes = GIB / 4;
	assert_int_equal(admit(&host).possible_bytes, GIB / 4);
	assert_int_equal(admit(&host).free_now_bytes, GIB / 4);
}

static void what_was_promised_is_not_promised_again(void **state)
{
	struct inn host = inn();

	(void)state;
	host.host.reserved_bytes = 3 * GIB / 2;
	assert_int_equal(admit(&host).possible_bytes, GIB / 2);
	assert_int_equal(admit(&host).free_now_bytes, 0);
}

static void nothing_is_promised_without_the_hosts_numbers(void **state)
{
	struct inn host = inn();

	(void)state;
	host.settings.budget_bytes = POLICY_UNSET;
	host.host.available_bytes = POLICY_UNSET;
	assert_int_equal(admit(&host).possible_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(could_have_what_is_beyond_the_others_demand),
		cmocka_unit_test(who_may_not_be_taken_from_counts_in_full),
		cmocka_unit_test(a_shrink_under_way_is_not_free_yet),
		cmocka_unit_test(a_growth_just_granted_is_free_no_more),
		cmocka_unit_test(nobody_gets_more_than_his_maximum),
		cmocka_unit_test(what_was_promised_is_not_promised_again),
		cmocka_unit_test(nothing_is_promised_without_the_hosts_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
