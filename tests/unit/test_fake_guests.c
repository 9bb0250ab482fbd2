/* SPDX-License-Identifier: BSD-3-Clause */
/* The guests that load tests believe: fake_guests_model.c, and what their monitor says of them. */
#include "tests/fakes/fake_guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define MAX_BYTES (1024 * MIB)
#define START_US (1000 * (int64_t)G_USEC_PER_SEC)
#define RATE (100.0 * (double)MIB / 1e6)
#define SEED 7
#define BACKEND "\"/machine/peripheral/balloon0/virtio-backend\""

static int64_t after_s(double seconds)
{
	return START_US + (int64_t)(seconds * 1e6);
}

static struct guest guest_number(unsigned int number)
{
	struct guest guest = { .number = number, .name = "guest-0000", .negotiated = true };

	guest_start(&guest, MAX_BYTES, SEED, RATE, START_US);
	guest_poll(&guest, 1, START_US);
	return guest;
}

static json_t *answer(struct guest *guest, const char *request, int64_t now_us)
{
	g_autofree char *text = qmp_answer(guest, request, now_us);
	json_t *reply = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);

	if (!reply)
		fail_msg("%s", text);
	return reply;
}

static uint64_t told(struct guest *guest, const char *name, int64_t now_us)
{
	json_auto_t *reply = answer(guest,
				    "{\"execute\": \"qom-get\", \"arguments\": {\"path\": " BACKEND
				    ", \"property\": \"guest-stats\"}}",
				    now_us);
	const json_t *stats = json_object_get(json_object_get(reply, "return"), "stats");
	const json_t *value = json_object_get(stats, name);

	assert_true(json_is_real(value));
	return json_real_value(value) < 0x1p63 ? (uint64_t)json_real_value(value) : UINT64_MAX;
}

static uint64_t last_update(struct guest *guest, int64_t now_us)
{
	json_auto_t *reply = answer(guest,
				    "{\"execute\": \"qom-get\", \"arguments\": {\"path\": " BACKEND
				    ", \"property\": \"guest-stats\"}}",
				    now_us);

	return (uint64_t)json_real_value(
		json_object_get(json_object_get(reply, "return"), "last-update"));
}

/* The class of the error that @request is answered with; "" for none. */
static void assert_class(struct guest *guest, const char *request, const char *expected)
{
	json_auto_t *reply = answer(guest, request, START_US);
	const char *class =
		json_string_value(json_object_get(json_object_get(reply, "error"), "class"));

	assert_string_equal(class ? class : "", expected);
}

static void the_same_seed_asks_for_the_same_whenever_it_is_asked(void **state)
{
	struct guest often = guest_number(3), seldom = guest_number(3), other = guest_number(4);

	(void)state;
	for (double s = 0; s < 600; s += 0.5)
		guest_move(&often, after_s(s));
	guest_move(&often, after_s(600));
	guest_move(&seldom, after_s(600));
	guest_move(&other, after_s(600));
	assert_int_equal(guest_demand(&often, after_s(600)), guest_demand(&seldom, after_s(600)));
	assert_int_not_equal(guest_demand(&often, after_s(600)),
			     guest_demand(&other, after_s(600)));
}

static void demand_waves_and_bursts(void **state)
{
	struct guest guest = guest_number(0);
	uint64_t least = MAX_BYTES, most = 0;
	int64_t burst_us = guest.burst_us;

	(void)state;
	assert_true(guest_demand(&guest, burst_us) >
		    guest_demand(&guest, burst_us - 1) + guest.burst_bytes / 2);
	for (int s = 0; s < 1800; s++) {
		uint64_t demand;

		guest_move(&guest, after_s(s));
		demand = guest_demand(&guest, after_s(s));
		least = MIN(least, demand);
		most = MAX(most, demand);
	}
	assert_true(guest.burst_us > burst_us);
	assert_true(most - least > 32 * MIB);
	assert_true(most <= MAX_BYTES);
}

static void a_guest_that_has_settled_needs_the_same_for_ever(void **state)
{
	struct guest guest = guest_number(0);
	uint64_t demand;

	(void)state;
	guest_settle(&guest, guest.burst_us);
	demand = guest_demand(&guest, guest.moved_us);
	for (int s = 0; s < 1800; s++) {
		guest_move(&guest, guest.moved_us + G_USEC_PER_SEC);
		assert_int_equal(guest_demand(&guest, guest.moved_us), demand);
	}
	guest.extra_bytes = 32 * MIB;
	assert_int_equal(guest_demand(&guest, guest.moved_us), demand + 32 * MIB);
}

static void the_balloon_moves_at_its_rate_to_its_target(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	guest.target_bytes = 724 * MIB;
	guest_move(&guest, after_s(1));
	assert_in_range(guest.actual_bytes, 923 * MIB, 925 * MIB);
	guest_move(&guest, after_s(10));
	assert_int_equal(guest.actual_bytes, 724 * MIB);
	guest.target_bytes = MAX_BYTES;
	guest_move(&guest, after_s(11));
	assert_in_range(guest.actual_bytes, 823 * MIB, 825 * MIB);
	guest_move(&guest, after_s(20));
	assert_int_equal(guest.actual_bytes, MAX_BYTES);
}

static void a_guest_keeps_what_it_cannot_swap(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	guest.extra_bytes = 600 * MIB;
	guest.target_bytes = 4 * MIB;
	guest.rate *= 100;
	guest_move(&guest, after_s(1));
	assert_true(guest.actual_bytes >= guest_demand(&guest, after_s(1)) - MAX_BYTES / 4);
	assert_true(guest.actual_bytes < MAX_BYTES);
	assert_true(guest.swapped_bytes > 0);
}

static void statistics_add_up_and_are_of_their_own_second(void **state)
{
	struct guest guest = guest_number(0);
	uint64_t free_bytes, available_bytes, total_bytes, cache_bytes;
	int64_t then_us = after_s(60.9);

	(void)state;
	free_bytes = told(&guest, "stat-free-memory", then_us);
	available_bytes = told(&guest, "stat-available-memory", then_us);
	total_bytes = told(&guest, "stat-total-memory", then_us);
	cache_bytes = told(&guest, "stat-disk-caches", then_us);
	assert_true(cache_bytes > 0);
	assert_int_equal(available_bytes, free_bytes + cache_bytes);
	assert_true(total_bytes <= guest.actual_bytes);
	assert_int_equal(total_bytes - available_bytes, guest_demand(&guest, after_s(60)));
	assert_int_equal(guest.polled_us, after_s(60));
}

static void a_guest_that_is_short_swaps_and_then_kills(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	assert_int_equal(told(&guest, "stat-swap-out", after_s(1)), 0);
	guest.extra_bytes = MAX_BYTES;
	guest.actual_bytes = guest.target_bytes = 600 * MIB;
	assert_true(told(&guest, "stat-swap-out", after_s(3)) > 100 * MIB);
	assert_true(told(&guest, "stat-swap-in", after_s(5)) > 0);
	assert_true(told(&guest, "stat-major-faults", after_s(5)) > 0);
	assert_int_equal(told(&guest, "stat-oom-kills", after_s(5)), 0);
	guest.actual_bytes = guest.target_bytes = 300 * MIB;
	assert_int_equal(told(&guest, "stat-oom-kills", after_s(7)), 1);
	assert_int_equal(guest.extra_bytes, 0);
}

static void statistics_are_unset_until_they_are_polled(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	guest_start(&guest, MAX_BYTES, SEED, RATE, START_US);
	assert_true(told(&guest, "stat-free-memory", after_s(9)) == UINT64_MAX);
	assert_int_equal(last_update(&guest, after_s(9)), 0);
	guest_poll(&guest, 2, after_s(9));
	assert_true(last_update(&guest, after_s(9)) > 0);
}

static void frozen_statistics_stay_and_a_dead_balloon_too(void **state)
{
	struct guest guest = guest_number(0);
	uint64_t before = told(&guest, "stat-minor-faults", after_s(1));

	(void)state;
	guest.faults[FAULT_FROZEN] = guest.faults[FAULT_DEAD] = true;
	guest.target_bytes = 512 * MIB;
	assert_int_equal(told(&guest, "stat-minor-faults", after_s(60)), before);
	assert_int_equal(guest.actual_bytes, MAX_BYTES);
	memset(guest.faults, 0, sizeof(guest.faults));
	assert_true(told(&guest, "stat-minor-faults", after_s(70)) > before);
	assert_int_equal(guest.actual_bytes, 512 * MIB);
}

static struct guest liar(enum lie lie)
{
	struct guest guest = guest_number(lie);

	guest.faults[FAULT_LIAR] = true;
	return guest;
}

static void liars_lie_each_in_their_way(void **state)
{
	struct guest idle = liar(LIE_IDLE), greedy = liar(LIE_GREEDY);
	struct guest nonsense = liar(LIE_NONSENSE);
	uint64_t swapped = told(&greedy, "stat-swap-out", after_s(1)), last = 0;
	bool backwards = false;

	(void)state;
	assert_int_equal(told(&idle, "stat-available-memory", after_s(1)), MAX_BYTES);
	assert_int_equal(told(&greedy, "stat-available-memory", after_s(1)), 0);
	assert_true(told(&greedy, "stat-swap-out", after_s(2)) > swapped);
	assert_true(told(&nonsense, "stat-available-memory", after_s(1)) >
		    told(&nonsense, "stat-total-memory", after_s(1)));
	for (int s = 0; s < 20; s++) {
		uint64_t now = told(&nonsense, "stat-swap-out", after_s(s));

		backwards |= now < last;
		last = now;
	}
	assert_true(backwards);
}

static void the_monitor_refuses_as_qemu_does(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	assert_class(&guest, "{\"execute\": \"query-status\", \"id\": 1}", "");
	assert_class(&guest, "{\"execute\": \"query-nothing\"}", "CommandNotFound");
	assert_class(&guest, "not JSON", "GenericError");
	assert_class(&guest, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 0}}",
		     "GenericError");
	assert_class(&guest, "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/x\"}}",
		     "DeviceNotFound");
	assert_class(&guest, "{\"execute\": \"qmp_capabilities\"}", "CommandNotFound");
	guest.negotiated = false;
	assert_class(&guest, "{\"execute\": \"query-status\"}", "CommandNotFound");
	assert_class(&guest, "{\"execute\": \"qmp_capabilities\"}", "");
}

static void a_target_above_the_maximum_is_the_maximum(void **state)
{
	struct guest guest = guest_number(0);

	(void)state;
	assert_class(&guest, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 99999999999}}",
		     "");
	assert_int_equal(guest.target_bytes, MAX_BYTES);
}

static void a_balloon_that_moves_is_told_once_a_second(void **state)
{
	struct guest guest = guest_number(0);
	g_autofree char *still = qmp_event(&guest, after_s(1)), *first = NULL, *soon = NULL,
			*second = NULL, *stopped = NULL;

	(void)state;
	assert_null(still);
	guest.target_bytes = 824 * MIB;
	first = qmp_event(&guest, after_s(1.5));
	soon = qmp_event(&guest, after_s(2.4));
	second = qmp_event(&guest, after_s(9));
	stopped = qmp_event(&guest, after_s(11));
	assert_non_null(strstr(first, "BALLOON_CHANGE"));
	assert_null(soon);
	assert_non_null(strstr(second, "\"actual\": 864026624}"));
	assert_null(stopped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_asks_for_the_same_whenever_it_is_asked),
		cmocka_unit_test(demand_waves_and_bursts),
		cmocka_unit_test(a_guest_that_has_settled_needs_the_same_for_ever),
		cmocka_unit_test(the_balloon_moves_at_its_rate_to_its_target),
		cmocka_unit_test(a_guest_keeps_what_it_cannot_swap),
		cmocka_unit_test(statistics_add_up_and_are_of_their_own_second),
		cmocka_unit_test(a_guest_that_is_short_swaps_and_then_kills),
		cmocka_unit_test(statistics_are_unset_until_they_are_polled),
		cmocka_unit_test(frozen_statistics_stay_and_a_dead_balloon_too),
		cmocka_unit_test(liars_lie_each_in_their_way),
		cmocka_unit_test(the_monitor_refuses_as_qemu_does),
		cmocka_unit_test(a_target_above_the_maximum_is_the_maximum),
		cmocka_unit_test(a_balloon_that_moves_is_told_once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
