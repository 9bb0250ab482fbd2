/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

static struct policy_guest holding(uint64_t actual, uint64_t resident)
{
	struct policy_guest guest = world_guest(1, 8 * GIB, actual, 0, SECOND);

	guest.resident_bytes = resident;
	return guest;
}

static uint64_t of_one(const struct policy_host *host, const struct policy_settings *settings,
		       struct policy_guest guest)
{
	return budget_compute(host, settings, &guest, 1).bytes;
}

static void is_what_guests_hold_and_what_is_free_less_the_reserve(void **state)
{
	struct policy_guest guests[] = { holding(3 * GIB, 3 * GIB), holding(3 * GIB, 2 * GIB) };
	struct policy_host host = world_host(16 * GIB, 4 * GIB, SECOND);
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct budget budget = budget_compute(&host, &settings, guests, 2);

	(void)state;
	assert_int_equal(budget.bytes, 8 * GIB); /* 3 + 2 + 4 - 1 */
	assert_int_equal(budget.spare, GIB / 2);
}

static uint64_t reserve_mib(uint64_t total, double pressure)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(total, 0, SECOND);

	host.pressure = pressure;
	return (budget_host_reserve(&host, &settings) + MIB / 2) / MIB;
}

static void the_reserve_follows_the_size_of_the_host(void **state)
{
	(void)state;
	assert_int_equal(reserve_mib(4 * GIB, 0), 512);	  /* 1/8 */
	assert_int_equal(reserve_mib(16 * GIB, 0), 1024); /* 1 GiB */
	assert_int_equal(reserve_mib(80 * GIB, 0), 4096); /* 5 % */
}

static void the_reserve_follows_the_pressure_up_to_a_quarter(void **state)
{
	(void)state;
	assert_int_equal(reserve_mib(16 * GIB, 0.1), 2048);
	assert_int_equal(reserve_mib(16 * GIB, 1), 4096);
	assert_int_equal(reserve_mib(16 * GIB, -1), 1024);
}

static void a_configured_reserve_stands(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 4 * GIB, SECOND);

	(void)state;
	settings.reserve_bytes = 3 * GIB;
	assert_int_equal(of_one(&host, &settings, holding(2 * GIB, 2 * GIB)), 3 * GIB);
}

static void a_configured_budget_stands_and_spares_nothing(void **state)
{
	struct policy_settings settings = world_settings(5 * GIB);
	struct policy_host host = world_host(16 * GIB, 0, SECOND);
	struct budget budget = budget_compute(&host, &settings, NULL, 0);

	(void)state;
	assert_int_equal(budget.bytes, 5 * GIB);
	assert_int_equal(budget.spare, 0);
}

static void what_is_promised_to_newcomers_is_not_there(void **state)
{
	struct policy_settings settings = world_settings(5 * GIB);
	struct policy_host host = world_host(16 * GIB, 0, SECOND);

	(void)state;
	host.reserved_bytes = 2 * GIB;
	assert_int_equal(budget_compute(&host, &settings, NULL, 0).bytes, 3 * GIB);
	host.reserved_bytes = 6 * GIB;
	assert_int_equal(budget_compute(&host, &settings, NULL, 0).bytes, 0);
}

static void what_qemu_takes_for_itself_does_not_come_free(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 4 * GIB, SECOND);

	(void)state;
	assert_int_equal(of_one(&host, &settings, holding(2 * GIB, 2 * GIB + 300 * MIB)), 5 * GIB);
}

static void a_process_of_unknown_size_holds_its_guests_size(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 4 * GIB, SECOND);

	(void)state;
	assert_int_equal(of_one(&host, &settings, holding(2 * GIB, POLICY_UNSET)), 5 * GIB);
}

static void optimism_counts_what_was_never_touched_as_free(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 4 * GIB, SECOND);

	(void)state;
	assert_int_equal(of_one(&host, &settings, holding(3 * GIB, GIB)), 4 * GIB);
	settings.optimism = 0.5;
	assert_int_equal(of_one(&host, &settings, holding(3 * GIB, GIB)), 5 * GIB);
	settings.optimism = 1;
	assert_int_equal(of_one(&host, &settings, holding(3 * GIB, GIB)), 6 * GIB);
}

static void a_host_that_stalls_gets_its_reserve_whatever_the_numbers_say(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 8 * GIB, SECOND);

	(void)state;
	host.critical = true;
	assert_int_equal(of_one(&host, &settings, holding(3 * GIB, 3 * GIB)), 2 * GIB);
	assert_int_equal(budget_compute(&host, &settings, NULL, 0).spare, 0);
}

static void is_unknown_when_the_hosts_numbers_are(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, POLICY_UNSET, SECOND);

	(void)state;
	assert_int_equal(budget_compute(&host, &settings, NULL, 0).bytes, POLICY_UNSET);
}

static void use_is_the_larger_of_size_and_target(void **state)
{
	struct policy_guest guest = world_guest(1, 4 * GIB, 2 * GIB, 0, SECOND);

	(void)state;
	guest.target_bytes = 3 * GIB;
	assert_int_equal(budget_used_bytes(&guest), 3 * GIB);
	guest.target_bytes = GIB;
	assert_int_equal(budget_used_bytes(&guest), 2 * GIB);
}

static void without_a_driver_or_when_off_use_is_the_size(void **state)
{
	struct policy_guest guest = world_guest(1, 4 * GIB, 2 * GIB, 0, SECOND);

	(void)state;
	guest.target_bytes = 3 * GIB;
	guest.has_driver = false;
	assert_int_equal(budget_used_bytes(&guest), 2 * GIB);
	guest.has_driver = true;
	guest.rules.mode = POLICY_OFF;
	assert_int_equal(budget_used_bytes(&guest), 2 * GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_guests_hold_and_what_is_free_less_the_reserve),
		cmocka_unit_test(the_reserve_follows_the_size_of_the_host),
		cmocka_unit_test(the_reserve_follows_the_pressure_up_to_a_quarter),
		cmocka_unit_test(a_configured_reserve_stands),
		cmocka_unit_test(a_configured_budget_stands_and_spares_nothing),
		cmocka_unit_test(what_is_promised_to_newcomers_is_not_there),
		cmocka_unit_test(what_qemu_takes_for_itself_does_not_come_free),
		cmocka_unit_test(a_process_of_unknown_size_holds_its_guests_size),
		cmocka_unit_test(optimism_counts_what_was_never_touched_as_free),
		cmocka_unit_test(a_host_that_stalls_gets_its_reserve_whatever_the_numbers_say),
		cmocka_unit_test(is_unknown_when_the_hosts_numbers_are),
		cmocka_unit_test(use_is_the_larger_of_size_and_target),
		cmocka_unit_test(without_a_driver_or_when_off_use_is_the_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
