/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What our policy promises of any host, any guests and any history.
 *
 * Thousands of worlds live by it; after each of its answers world_check() holds the
 * promises of aerostat.c against them.  Other properties compare two lives.  A
 * failure prints the seed of its world; AEROSTAT_SEED=NUMBER makes it the first.
 */
#include "tests/unit/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORLDS 2000
#define SECONDS 150
#define STEADY_WORLDS 300
#define STEADY_SECONDS 1500 /* demand, reserve and hidden swap have come to rest */
#define QUIET_SECONDS 300
#define LENT_CHANGES 60 /* in those; one that goes to and fro makes more */
#define CONVERGED_SECONDS 240

static uint64_t first_seed;

static struct policy_state *begin(struct world *world, uint64_t seed, bool steady)
{
	world_make(world, seed, steady);
	return policy_aerostat.create(&world->settings);
}

static void live_and_ask(struct world *world, struct policy_state *state)
{
	world_live(world);
	world_ask(world, state);
	world_check(world);
}

static void keeps_its_promises_in_any_world(void **unused)
{
	struct world world;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + WORLDS; seed++) {
		struct policy_state *state = begin(&world, seed, false);

		for (int second = 0; second < SECONDS; second++) {
			live_and_ask(&world, state);
			world_apply(&world);
		}
		policy_aerostat.destroy(state);
	}
}

static void same(const struct policy_decision *a, const struct policy_decision *b)
{
	assert_int_equal(a->target_bytes, b->target_bytes);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->need_bytes, b->need_bytes);
	assert_int_equal(a->demand_bytes, b->demand_bytes);
	assert_int_equal(a->reserve_bytes, b->reserve_bytes);
	assert_int_equal(a->want_bytes, b->want_bytes);
	assert_int_equal(a->floor_bytes, b->floor_bytes);
	assert_int_equal(a->pressured, b->pressured);
	assert_int_equal(a->critical, b->critical);
	assert_string_equal(a->text, b->text);
}

static void answers_alike_when_asked_alike(void **unused)
{
	struct world one, other;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + WORLDS / 10; seed++) {
		struct policy_state *first = begin(&one, seed, false);
		struct policy_state *second = begin(&other, seed, false);

		for (int step = 0; step < SECONDS; step++) {
			live_and_ask(&one, first);
			live_and_ask(&other, second);
			for (size_t i = 0; i < one.count; i++)
				same(&one.decisions[i], &other.decisions[i]);
			world_apply(&one);
			world_apply(&other);
		}
		policy_aerostat.destroy(first);
		policy_aerostat.destroy(second);
	}
}

/* Draws an order of the guests. */
static void shuffle(size_t *order, size_t count, struct dice *dice)
{
	for (size_t i = 0; i < count; i++) {
		size_t j = (size_t)dice_below(dice, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

static void ask_shuffled(const struct world *world, struct policy_state *state, struct dice *dice)
{
	struct policy_guest guests[WORLD_GUESTS];
	struct policy_decision decisions[WORLD_GUESTS];
	struct policy_outcome outcome;
	size_t order[WORLD_GUESTS];

	shuffle(order, world->count, dice);
	for (size_t i = 0; i < world->count; i++)
		guests[i] = world->guests[order[i]];
	assert_int_equal(policy_aerostat.step(state, &world->host, guests, world->count, decisions,
					      &outcome),
			 0);
	for (size_t i = 0; i < world->count; i++)
		same(&decisions[i], &world->decisions[order[i]]);
	assert_int_equal(outcome.budget_bytes, world->outcome.budget_bytes);
	assert_int_equal(outcome.want_bytes, world->outcome.want_bytes);
}

static void does_not_depend_on_the_order_of_guests(void **unused)
{
	struct dice dice = { first_seed };
	struct world world;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + WORLDS / 10; seed++) {
		struct policy_state *state = begin(&world, seed, false);
		struct policy_state *other = policy_aerostat.create(&world.settings);

		for (int step = 0; step < SECONDS; step++) {
			live_and_ask(&world, state);
			ask_shuffled(&world, other, &dice);
			world_apply(&world);
		}
		policy_aerostat.destroy(state);
		policy_aerostat.destroy(other);
	}
}

static size_t changes(const struct world *world)
{
	size_t changed = 0;

	for (size_t i = 0; i < world->count; i++)
		changed += world->decisions[i].target_bytes != world_present(&world->guests[i]);
	return changed;
}

static void comes_to_rest_when_nothing_changes(void **unused)
{
	struct world world;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + STEADY_WORLDS; seed++) {
		struct policy_state *state = begin(&world, seed, true);
		size_t changed = 0;

		for (int second = 0; second < STEADY_SECONDS + QUIET_SECONDS; second++) {
			live_and_ask(&world, state);
			if (second >= STEADY_SECONDS)
				changed += changes(&world);
			world_apply(&world);
		}
		/* What was lent may change once more, when the pool forgets an earlier growth. */
		if (changed > (world.outcome.lent_bytes ? LENT_CHANGES : 0))
			fail_msg("seed %llu: %zu changes", (unsigned long long)seed, changed);
		policy_aerostat.destroy(state);
	}
}

/* Whether all that is in use fits, or nobody has more to give. */
static bool fits(const struct world *world)
{
	uint64_t use = 0;
	bool can_give = false;

	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];
		const struct policy_decision *decision = &world->decisions[i];

		use += world_use(guest, decision->target_bytes);
		if (decision->target_bytes > world_low(guest) && !decision->pressured)
			can_give = true;
	}
	return use <= world->outcome.budget_bytes || !can_give;
}

static void meets_the_budget_in_bounded_time(void **unused)
{
	struct world world;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + STEADY_WORLDS; seed++) {
		struct policy_state *state = begin(&world, seed, true);

		for (int second = 0; second < CONVERGED_SECONDS; second++) {
			live_and_ask(&world, state);
			world_apply(&world);
		}
		if (!fits(&world))
			fail_msg("seed %llu: not converged", (unsigned long long)seed);
		policy_aerostat.destroy(state);
	}
}

/* A guest among honest ones says whatever it likes: the others keep at least their least. */
static void a_hostile_guest_pushes_nobody_below_his_least(void **unused)
{
	struct world world;

	(void)unused;
	for (uint64_t seed = first_seed; seed < first_seed + STEADY_WORLDS; seed++) {
		struct policy_state *state = begin(&world, seed, true);

		world.inhabitants[0].habit = HABIT_LIAR;
		for (int second = 0; second < SECONDS; second++) {
			live_and_ask(&world, state);
			for (size_t i = 1; i < world.count; i++)
				assert_true(world.decisions[i].target_bytes >=
					    world_low(&world.guests[i]));
			world_apply(&world);
		}
		policy_aerostat.destroy(state);
	}
}

/* Guests come and go: those that stay are treated as if they had been alone in the list. */
static void forgets_who_has_gone_and_nobody_else(void **unused)
{
	struct policy_settings settings = world_settings(64 * GIB);
	struct policy_state *state = policy_aerostat.create(&settings);
	struct dice dice = { first_seed };
	struct policy_decision decisions[WORLD_GUESTS];
	struct policy_outcome outcome;

	(void)unused;
	for (int step = 1; step < 3000; step++) {
		struct policy_host host = world_host(64 * GIB, 64 * GIB, step * SECOND);
		struct policy_guest guests[WORLD_GUESTS];
		size_t count = 0;

		for (uint64_t id = 0; id < WORLD_GUESTS; id++) {
			struct policy_guest guest =
				world_guest(id, GIB, GIB, (300 + 10 * id) * MIB, host.now_us);

			if (id % 2 || dice_below(&dice, 3))
				guests[count++] = guest;
		}
		assert_int_equal(
			policy_aerostat.step(state, &host, guests, count, decisions, &outcome), 0);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(decisions[i].demand_bytes,
					 (300 + 10 * guests[i].id) * MIB);
			if (guests[i].id % 2 && step > 40)
				assert_int_not_equal(decisions[i].reason, POLICY_REASON_STALE);
		}
	}
	policy_aerostat.destroy(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_its_promises_in_any_world),
		cmocka_unit_test(answers_alike_when_asked_alike),
		cmocka_unit_test(does_not_depend_on_the_order_of_guests),
		cmocka_unit_test(comes_to_rest_when_nothing_changes),
		cmocka_unit_test(meets_the_budget_in_bounded_time),
		cmocka_unit_test(a_hostile_guest_pushes_nobody_below_his_least),
		cmocka_unit_test(forgets_who_has_gone_and_nobody_else),
	};

	first_seed = dice_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
