/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests that come, go and change places; and no memory to remember them in. */
#include "policy/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

#define ROUNDS 20000
#define IDS 24

static int allocations_left = -1; /* below 0: no limit */

void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	if (allocations_left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	allocations_left -= allocations_left > 0;
	return __real_reallocarray(old, count, size);
}

/* Any of the guests, in any order; what each is to be remembered by is in @marks. */
static size_t any_guests(struct policy_guest *guests, struct dice *dice)
{
	size_t count = 0;

	for (uint64_t id = 0; id < IDS; id++) {
		size_t place = (size_t)dice_below(dice, count + 1);

		if (!dice_below(dice, 4))
			continue;
		guests[count] = guests[place];
		guests[place] = (struct policy_guest){ .id = id * UINT64_C(0x123456789abcdef) };
		count++;
	}
	return count;
}

static void each_guest_finds_its_own_past(void **state)
{
	struct dice dice = { dice_seed() };
	struct histories histories = { 0 };
	uint64_t marks[IDS] = { 0 }, mark = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct policy_guest guests[IDS];
		size_t count = any_guests(guests, &dice);
		uint64_t next[IDS] = { 0 };

		assert_int_equal(histories_match(&histories, guests, count), 0);
		assert_int_equal(histories.count, count);
		for (size_t k = 0; k < count; k++) {
			size_t number =
				(size_t)(histories.list[k].id / UINT64_C(0x123456789abcdef));

			assert_int_equal(guests[histories.places[k].index].id,
					 histories.list[k].id);
			assert_true(k == 0 || histories.list[k - 1].id < histories.list[k].id);
			assert_int_equal(histories.list[k].need.bytes, marks[number]);
			histories.list[k].need.bytes = next[number] = ++mark;
		}
		memcpy(marks, next, sizeof(marks));
	}
	histories_free(&histories);
}

static void an_id_that_comes_twice_harms_nobody(void **state)
{
	struct policy_guest guests[] = { { .id = 7 }, { .id = 3 }, { .id = 7 } };
	struct histories histories = { 0 };

	(void)state;
	for (size_t count = 1; count <= 3; count++)
		assert_int_equal(histories_match(&histories, guests, count), 0);
	assert_int_equal(histories_match(&histories, guests, 0), 0);
	histories_free(&histories);
}

static void without_memory_nobody_is_moved(void **state)
{
	struct policy_settings settings = world_settings(POLICY_UNSET);
	struct policy_host host = world_host(16 * GIB, 8 * GIB, 10 * SECOND);
	struct policy_guest guests[] = { world_guest(1, 2 * GIB, 700 * MIB, 690 * MIB, host.now_us),
					 world_guest(2, 2 * GIB, GIB, 690 * MIB, host.now_us) };
	struct policy_state *policy = policy_aerostat.create(&settings);
	struct policy_decision decisions[2];
	struct policy_outcome outcome;

	(void)state;
	for (allocations_left = 0; allocations_left < 5; allocations_left++) {
		int left = allocations_left;

		assert_int_equal(
			policy_aerostat.step(policy, &host, guests, 2, decisions, &outcome),
			-ENOMEM);
		assert_int_equal(decisions[0].target_bytes, 700 * MIB);
		assert_int_equal(decisions[1].target_bytes, GIB);
		policy_aerostat.destroy(policy);
		allocations_left = -1;
		policy = policy_aerostat.create(&settings);
		allocations_left = left;
	}
	assert_int_equal(policy_aerostat.step(policy, &host, guests, 2, decisions, &outcome), 0);
	assert_true(decisions[0].target_bytes > 700 * MIB);
	allocations_left = -1;
	policy_aerostat.destroy(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_guest_finds_its_own_past),
		cmocka_unit_test(an_id_that_comes_twice_harms_nobody),
		cmocka_unit_test(without_memory_nobody_is_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
