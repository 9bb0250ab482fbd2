/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The division, by hand and against a slow reference: memory handed out, or taken
 * back, a quantum at a time, from or to him whose turn it is by the rule's own words.
 */
#include "policy/divide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_world.h"

#define CASES 3000
#define SHARES_MAX 8
#define QUANTUM (UINT64_C(1) << 18) /* of the reference */

static uint64_t first_seed;

/* MiB: low, demand, want, have, high. */
static struct share share(uint64_t low, uint64_t demand, uint64_t want, uint64_t have,
			  uint64_t high, double weight)
{
	return (struct share){ low * MIB,  demand * MIB, want * MIB, have * MIB,
			       high * MIB, weight,	 0 };
}

/* Within the bytes that rounding leaves. */
static void assert_mib(uint64_t bytes, double mib)
{
	double off = (double)bytes / (double)MIB - mib;

	if (off > 1e-4 || off < -1e-4)
		fail_msg("%llu bytes are not %f MiB", (unsigned long long)bytes, mib);
}

static void surplus_goes_by_weight(void **state)
{
	struct share shares[] = { share(100, 300, 400, 400, 2000, 1),
				  share(100, 300, 400, 400, 2000, 3) };

	(void)state;
	assert_int_equal(divide_budget(shares, 2, 1200 * MIB, 0), SITUATION_PLENTY);
	assert_mib(shares[0].ideal, 500);
	assert_mib(shares[1].ideal, 700);
}

static void in_plenty_nobody_loses_what_he_has(void **state)
{
	struct share shares[] = { share(100, 300, 400, 900, 2000, 1),
				  share(100, 300, 400, 400, 2000, 1) };

	(void)state;
	assert_int_equal(divide_budget(shares, 2, 1500 * MIB, 0), SITUATION_PLENTY);
	assert_mib(shares[0].ideal, 900);
	assert_mib(shares[1].ideal, 600);
}

static void nobody_gets_more_than_his_most(void **state)
{
	struct share shares[] = { share(100, 300, 400, 400, 450, 1),
				  share(100, 300, 400, 400, 2000, 1) };

	(void)state;
	divide_budget(shares, 2, 1200 * MIB, 0);
	assert_mib(shares[0].ideal, 450);
	assert_mib(shares[1].ideal, 750);
	assert_int_equal(divide_budget(shares, 2, 9000 * MIB, 0), SITUATION_PLENTY);
	assert_mib(shares[1].ideal, 2000);
}

static void a_pool_is_left_of_the_surplus(void **state)
{
	struct share shares[] = { share(100, 300, 400, 400, 2000, 1),
				  share(100, 300, 400, 400, 2000, 1) };

	(void)state;
	divide_budget(shares, 2, 1200 * MIB, 200 * MIB);
	assert_mib(shares[0].ideal, 500);
	assert_mib(shares[1].ideal, 500);
}

static void the_pool_is_filled_from_idle_memory_but_from_no_want(void **state)
{
	struct share shares[] = { share(100, 300, 400, 600, 2000, 1),
				  share(100, 300, 400, 600, 2000, 1) };

	(void)state;
	assert_int_equal(divide_budget(shares, 2, 1200 * MIB, 100 * MIB), SITUATION_IDLE);
	assert_mib(shares[0].ideal, 550);
	divide_budget(shares, 2, 1200 * MIB, 900 * MIB);
	assert_mib(shares[0].ideal, 400);
	assert_mib(shares[1].ideal, 400);
}

static void the_idle_pay_for_those_who_use(void **state)
{
	struct share shares[] = { share(50, 600, 650, 900, 2000, 1),
				  share(50, 100, 200, 900, 2000, 1) };

	(void)state;
	/* 4 a - 3 * 600 = 4 b - 3 * 100, a + b = 1400 */
	assert_int_equal(divide_budget(shares, 2, 1400 * MIB, 0), SITUATION_IDLE);
	assert_mib(shares[0].ideal, 887.5);
	assert_mib(shares[1].ideal, 512.5);
}

static void weight_protects_idle_memory(void **state)
{
	struct share shares[] = { share(50, 200, 300, 800, 2000, 1),
				  share(50, 200, 300, 800, 2000, 2) };

	(void)state;
	/* 2 (4 a - 600) = 4 b - 600, a + b = 1200 */
	divide_budget(shares, 2, 1200 * MIB, 0);
	assert_mib(shares[0].ideal, 450);
	assert_mib(shares[1].ideal, 750);
}

static void the_idle_pay_no_further_than_their_want(void **state)
{
	struct share shares[] = { share(50, 100, 500, 600, 2000, 1),
				  share(50, 400, 500, 600, 2000, 1) };

	(void)state;
	divide_budget(shares, 2, 1050 * MIB, 0);
	assert_mib(shares[0].ideal, 500);
	assert_mib(shares[1].ideal, 550);
}

static void short_of_memory_all_keep_their_demand_and_a_part_of_the_reserve(void **state)
{
	struct share shares[] = { share(100, 400, 600, 600, 2000, 1),
				  share(100, 400, 600, 600, 2000, 2) };

	(void)state;
	/* level * 1 * 200 + level * 2 * 200 = 1000 - 800 */
	assert_int_equal(divide_budget(shares, 2, 1000 * MIB, 0), SITUATION_SHORT);
	assert_mib(shares[0].ideal, 400 + 200 / 3.0);
	assert_mib(shares[1].ideal, 400 + 400 / 3.0);
}

static void with_less_than_is_used_weights_alone_count(void **state)
{
	struct share shares[] = { share(100, 1000, 1200, 800, 2000, 1),
				  share(100, 1000, 1200, 300, 2000, 2) };

	(void)state;
	assert_int_equal(divide_budget(shares, 2, 900 * MIB, 0), SITUATION_TOO_MUCH);
	assert_mib(shares[0].ideal, 300);
	assert_mib(shares[1].ideal, 600);
}

static void shares_end_at_the_demand_and_begin_at_the_least(void **state)
{
	struct share shares[] = { share(400, 1000, 1200, 800, 2000, 1),
				  share(100, 150, 200, 300, 2000, 2),
				  share(100, 1000, 1200, 800, 2000, 1) };

	(void)state;
	divide_budget(shares, 3, 900 * MIB, 0);
	assert_mib(shares[0].ideal, 400);
	assert_mib(shares[1].ideal, 150);
	assert_mib(shares[2].ideal, 350);
}

static void below_the_least_nobody_goes(void **state)
{
	struct share shares[] = { share(400, 1000, 1200, 800, 2000, 1),
				  share(300, 500, 600, 300, 2000, 2) };

	(void)state;
	assert_int_equal(divide_budget(shares, 2, 0, 0), SITUATION_NOTHING);
	assert_mib(shares[0].ideal, 400);
	assert_mib(shares[1].ideal, 300);
}

static size_t random_shares(struct share *shares, struct dice *dice)
{
	size_t count = (size_t)dice_between(dice, 1, SHARES_MAX);

	for (size_t i = 0; i < count; i++) {
		uint64_t high = dice_between(dice, 64, 2048);
		uint64_t low = dice_below(dice, high);
		uint64_t demand = dice_between(dice, low, high);

		shares[i] = share(low, demand, dice_between(dice, demand, high),
				  dice_between(dice, low, high), high,
				  (double)dice_between(dice, 1, 40) / 10);
	}
	return count;
}

static uint64_t random_budget(const struct share *shares, size_t count, struct dice *dice)
{
	uint64_t high = 0;

	for (size_t i = 0; i < count; i++)
		high += shares[i].high;
	return dice_below(dice, high + high / 10);
}

/* Whose turn it is: the lowest of these gets. */
static double turn(const struct share *share, enum situation situation)
{
	double size = (double)share->ideal;

	switch (situation) {
	case SITUATION_PLENTY:
		return share->ideal < share->high ? (size - (double)share->want) / share->weight
						  : 1e300;
	case SITUATION_SHORT:
		return share->ideal < share->want
			       ? (size - (double)share->demand) /
					 (share->weight * (double)(share->want - share->demand))
			       : 1e300;
	case SITUATION_TOO_MUCH:
		return share->ideal < share->demand ? size / share->weight : 1e300;
	case SITUATION_IDLE:
	case SITUATION_NOTHING:
		break;
	}
	return 1e300;
}

/* ρ = w / (t (f + 4 (1 - f))), f = min(1, D / t): the smallest is taken from. */
static double rho(const struct share *share)
{
	double size = (double)share->ideal, used = (double)share->demand / size;

	if (share->ideal <= share->want)
		return 1e300;
	if (used > 1)
		used = 1;
	return share->weight / (size * (used + 4 * (1 - used)));
}

static struct share *next(struct share *shares, size_t count, enum situation situation)
{
	double lowest = 1e300;
	struct share *found = NULL;

	for (size_t i = 0; i < count; i++) {
		double now =
			situation == SITUATION_IDLE ? rho(&shares[i]) : turn(&shares[i], situation);

		if (now < lowest) {
			lowest = now;
			found = &shares[i];
		}
	}
	return found;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t begin_slowly(struct share *shares, size_t count, enum situation situation)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		struct share *share = &shares[i];

		if (situation <= SITUATION_IDLE)
			share->ideal = larger(share->have, share->want);
		else
			share->ideal = situation == SITUATION_SHORT ? share->demand : share->low;
		sum += share->ideal;
	}
	return sum;
}

static void divide_slowly(struct share *shares, size_t count, enum situation situation,
			  uint64_t budget)
{
	uint64_t sum = begin_slowly(shares, count, situation);
	struct share *share;

	while (situation == SITUATION_IDLE && sum > budget &&
	       (share = next(shares, count, situation))) {
		share->ideal -= QUANTUM;
		sum -= QUANTUM;
	}
	while (situation != SITUATION_IDLE && sum + QUANTUM <= budget &&
	       (share = next(shares, count, situation))) {
		share->ideal += QUANTUM;
		sum += QUANTUM;
	}
}

static void agrees_with_the_slow_reference(void **state)
{
	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + CASES; seed++) {
		struct dice dice = { seed };
		struct share shares[SHARES_MAX], slow[SHARES_MAX];
		size_t count = random_shares(shares, &dice);
		uint64_t budget = random_budget(shares, count, &dice);
		enum situation situation;

		memcpy(slow, shares, sizeof(shares));
		situation = divide_budget(shares, count, budget, 0);
		divide_slowly(slow, count, situation, budget);
		for (size_t i = 0; i < count; i++) {
			/* A quantum each may be left, and all of them be one guest's. */
			uint64_t slack = (count + 1) * QUANTUM;

			if (shares[i].ideal > slow[i].ideal + slack ||
			    slow[i].ideal > shares[i].ideal + slack)
				fail_msg("seed %llu, situation %d", (unsigned long long)seed,
					 situation);
		}
	}
}

static void sums_up_to_the_budget_and_never_to_more(void **state)
{
	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + CASES; seed++) {
		struct dice dice = { seed };
		struct share shares[SHARES_MAX];
		size_t count = random_shares(shares, &dice);
		uint64_t budget = random_budget(shares, count, &dice), sum = 0, low = 0, high = 0;

		divide_budget(shares, count, budget, 0);
		for (size_t i = 0; i < count; i++) {
			assert_in_range(shares[i].ideal, shares[i].low, shares[i].high);
			sum += shares[i].ideal;
			low += shares[i].low;
			high += shares[i].high;
		}
		assert_true(sum <= larger(budget, low));
		assert_true(sum + count + 1 >= (budget < high ? budget : high));
	}
}

static void scales_with_its_unit(void **state)
{
	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + CASES; seed++) {
		struct dice dice = { seed };
		struct share shares[SHARES_MAX], scaled[SHARES_MAX];
		size_t count = random_shares(shares, &dice);
		uint64_t budget = random_budget(shares, count, &dice);

		for (size_t i = 0; i < count; i++)
			scaled[i] = (struct share){
				shares[i].low * 8,
				shares[i].demand * 8,
				shares[i].want * 8,
				shares[i].have * 8,
				shares[i].high * 8,
				shares[i].weight,
				0,
			};
		assert_int_equal(divide_budget(shares, count, budget, 0),
				 divide_budget(scaled, count, budget * 8, 0));
		for (size_t i = 0; i < count; i++) {
			/* Whole bytes, and what they leave to others. */
			uint64_t slack = 8 * (SHARES_MAX + 1) * 8;

			assert_true(shares[i].ideal * 8 <= scaled[i].ideal + slack);
			assert_true(scaled[i].ideal <= shares[i].ideal * 8 + slack);
		}
	}
}

/* More for all is never less for one. */
static void a_larger_budget_takes_from_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + CASES; seed++) {
		struct dice dice = { seed };
		struct share shares[SHARES_MAX], more[SHARES_MAX];
		size_t count = random_shares(shares, &dice);
		uint64_t budget = random_budget(shares, count, &dice);

		memcpy(more, shares, sizeof(shares));
		divide_budget(shares, count, budget, 0);
		divide_budget(more, count, budget + dice_below(&dice, 256) * MIB, 0);
		for (size_t i = 0; i < count; i++)
			assert_true(more[i].ideal + 64 >= shares[i].ideal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(surplus_goes_by_weight),
		cmocka_unit_test(in_plenty_nobody_loses_what_he_has),
		cmocka_unit_test(nobody_gets_more_than_his_most),
		cmocka_unit_test(a_pool_is_left_of_the_surplus),
		cmocka_unit_test(the_pool_is_filled_from_idle_memory_but_from_no_want),
		cmocka_unit_test(the_idle_pay_for_those_who_use),
		cmocka_unit_test(weight_protects_idle_memory),
		cmocka_unit_test(the_idle_pay_no_further_than_their_want),
		cmocka_unit_test(short_of_memory_all_keep_their_demand_and_a_part_of_the_reserve),
		cmocka_unit_test(with_less_than_is_used_weights_alone_count),
		cmocka_unit_test(shares_end_at_the_demand_and_begin_at_the_least),
		cmocka_unit_test(below_the_least_nobody_goes),
		cmocka_unit_test(agrees_with_the_slow_reference),
		cmocka_unit_test(sums_up_to_the_budget_and_never_to_more),
		cmocka_unit_test(scales_with_its_unit),
		cmocka_unit_test(a_larger_budget_takes_from_nobody),
	};

	first_seed = dice_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
